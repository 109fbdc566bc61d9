import { join } from 'node:path';
import { DatabaseSync } from 'node:sqlite';
import { setTimeout as sleep } from 'node:timers/promises';
import { expect, test } from 'vitest';
import { Subscriber } from 'zeromq';
import { createSessionMemory } from '../../../src/sandbox/session-memory.ts';
import { eventually } from '../../support/eventually.ts';
import { freePorts } from '../../support/ports.ts';
import { createPlayground } from './playground.ts';

const LOCK_TIMEOUT_MS = 5000;

function openStore(folder: string): DatabaseSync {
  return new DatabaseSync(join(folder, 'session_memory.db'));
}

function storedIds(database: DatabaseSync): unknown[] {
  return database
    .prepare('SELECT session_id FROM sessions ORDER BY rowid')
    .all()
    .map((row) => row['session_id']);
}

test('a clean-up after 150 reads of sessions deletes the least recently used', async () => {
  await using play = createPlayground();
  const [port = 0, healthPort = 0] = await freePorts(2);
  const standIn = await play.start(
    createSessionMemory({ port, healthPort, dataFolder: play.dataFolder, timeZone: 'UTC', fsync: false }),
  );
  const database = openStore(play.dataFolder);
  const now = new Date().toISOString().slice(0, 23);
  database.exec('BEGIN');
  const insert = database.prepare('INSERT INTO sessions VALUES (?, ?, ?, ?, ?)');
  for (let index = 0; index < 150; index += 1) insert.run(`s${index}`, 'u', now, now, '{}');
  database.exec('COMMIT');

  const agent = play.connect(standIn);
  const live = { session_id: 'live' };
  await play.ask(agent, { action: 'create_session', ...live });
  await sleep(2);
  for (let index = 0; index < 150; index += 1)
    await play.ask(agent, { action: 'get_context', session_id: `s${index}` });
  // Its own activity does not save the session in use.
  const add = { action: 'add_interaction', ...live, role: 'user', content: 'still here' };
  expect(await play.ask(agent, add)).toBe('{"status": "success", "request_id": ""}');

  await standIn.cleanUp();
  expect(storedIds(database)).toEqual(Array.from({ length: 100 }, (_, index) => `s${index + 50}`));
  expect(await play.ask(agent, add)).toBe('{"status": "error", "request_id": ""}');
  database.close();
});

test('the periodic clean-up deletes a session that was idle for an hour, and only that', async () => {
  await using play = createPlayground();
  const [port = 0, healthPort = 0] = await freePorts(2);
  const settings = { port, healthPort, dataFolder: play.dataFolder, timeZone: 'UTC', cleanupSeconds: 0.1 };
  const standIn = await play.start(createSessionMemory(settings));
  const agent = play.connect(standIn);
  await play.ask(agent, { action: 'create_session', session_id: 'idle' });
  await play.ask(agent, { action: 'create_session', session_id: 'young' });
  const database = openStore(play.dataFolder);
  database.exec(
    "UPDATE sessions SET last_active = strftime('%Y-%m-%dT%H:%M:%f', 'now', '-61 minutes') WHERE session_id = 'idle'",
  );
  await eventually('the idle one is gone', () => !storedIds(database).includes('idle'));
  await sleep(250);
  expect(storedIds(database)).toEqual(['young']);
  database.close();
});

test('a long read transaction fails a write after 5 s; the next write commits its row', async () => {
  await using play = createPlayground();
  const [port = 0, healthPort = 0] = await freePorts(2);
  const standIn = await play.start(
    createSessionMemory({ port, healthPort, dataFolder: play.dataFolder, timeZone: 'UTC' }),
  );
  // The stand-in stops the process of both while it waits for SQLite and for the disk.
  const agent = play.connect(standIn, LOCK_TIMEOUT_MS * 12);
  await play.ask(agent, { action: 'create_session', session_id: 's' });
  const add = (content: string): Promise<string> =>
    play.ask(agent, { action: 'add_interaction', session_id: 's', role: 'user', content });
  const contents = async (): Promise<unknown[]> => {
    const reply = JSON.parse(await play.ask(agent, { action: 'get_context', session_id: 's' })) as {
      context: { content: string }[];
    };
    return reply.context.map(({ content }) => content);
  };

  const reader = openStore(play.dataFolder);
  reader.exec('BEGIN');
  reader.prepare('SELECT count(*) FROM sessions').all();
  const startedMs = performance.now();
  expect(await add('refused')).toBe('{"status": "error", "request_id": ""}');
  expect(performance.now() - startedMs).toBeGreaterThan(LOCK_TIMEOUT_MS - 100);
  reader.exec('COMMIT');
  expect(await add('taken')).toBe('{"status": "success", "request_id": ""}');

  const rows = reader.prepare('SELECT content FROM interactions ORDER BY id').all();
  expect(rows.map((row) => row['content'])).toEqual(['refused', 'taken']);
  reader.close();
  expect(await contents()).toEqual(['taken']);
  await play.restart(standIn);
  expect(await contents()).toEqual(['refused', 'taken']);
});

test('a null id becomes the last id, as in the stub client of the original commit', async () => {
  await using play = createPlayground();
  const [port = 0, healthPort = 0] = await freePorts(2);
  const standIn = await play.start(createSessionMemory({ port, healthPort, dataFolder: play.dataFolder }));
  const agent = play.connect(standIn);
  await play.ask(agent, { action: 'get_context', session_id: 'never made' });
  expect(await play.ask(agent, { action: 'create_session', session_id: null })).toBe(
    '{"status": "success", "session_id": "never made", "request_id": ""}',
  );
});

test('a number as content is stored, and the session reads as empty until a restart', async () => {
  await using play = createPlayground();
  const [port = 0, healthPort = 0] = await freePorts(2);
  const standIn = await play.start(
    createSessionMemory({ port, healthPort, dataFolder: play.dataFolder, timeZone: 'UTC' }),
  );
  const agent = play.connect(standIn);
  await play.ask(agent, { action: 'create_session', session_id: 's' });
  const add = '{"action": "add_interaction", "session_id": "s", "role": "user", "content": 1000.0}';
  expect(await play.ask(agent, add)).toBe('{"status": "success", "request_id": ""}');
  const read = { action: 'get_context', session_id: 's' };
  expect(await play.ask(agent, read)).toBe('{"status": "success", "context": [], "request_id": ""}');
  await play.restart(standIn);
  expect(await play.ask(agent, read)).toContain('"content": "1000.0"');
});

test('tokens are counted in code points', async () => {
  await using play = createPlayground();
  const [port = 0, healthPort = 0] = await freePorts(2);
  const standIn = await play.start(createSessionMemory({ port, healthPort, dataFolder: play.dataFolder }));
  const agent = play.connect(standIn);
  await play.ask(agent, { action: 'create_session', session_id: 's' });
  const smiles = '😀'.repeat(8);
  await play.ask(agent, { action: 'add_interaction', session_id: 's', role: 'user', content: smiles });
  const read = { action: 'get_context', session_id: 's' };
  expect(JSON.parse(await play.ask(agent, { ...read, max_tokens: 1 }))).toMatchObject({ context: [] });
  expect(JSON.parse(await play.ask(agent, { ...read, max_tokens: 2 }))).toMatchObject({
    context: [{ content: smiles }],
  });
});

test('its state is published as one frame without a topic', async () => {
  await using play = createPlayground();
  const [port = 0, healthPort = 0, pubPort = 0] = await freePorts(3);
  const settings = { port, healthPort, pubPort, dataFolder: play.dataFolder, publishEverySeconds: 0.1 };
  await play.start(createSessionMemory(settings));
  const subscriber = new Subscriber({ receiveTimeout: 20_000 });
  subscriber.connect(`tcp://127.0.0.1:${pubPort}`);
  subscriber.subscribe();
  const frames = await subscriber.receive();
  subscriber.close();
  expect(frames).toHaveLength(1);
  expect(frames[0]?.toString()).toMatch(
    /^\{"component": "session_memory_agent", "status": "running", "timestamp": "[\dT:.-]+", "metrics": \{"active_sessions": 0, "db_path": ".+"\}\}$/,
  );
});
