import { mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { DatabaseSync } from 'node:sqlite';
import { afterEach, beforeEach, expect, test } from 'vitest';
import type { Agent } from '../../../src/sandbox/agent.ts';
import { createContextualMemory } from '../../../src/sandbox/contextual-memory.ts';
import { createJarvisMemory } from '../../../src/sandbox/jarvis-memory.ts';
import { loadPythonJson } from '../../../src/sandbox/python-json.ts';
import { parsePythonJson } from '../../../src/sandbox/python-json-parser.ts';
import { asDict } from '../../../src/sandbox/python-values.ts';
import type { PythonMap } from '../../../src/sandbox/python-values.ts';
import { createSessionMemory } from '../../../src/sandbox/session-memory.ts';
import type { StandIn } from '../../../src/sandbox/stand-in.ts';
import { freePorts } from '../../support/ports.ts';
import { connectAgents, differences, readRecording, replay, replyDifferences } from './recordings.ts';

let dataFolder = '';
let running: StandIn[] = [];
let agents = new Map<number, Agent>();

beforeEach(() => {
  dataFolder = mkdtempSync(join(tmpdir(), 'crossfade-sandbox-'));
});

afterEach(async () => {
  for (const agent of agents.values()) agent.close();
  for (const standIn of running) await standIn.stop();
  agents = new Map();
  running = [];
  rmSync(dataFolder, { recursive: true, force: true });
});

async function play(standIn: StandIn, ports: Readonly<Record<number, number>>): Promise<void> {
  await standIn.start();
  running.push(standIn);
  connect(ports);
}

function connect(ports: Readonly<Record<number, number>>): void {
  for (const agent of agents.values()) agent.close();
  agents = connectAgents(ports);
}

/** Its agents connect anew: what is sent on a connection before its end is seen gets no reply. */
async function restart(
  standIn: StandIn,
  ports: Readonly<Record<number, number>>,
  meanwhile: () => void = () => undefined,
): Promise<void> {
  await standIn.stop();
  meanwhile();
  await standIn.start();
  connect(ports);
}

function readStore(name: string): PythonMap {
  return asDict(loadPythonJson(readFileSync(join(dataFolder, name))));
}

const NO_HEALTH_PORT = "'SessionMemoryAgent' object has no attribute 'health_port'";

// The two generations of the original's own client for the orchestrator, which differ in what a null id stores. With and without that
// orchestrator, and with and without the race of the start.
test.each([
  ['session_memory_agent_v1_alone', 'stub', 1, NO_HEALTH_PORT],
  ['session_memory_agent_v1_initfixed_alone', 'unreachable', 2, NO_HEALTH_PORT],
  ['session_memory_agent_v1_withorch', 'stub', 1, null],
  ['session_memory_agent_v1_initfixed_withorch', 'unreachable', 2, null],
] as const)('session-memory answers and stores as in %s', async (name, memoryClient, sessions, error) => {
  const { exchanges, sqlite } = readRecording(name);
  const [port = 0, healthPort = 0, pubPort = 0] = await freePorts(3);
  const settings = {
    port,
    healthPort,
    pubPort,
    dataFolder,
    timeZone: 'UTC',
    memoryClient,
    initializationError: error,
  };
  await play(createSessionMemory(settings), { 5574: port, 5575: healthPort });

  expect(await replay(exchanges, agents)).toEqual([]);
  expect(exchanges.length).toBeGreaterThan(20);

  const database = new DatabaseSync(join(dataFolder, 'session_memory.db'), { readOnly: true });
  const schema = database.prepare('SELECT sql FROM sqlite_schema ORDER BY rowid').all();
  const squeezed = (sql: unknown): string => String(sql).replaceAll(/\s+/g, ' ');
  expect(schema.map(({ sql }) => squeezed(sql))).toEqual(sqlite?.schema.map(squeezed));
  const shape = (value: unknown): string =>
    String(value)
      .replace(/^[0-9a-f-]{36}$/, 'uuid')
      .replace(/^\d{4}-.*T.*\.\d{6}$/, 'iso');
  const rows = database.prepare('SELECT * FROM sessions').all();
  expect(rows.map((row) => Object.values(row).map(shape))).toEqual(
    sqlite?.sessions.map((row) => row.map(shape)),
  );
  expect(rows).toHaveLength(sessions);
  expect(database.prepare('SELECT * FROM interactions').all()).toEqual(sqlite?.interactions);
  database.close();
});

test('session-memory answers as recorded while it also wrote to an orchestrator', async () => {
  const { exchanges } = readRecording('dual_write_v1_into_pg_orchestrator');
  const asked = exchanges.filter((one) => one.port === 5574);
  const [port = 0, healthPort = 0] = await freePorts(2);
  await play(createSessionMemory({ port, healthPort, dataFolder, timeZone: 'UTC' }), { 5574: port });
  expect(await replay(asked, agents)).toEqual([]);
  expect(asked).toHaveLength(5);
});

test('contextual-memory answers and stores as recorded', async () => {
  const { exchanges, storeFile = '' } = readRecording('contextual_memory_pc2');
  const [port = 0] = await freePorts(1);
  await play(createContextualMemory({ port, dataFolder }), { 5596: port });
  const firstBig = exchanges.findIndex(({ request }) => request?.includes('"big"'));

  expect(await replay(exchanges.slice(0, firstBig), agents)).toEqual([]);
  // Between these two the recording was fed without being written down.
  for (let item = 0; item < 55; item += 1) {
    const type = ['user_query', 'system_response', 'error', 'code'][item % 4];
    const content = `item ${item} error database thread`;
    const request = { action: 'add_interaction', session_id: 'big', type, content };
    await agents.get(5596)?.call(JSON.stringify(request));
  }
  expect(await replay(exchanges.slice(firstBig), agents)).toEqual([]);
  expect(firstBig).toBe(17);

  const recorded = asDict(parsePythonJson(storeFile));
  const stored = readStore('contextual_memory_store.json');
  const sessions = asDict(stored.get('sessions') ?? null);
  const big = sessions.get('big');
  expect(Array.isArray(big) && big.length).toBe(recorded.get('big_len'));
  sessions.set('big', Array.isArray(big) ? big.slice(0, 2) : null);
  recorded.delete('big_len');
  expect(differences(recorded, stored)).toEqual([]);
});

test('jarvis-memory answers and stores as recorded', async () => {
  const { exchanges, storeFile = '' } = readRecording('jarvis_memory_pc2');
  const [port = 0] = await freePorts(1);
  await play(createJarvisMemory({ port, dataFolder }), { 5598: port });
  expect(await replay(exchanges, agents)).toEqual([]);
  expect(exchanges.length).toBeGreaterThan(20);
  expect(differences(parsePythonJson(storeFile), readStore('jarvis_memory_store.json'))).toEqual([]);
});

test('jarvis-memory finds its users under other ids after a restart, as recorded', async () => {
  const exchanges = readRecording('extras_restart_staleness_ttl').exchanges.filter(
    (one) => one.port === 5598,
  );
  const [port = 0] = await freePorts(1);
  const standIn = createJarvisMemory({ port, dataFolder });
  await play(standIn, { 5598: port });
  expect(await replay(exchanges.slice(0, 2), agents)).toEqual([]);
  await restart(standIn, { 5598: port });
  expect(await replay(exchanges.slice(2), agents)).toEqual([]);
  expect(exchanges).toHaveLength(7);
});

test('session-memory west of Greenwich loses young sessions at the next clean-up', async () => {
  const exchanges = readRecording('extras_restart_staleness_ttl')
    .exchanges.filter((one) => one.port === 5574)
    .map((one) => ({ ...one, request: (one.request ?? '').replace('a*9000', 'a'.repeat(9000)) }));
  const [port = 0, healthPort = 0] = await freePorts(2);
  const standIn = createSessionMemory({ port, healthPort, dataFolder, timeZone: 'America/New_York' });
  await play(standIn, { 5574: port });
  expect(await replay(exchanges.slice(0, 4), agents)).toEqual([]);
  await restart(standIn, { 5574: port });
  expect(await replay(exchanges.slice(4), agents)).toEqual([]);
  expect(exchanges).toHaveLength(7);
});

test('session-memory east of Greenwich keeps sessions hours longer after a restart', async () => {
  const { exchanges } = readRecording('session_memory_agent_v1_restart_tz');
  const zones = [
    ['UTC', exchanges.slice(0, 4)],
    ['Asia/Manila', exchanges.slice(4)],
  ] as const;
  for (const [timeZone, part] of zones) {
    const [port = 0, healthPort = 0] = await freePorts(2);
    const folder = join(dataFolder, timeZone);
    const standIn = createSessionMemory({ port, healthPort, dataFolder: folder, timeZone });
    await play(standIn, { 5574: port });
    expect(await replay(part.slice(0, 3), agents)).toEqual([]);
    await restart(standIn, { 5574: port }, () => {
      if (timeZone !== 'UTC') idleFor(join(folder, 'session_memory.db'), 8);
    });
    expect(await replay(part.slice(3), agents)).toEqual([]);
  }
  expect(exchanges).toHaveLength(8);
});

function idleFor(path: string, hours: number): void {
  const database = new DatabaseSync(path);
  database.exec(
    `UPDATE sessions SET last_active = strftime('%Y-%m-%dT%H:%M:%f', last_active, '-${hours} hours')`,
  );
  database.close();
}

test('the comparison notices a reply that is altered anywhere', () => {
  const { exchanges } = readRecording('contextual_memory_pc2');
  const summary = exchanges[17]?.response ?? '';
  expect(replyDifferences(summary, Buffer.from(summary))).toEqual([]);
  const alterations: [from: string, to: string][] = [
    ['Total queries: 13', 'Total queries: 14'],
    ['"key_decisions": []', '"key_decisions": {}'],
    ['"last_updated": 1795226191.9580355', '"last_updated": 1795226191'],
    ['"last_updated": 1795226191.9580355', '"last_updated": null'],
    [', "key_decisions": []', ''],
    ['"item 54 error database thread", ', ''],
    ['"code_context"', '"context_code"'],
  ];
  for (const [from, to] of alterations) {
    expect(summary).toContain(from);
    expect(replyDifferences(summary, Buffer.from(summary.replace(from, to)))).toHaveLength(1);
  }
  expect(replyDifferences('{"a": 1, "b": 2}', Buffer.from('{"b": 2, "a": 1}'))).toHaveLength(1);
  expect(replyDifferences('{"a": 1}', Buffer.from('{"a": 1.0}'))).toHaveLength(1);
});
