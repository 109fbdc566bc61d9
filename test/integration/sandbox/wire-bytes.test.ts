import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { DatabaseSync } from 'node:sqlite';
import { expect, test } from 'vitest';
import { createJarvisMemory } from '../../../src/sandbox/jarvis-memory.ts';
import { createSessionMemory } from '../../../src/sandbox/session-memory.ts';
import { freePorts } from '../../support/ports.ts';
import { createPlayground } from './playground.ts';
import { readWireBytes } from './recordings.ts';

const wire = readWireBytes();

/** The bytes with timestamps taken out, which are all that may differ. */
function timeless(text: unknown): string {
  return String(text)
    .replaceAll(/\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{6}/g, '<iso>')
    .replaceAll(/(?<="timestamp": )\d{10}\.\d+/g, '<epoch>');
}

test('session-memory replies and stores metadata byte for byte as recorded', async () => {
  await using play = createPlayground();
  const [port = 0, healthPort = 0] = await freePorts(2);
  const standIn = await play.start(
    createSessionMemory({ port, healthPort, dataFolder: play.dataFolder, timeZone: 'UTC' }),
  );
  const agent = play.connect(standIn);
  const ask = (request: object | string): Promise<string> => play.ask(agent, request);
  const create = { action: 'create_session', session_id: 's' };
  const add = { action: 'add_interaction', session_id: 's', role: 'user' };

  await ask(create);
  expect(await ask(create)).toBe(wire['sma create duplicate (null)']);
  await ask({ ...add, content: 'ñ 😀 \u0000 "q" / <\u2028>' });
  expect(timeless(await ask({ action: 'get_context', session_id: 's', request_id: 'x' }))).toBe(
    timeless(wire['sma get_context (send_json)']),
  );
  const numbers =
    '{"a": NaN, "b": Infinity, "c": 1, "c": 123456789012345678901234567890, "d": 2.50, "e": 1e3}';
  const raw = `{"action": "add_interaction", "session_id": "s", "role": "user", "content": "n", "metadata": ${numbers}}`;
  expect(await ask(raw)).toBe(wire['sma NaN/Infinity/bigint/dup keys in']);
  expect(
    await ask('{"action": "add_interaction", "session_id": "s", "role": "user", "content": "\\ud83d"}'),
  ).toBe(wire['sma lone surrogate']);
  expect(await ask({ ...add, content: 'x'.repeat(1024 * 1024) })).toBe(wire['sma 1 MiB content']);

  const database = new DatabaseSync(join(play.dataFolder, 'session_memory.db'), { readOnly: true });
  const rows = database.prepare('SELECT metadata, content FROM interactions ORDER BY id LIMIT 2').all();
  expect(rows.map((row) => Object.values(row))).toEqual(wire['sma stored metadata']);
  database.close();
});

test('session-memory executes the first of two frames and answers only the second', async () => {
  await using play = createPlayground();
  const [port = 0, healthPort = 0] = await freePorts(2);
  const standIn = await play.start(createSessionMemory({ port, healthPort, dataFolder: play.dataFolder }));
  const agent = play.connect(standIn);
  const first = JSON.stringify({ action: 'create_session', session_id: 'two' });
  expect((await agent.call([first, 'second'])).toString()).toBe(wire['sma two-frame request']);
  expect(await play.ask(agent, { action: 'health_check' })).toBe(wire['sma after two-frame']);
  expect(await play.ask(agent, first)).toBe(wire['sma create duplicate (null)']);
});

test('a lone surrogate cuts the file of jarvis-memory, and a restart fails', async () => {
  await using play = createPlayground();
  const { dataFolder } = play;
  const [port = 0] = await freePorts(1);
  const standIn = await play.start(createJarvisMemory({ port, dataFolder }));
  const agent = play.connect(standIn);
  const ask = (request: object | string): Promise<string> => play.ask(agent, request);

  await ask('{"action": "add_memory", "user_id": "f", "memory": {"z": 1, "a": 2.50, "n": 1e3, "t": "ñ 😀"}}');
  expect(timeless(await ask({ action: 'get_memories', user_id: 'f' }))).toBe(
    timeless(wire['jarvis get (send_string+json.dumps)']),
  );
  expect(await ask('{"action": "add_memory", "user_id": "s", "memory": "\\ud83d"}')).toBe(
    wire['jarvis lone surrogate add'],
  );
  expect(timeless(await ask({ action: 'get_memories', user_id: 's' }))).toBe(
    timeless(wire['jarvis after surrogate']),
  );
  expect(await ask({ action: 'add_memory', user_id: 'other', memory: 'fine' })).toBe(
    wire['jarvis next add for another user'],
  );
  const path = join(dataFolder, 'jarvis_memory_store.json');
  const tail = timeless(wire['jarvis store file after surrogate']);
  expect(timeless(readFileSync(path, 'utf8')).endsWith(tail)).toBe(true);
  expect(tail.length).toBeGreaterThan(50);

  await standIn.stop();
  await expect(standIn.start()).rejects.toThrow('Expecting value');
});

test('two frames end jarvis-memory, whose loop does not catch the failed reply', async () => {
  await using play = createPlayground();
  const [port = 0] = await freePorts(1);
  const deaths: string[] = [];
  const onDeath = (reason: Error): void => void deaths.push(reason.message);
  const standIn = await play.start(createJarvisMemory({ port, dataFolder: play.dataFolder, onDeath }));
  const add = JSON.stringify({ action: 'add_memory', memory: 'kept' });
  await expect(play.connect(standIn, 300).call([add, 'second'])).rejects.toThrow('No reply');
  expect(deaths).toEqual(['Operation cannot be accomplished in current state']);
  await standIn.stop();
  await standIn.start();
  const reply = await play.ask(play.connect(standIn), { action: 'get_memories' });
  expect(JSON.parse(reply)).toMatchObject({ memories: [{ memory: 'kept' }] });
});
