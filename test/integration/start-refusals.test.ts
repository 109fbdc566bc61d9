import { cpSync, existsSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { once } from 'node:events';
import { createServer } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { afterEach, beforeEach, expect, test } from 'vitest';
import { runCommand } from '../support/command.ts';
import { freePorts } from '../support/ports.ts';
import { startProgram } from '../support/processes.ts';

const PROJECT = fileURLToPath(new URL('../..', import.meta.url));
const WITHOUT = ['DATABASE_URL', 'ORCHESTRATOR_DATABASE_URL', 'UNLEASH_URL', 'UNLEASH_API_TOKEN'];

let folder: string;

beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), 'crossfade-start-'));
  for (const name of ['config', 'flags'])
    cpSync(join(PROJECT, name), join(folder, name), { recursive: true });
});
afterEach(() => rmSync(folder, { recursive: true }));

const refusal = (): Promise<string> =>
  startProgram(['start'], { cwd: folder, without: WITHOUT }).then(() => 'started', String);

test('a broken flag file is reported before anything is started', async () => {
  writeFileSync(join(folder, 'flags', 'crossfade.json'), '{"features": [');
  expect(await refusal()).toMatch(
    /crossfade: the flag files in \.\/flags cannot be used: crossfade\.json: .*JSON/,
  );
  expect(existsSync(join(folder, 'data'))).toBe(false);
});

test('a file in place of the data folder is reported with a solution', async () => {
  writeFileSync(join(folder, 'data'), '');
  expect(await refusal()).toContain(
    'crossfade: the data folder ./data cannot be used: it is a file. Move it away',
  );
});

/** A taken port, free ports, and a function that frees the taken one. */
async function portsOfWhichOneIsTaken() {
  const [taken = 0, ...free] = await freePorts(4);
  const server = createServer().listen(taken, '127.0.0.1');
  await once(server, 'listening');
  return { taken: String(taken), free: free.map(String), release: () => server.close() };
}

test.each([
  ['orchestrator', 'listen.port (--port)', '--port', ['--http-port']],
  ['orchestrator', 'listen.httpPort (--http-port)', '--http-port', ['--port']],
  ['stand-ins', '--session-port', '--session-port', ['--health-port', '--pub-port']],
  ['stand-ins', '--health-port', '--health-port', ['--session-port', '--pub-port']],
  ['stand-ins', '--pub-port', '--pub-port', ['--session-port', '--health-port']],
])('a port that is taken is named when %s starts: %s', async (command, named, option, others) => {
  const { taken, free, release } = await portsOfWhichOneIsTaken();
  const data =
    command === 'stand-ins'
      ? ['--data', join(folder, 'data'), '--service', 'session-memory']
      : ['--folder', join(folder, 'data')];
  const ports = others.flatMap((other, index) => [other, free[index] ?? '']);
  const { code, stderr } = await runCommand([command, ...data, option, taken, ...ports]);
  release();
  expect(code).toBe(1);
  expect(stderr).toContain(
    `every port must be free\n  - ${named} 127.0.0.1:${taken}: address already in use`,
  );
  expect(existsSync(join(folder, 'data'))).toBe(false);
});
