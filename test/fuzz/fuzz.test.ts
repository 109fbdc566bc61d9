import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { fileURLToPath } from 'node:url';
import { expect, test } from 'vitest';

const MAIN = fileURLToPath(new URL('main.ts', import.meta.url));
/** Heaps are 256 MiB. Beside them are the databases in WebAssembly, and what is arriving. */
const MOST_MEGABYTES = 1_100;

interface Result {
  readonly ports: readonly {
    readonly name: string;
    readonly messages: number;
    readonly answered: number;
    readonly refused: number;
    readonly crashes: number;
    readonly max_other_p99_ratio: number;
    readonly max_rss_mb: number;
  }[];
}

test('twenty seconds of mutated requests on each port end no process and stop no agent', async () => {
  const child = spawn(process.execPath, [MAIN, '--seconds', '20', '--json'], {
    stdio: ['ignore', 'pipe', 'inherit'],
  });
  let printed = '';
  child.stdout.on('data', (chunk: Buffer) => (printed += chunk.toString()));
  await once(child, 'exit');
  const { ports } = JSON.parse(printed.trim().split('\n').at(-1) ?? '') as Result;
  expect(ports).toHaveLength(9);
  for (const port of ports) {
    expect(port.messages).toBeGreaterThan(50);
    expect(port.answered + port.refused).toBeGreaterThan(0);
    expect(port).toMatchObject({ name: port.name, crashes: 0 });
    expect(port.max_rss_mb).toBeLessThan(MOST_MEGABYTES);
    expect(port.max_other_p99_ratio).toBeLessThanOrEqual(3);
  }
}, 900_000);
