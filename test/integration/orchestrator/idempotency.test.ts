import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { createPurge } from '../../../src/orchestrator/database/purge.ts';
import { applySchema } from '../../../src/storage/apply-schema.ts';
import { createPgliteDatabase } from '../../../src/storage/database.ts';
import { createStage, type TestOrchestrator } from '../../support/orchestrator.ts';
import { DATABASES } from '../../support/tier.ts';

const stage = createStage();
afterAll(() => stage.stop());

describe.each(DATABASES)('a write with a request_id on %s', (kind) => {
  let orchestrator: TestOrchestrator;
  let sessions = 0;
  beforeAll(async () => {
    orchestrator = await stage.start(kind);
  });
  const ask: TestOrchestrator['ask'] = (...request) => orchestrator.ask(...request);

  async function newSession(): Promise<string> {
    const session_id = `named-${kind}-${++sessions}`;
    await ask('create_session', { user_id: 'u' }, { session_id });
    return session_id;
  }
  const note = (text: string) => ({ memory_type: 'fact', content: { text } });
  const countIn = async (session_id: string) =>
    (await ask('batch_read', {}, { session_id })).data['total_count'];

  test('gets its first answer again, and creates one memory', async () => {
    const session_id = await newSession();
    const envelope = { session_id, request_id: 'r-1' };
    const first = await ask('create', note('once'), envelope);
    const again = await ask('create', note('once'), envelope);
    expect(again.data).toEqual(first.data);
    expect(again.request_id).toBe('r-1');
    expect(await countIn(session_id)).toBe(1);
  });

  test('independent of the order and spacing of its payload', async () => {
    const session_id = await newSession();
    const send = (payload: string) =>
      orchestrator.send(
        `{"action":"create","session_id":"${session_id}","request_id":"o","payload":${payload}}`,
      );
    const first = await send('{"memory_type":"fact","content":{"text":"x"}}');
    const again = await send('{ "content" : {"text":"x"} , "memory_type":"fact"}');
    expect(again.data).toEqual(first.data);
  });

  test('is a new write with another body, in another session, or as another action', async () => {
    const [session_id, elsewhere] = [await newSession(), await newSession()];
    const { data } = await ask('create', note('a'), { session_id, request_id: 'same' });
    const other = await ask('create', note('b'), { session_id, request_id: 'same' });
    expect(other.data.memory_id).not.toBe(data.memory_id);
    await ask('create', note('a'), { session_id: elsewhere, request_id: 'same' });
    expect([await countIn(session_id), await countIn(elsewhere)]).toEqual([2, 1]);
    const { memory_id } = data;
    expect((await ask('delete', { memory_id }, { session_id, request_id: 'same' })).data).toEqual({
      deleted: true,
    });
  });

  test.each(['', 'unknown', undefined])('has no key with the id %j', async (request_id) => {
    const session_id = await newSession();
    const envelope = { session_id, ...(request_id !== undefined && { request_id }) };
    await ask('create', note('twice'), envelope);
    await ask('create', note('twice'), envelope);
    expect(await countIn(session_id)).toBe(2);
  });

  test('update, delete, bulk_delete and batch_write repeat their first answers', async () => {
    const session_id = await newSession();
    const { memory_id } = (await ask('create', note('v1'), { session_id })).data;
    const twice = async (action: string, payload: object) => {
      const envelope = { session_id, request_id: `once-${action}` };
      const first = await ask(action, payload, envelope);
      const again = await ask(action, payload, envelope);
      expect([action, first.status, again.data]).toEqual([action, 'success', first.data]);
      return first.data;
    };
    expect(await twice('update', { memory_id, content: { text: 'v2' }, if_version: 1 })).toMatchObject({
      version: 2,
    });
    await twice('batch_write', { operations: [{ action: 'create', payload: note('in a batch') }] });
    expect(await countIn(session_id)).toBe(2);
    await twice('delete', { memory_id });
    expect(await twice('bulk_delete', {})).toEqual({ deleted_count: 1, filter_applied: {} });
    await twice('end_session', {});
    await twice('create_session', { user_id: 'u' });
  });

  test('sent many times at once takes effect once', async () => {
    const session_id = await newSession();
    const envelope = { session_id, request_id: 'storm' };
    const answers = await Promise.all(Array.from({ length: 10 }, () => ask('create', note('x'), envelope)));
    expect(new Set(answers.map(({ data }) => data.memory_id)).size).toBe(1);
    expect(await countIn(session_id)).toBe(1);
    const batch = { operations: [{ action: 'create', payload: note('y') }] };
    const batches = await Promise.all(
      Array.from({ length: 5 }, () => ask('batch_write', batch, { session_id, request_id: 'storm' })),
    );
    expect(new Set(batches.map(({ text }) => JSON.stringify(JSON.parse(text).data))).size).toBe(1);
    expect(await countIn(session_id)).toBe(2);
  });

  test('a refusal is not stored, so the same request can succeed later', async () => {
    const envelope = { session_id: `later-${kind}`, request_id: 'r' };
    expect((await ask('create', note('x'), envelope)).error.code).toBe('session_not_found');
    await ask('create_session', { user_id: 'u' }, { session_id: envelope.session_id });
    expect((await ask('create', note('x'), envelope)).status).toBe('success');
  });

  test('with a fence only the fence counts', async () => {
    const session_id = await newSession();
    const lane = { key: session_id, generation: 1, sequence: 1 };
    const envelope = { session_id, request_id: 'fenced', lane };
    await ask('create', note('x'), envelope);
    expect((await ask('create', note('x'), envelope)).data).toEqual({ already_applied: true });
  });
});

test('the purge deletes day-old answers, deleted profiles and expired states', async () => {
  const database = createPgliteDatabase();
  await applySchema(database, new URL('../../../src/orchestrator/schema/', import.meta.url));
  await database.script(`
    insert into idempotency_keys (key, answer, created_at) values
      ('\\x01', '{}', now() - interval '25 hours'), ('\\x02', '{}', now() - interval '23 hours');
    insert into user_profiles (user_id, is_active, updated_at) values
      ('gone', false, now() - interval '2 hours'), ('recent', false, now()), ('kept', true, now() - interval '1 year');
    insert into agent_states (agent_id, state_data, expires_at) values
      ('expired', '{}', now() - interval '1 second'), ('live', '{}', now() + interval '1 hour'), ('always', '{}', null);`);
  const failures: unknown[] = [];
  const purge = createPurge(
    database,
    { purgeEveryMs: 10, keepTombstonesSeconds: 3_600, batchSize: 400 },
    (error) => failures.push(error),
  );
  await purge.start();
  const left = async (sql: string) => (await database.query<{ id: string }>(sql)).map(({ id }) => id);
  await expect.poll(() => left(`select encode(key, 'hex') as id from idempotency_keys`)).toEqual(['02']);
  expect(await left('select user_id as id from user_profiles order by 1')).toEqual(['kept', 'recent']);
  expect(await left('select agent_id as id from agent_states order by 1')).toEqual(['always', 'live']);
  await purge.stop();
  expect(failures).toEqual([]);
  await database.close();
});
