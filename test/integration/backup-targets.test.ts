import { afterAll, beforeAll, expect, test } from 'vitest';
import { existsSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { stringify } from 'yaml';
import { createAgent } from '../../src/sandbox/agent.ts';
import { createStandIns, type StandIns } from '../../src/sandbox/stand-ins.ts';
import { runCommand } from '../support/command.ts';
import { freePorts } from '../support/ports.ts';

const root = mkdtempSync(join(tmpdir(), 'crossfade-targets-'));
const [from, config] = [join(root, 'backup'), join(root, 'proxy.yaml')];
let standIns: StandIns;
let free = 0;

beforeAll(async () => {
  const [port = 0, other = 0] = await freePorts(2);
  free = other;
  standIns = createStandIns({ 'jarvis-memory': { dataFolder: root, port } });
  await standIns.start();
  const endpoint = `tcp://127.0.0.1:${port}`;
  const legacy = { endpoint, jsonFile: join(root, 'jarvis_memory_store.json') };
  writeFileSync(config, stringify({ services: { 'jarvis-memory': { timeZone: 'UTC', legacy } } }));
  const agent = createAgent({ endpoint });
  await agent.call(JSON.stringify({ action: 'add_memory', user_id: 'ann', memory: { content: 'tea' } }));
  agent.close();
  const made = ['backup', '--service', 'jarvis-memory', '--out', from, '--config', config];
  expect(await runCommand(made)).toMatchObject({ code: 0 });
});

afterAll(async () => {
  await standIns.stop();
  rmSync(root, { recursive: true, force: true });
});

test('a target that is not an instance is refused, and never treated as a folder', async () => {
  for (const [into, said] of [
    [`tcp://127.0.0.1:${free}`, 'crossfade: the instance cannot show the lane of ann: jarvis-memory'],
    ['tcp://127.0.0.1', 'invalid address "tcp://127.0.0.1": use tcp://host:port'],
    ['ftp://127.0.0.1:1', 'invalid address "ftp://127.0.0.1:1": use tcp://host:port'],
    [`127.0.0.1:${free}`, `use tcp://127.0.0.1:${free} or ./127.0.0.1:${free}`],
  ] as const) {
    const refused = await runCommand(['backup', 'restore', from, '--into', into, '--config', config]);
    expect(refused).toMatchObject({ code: 1, stdout: '' });
    expect(refused.stderr).toContain(said);
    expect(existsSync(into)).toBe(false);
  }
});
