import { spawn, type ChildProcess } from 'node:child_process';
import { once } from 'node:events';
import { createInterface } from 'node:readline';
import type { Readable } from 'node:stream';
import { setTimeout as wait } from 'node:timers/promises';
import { afterEach, expect, test } from 'vitest';

const PIPE_FD = 3;
const pipe = new URL('../../../src/telemetry/event-pipe.ts', import.meta.url).href;
let child: ChildProcess;

afterEach(() => {
  child.kill('SIGKILL');
});

/** Emits three events of one write, then says `gone on` and stays. */
function start(options: string): { lines: AsyncIterator<string>; stdout: Promise<string> } {
  const program = `
    const { createEventPipe } = await import(${JSON.stringify(pipe)});
    const listener = createEventPipe({ fd: ${PIPE_FD}, ${options} });
    const event = { operationId: 'op-1', service: 's', action: 'add', lane: 's/o', sequence: 4, content: 'my-secret' };
    setInterval(() => console.log('tick'), 20);
    listener('write:journaled', { ...event, durationMs: 1 });
    listener('write:sent', event);
    listener('write:answered', { ...event, outcome: 'applied' });
    console.log('gone on');`;
  child = spawn(process.execPath, ['--input-type=module', '-e', program], {
    stdio: ['ignore', 'pipe', 'inherit', 'pipe'],
  });
  const output = child.stdout;
  const events = child.stdio[PIPE_FD] as Readable | null | undefined;
  if (!output || !events) throw new Error('the child has no pipes');
  const stdout = (async () => {
    let text = '';
    for await (const chunk of output) text += String(chunk);
    return text;
  })();
  return { lines: createInterface({ input: events })[Symbol.asyncIterator](), stdout };
}

async function next(lines: AsyncIterator<string>): Promise<unknown> {
  const { value } = await lines.next();
  return JSON.parse(String(value));
}

const IDS = { operationId: 'op-1', service: 's', action: 'add', lane: 's/o', sequence: 4 };

async function kill(): Promise<void> {
  child.kill('SIGKILL');
  await once(child, 'close');
}

test('the process blocks at exactly the chosen event, and can be killed there', async () => {
  const { lines, stdout } = start(`haltOn: 'write:sent'`);
  expect(await next(lines)).toEqual({ name: 'write:journaled', ...IDS });
  expect(await next(lines)).toEqual({ name: 'write:sent', ...IDS });
  const answer = lines.next();
  // Long enough for many of its timer's ticks, were it going on.
  await wait(300);
  await kill();
  expect((await answer).done).toBe(true);
  expect(await stdout).toBe('');
});

test('without a chosen event all events are written and the process continues', async () => {
  const { lines, stdout } = start('');
  const names = [await next(lines), await next(lines), await next(lines)];
  expect(names).toEqual([
    { name: 'write:journaled', ...IDS },
    { name: 'write:sent', ...IDS },
    { name: 'write:answered', ...IDS, outcome: 'applied' },
  ]);
  await wait(300);
  await kill();
  expect(await stdout).toContain('gone on');
});
