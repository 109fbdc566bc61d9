import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { createStage, type TestOrchestrator } from '../../support/orchestrator.ts';
import { DATABASES } from '../../support/tier.ts';

const stage = createStage();
afterAll(() => stage.stop());

const MISSING = { code: 'memory_not_found', details: { effect: 'rejected' } };
const CONFLICT = { code: 'validation_error', details: { reason: 'version_conflict' } };

describe.each(DATABASES)('profiles, states and relations on %s', (kind) => {
  let orchestrator: TestOrchestrator;
  let sessions = 0;
  beforeAll(async () => {
    orchestrator = await stage.start(kind);
  });
  const ask: TestOrchestrator['ask'] = (...request) => orchestrator.ask(...request);
  async function newSession(user_id = 'u'): Promise<{ session_id: string }> {
    const session_id = `rest-${kind}-${++sessions}`;
    await ask('create_session', { user_id }, { session_id });
    return { session_id };
  }
  async function newMemory(session: { session_id: string }): Promise<string> {
    return (await ask('create', { memory_type: 'fact', content: {} }, session)).data.memory_id;
  }

  test('a profile keeps omitted members and replaces given ones', async () => {
    const user_id = `keeps-${kind}`;
    await ask('put_profile', { user_id, profile_data: { a: 1, b: 2 } });
    const put = await ask('put_profile', { user_id, preferences: { x: [1000.5] } });
    expect(put.data).toMatchObject({ user_id, version: 2 });
    await ask('put_profile', { user_id, profile_data: { a: 3 } });
    const { data } = await ask('get_profile', { user_id });
    expect(data).toMatchObject({ profile_data: { a: 3 }, preferences: { x: [1000.5] }, version: 3 });
  });

  test('a profile keeps every digit, and NUL with the escape', async () => {
    const user_id = `digits-${kind}`;
    const put = (more: string) =>
      orchestrator.send(`{"action":"put_profile","payload":{"user_id":"${user_id}",${more}}}`);
    await put('"profile_data":{"n":12345678901234567890.10}');
    expect((await put('"preferences":{"n":"a\\u0000"}')).error.details).toMatchObject({
      reason: 'unstorable_text',
      field: 'preferences',
    });
    await put('"preferences":{"n":"a\\u0000"},"escape_unstorable":true');
    const { text, data } = await ask('get_profile', { user_id });
    expect(text).toContain('12345678901234567890.10');
    expect(data['preferences']).toEqual({ n: 'a\0' });
  });

  test('a deleted profile is gone, and starts again empty', async () => {
    const user_id = `deleted-${kind}`;
    expect((await ask('get_profile', { user_id })).error).toMatchObject(MISSING);
    expect((await ask('delete_profile', { user_id })).error).toMatchObject(MISSING);
    await ask('put_profile', { user_id, profile_data: { secret: 1 } });
    expect((await ask('delete_profile', { user_id })).data).toEqual({ deleted: true });
    expect((await ask('get_profile', { user_id })).error).toMatchObject(MISSING);
    await ask('put_profile', { user_id, preferences: { p: 1 } });
    expect((await ask('get_profile', { user_id })).data).toMatchObject({
      profile_data: {},
      preferences: { p: 1 },
      version: 3,
    });
  });

  test('a profile and a state are not changed if the version differs', async () => {
    const user_id = `version-${kind}`;
    expect((await ask('put_profile', { user_id, if_version: 1 })).error).toMatchObject(CONFLICT);
    await ask('put_profile', { user_id });
    expect((await ask('put_profile', { user_id, if_version: 2 })).error).toMatchObject(CONFLICT);
    expect((await ask('put_profile', { user_id, if_version: 1 })).data).toMatchObject({ version: 2 });
    const agent_id = user_id;
    const put = (if_version?: number) =>
      ask('put_agent_state', { agent_id, state_data: {}, ...(if_version !== undefined && { if_version }) });
    expect((await put(1)).error).toMatchObject(CONFLICT);
    await put();
    expect((await put(7)).error).toMatchObject(CONFLICT);
    expect((await put(1)).data).toMatchObject({ version: 2 });
  });

  test('a state belongs to an agent and a session, or to the agent alone', async () => {
    const [one, two] = [await newSession(), await newSession()];
    const agent_id = `agent-${kind}`;
    const put = (state_data: object, envelope: object) =>
      ask('put_agent_state', { agent_id, state_data }, envelope);
    await put({ at: 'one' }, one);
    await put({ at: 'two' }, two);
    await put({ at: 'none' }, {});
    await put({ at: 'none again' }, {});
    const get = async (envelope: object) =>
      (await ask('get_agent_state', { agent_id }, envelope)).data['state_data'];
    expect([await get(one), await get(two), await get({})]).toEqual([
      { at: 'one' },
      { at: 'two' },
      { at: 'none again' },
    ]);
    expect((await put({}, { session_id: 'nobody' })).error.code).toBe('session_not_found');
    expect((await ask('get_agent_state', { agent_id: 'nobody' })).error).toMatchObject(MISSING);
  });

  test('a state expires, and a later one starts again', async () => {
    const agent_id = `expiring-${kind}`;
    const state_data = {};
    await ask('put_agent_state', { agent_id, state_data, expires_at: '2001-01-01' });
    expect((await ask('get_agent_state', { agent_id })).error).toMatchObject(MISSING);
    await ask('put_agent_state', { agent_id, state_data });
    expect((await ask('get_agent_state', { agent_id })).data['expires_at']).toBeNull();
    await ask('put_agent_state', { agent_id, state_data, ttl: 60 });
    await ask('put_agent_state', { agent_id, state_data });
    expect((await ask('get_agent_state', { agent_id })).data['expires_at']).not.toBeNull();
    await ask('put_agent_state', { agent_id, state_data, ttl: null });
    expect((await ask('get_agent_state', { agent_id })).data['expires_at']).toBeNull();
  });

  test('a relation is created once; given metadata replaces the old', async () => {
    const session = await newSession();
    const [source_memory_id, target_memory_id] = [await newMemory(session), await newMemory(session)];
    const relation = { source_memory_id, target_memory_id, relationship_type: 'explains' };
    const first = await ask('add_relationship', { ...relation, metadata: { n: 1 } }, session);
    expect((await ask('add_relationship', relation, session)).data).toEqual(first.data);
    await ask('add_relationship', { ...relation, metadata: { n: 2 } }, session);
    await ask('add_relationship', { ...relation, relationship_type: 'follows' }, session);
    const related = async (payload: object) =>
      (await ask('get_related', payload, session)).data['related'] as Record<string, unknown>[];
    expect(await related({ source_memory_id })).toMatchObject([
      { relationship_type: 'explains', metadata: { n: 2 }, memory: { memory_id: target_memory_id } },
      { relationship_type: 'follows', memory: { memory_id: target_memory_id } },
    ]);
    expect(await related({ target_memory_id, relationship_type: 'follows' })).toMatchObject([
      { memory: { memory_id: source_memory_id } },
    ]);
    expect(await related({ source_memory_id: target_memory_id })).toEqual([]);
    await ask('delete', { memory_id: target_memory_id }, session);
    expect(await related({ source_memory_id })).toEqual([]);
  });

  test('relations come page by page', async () => {
    const session = await newSession();
    const source_memory_id = await newMemory(session);
    for (let n = 0; n < 5; n += 1)
      await ask(
        'add_relationship',
        { source_memory_id, target_memory_id: await newMemory(session), relationship_type: `r${n}` },
        session,
      );
    const seen: unknown[] = [];
    let cursor: string | undefined;
    do {
      const payload = { source_memory_id, limit: 2, ...(cursor !== undefined && { cursor }) };
      const { data } = await ask('get_related', payload, session);
      seen.push(...(data['related'] as Record<string, unknown>[]).map((each) => each['relationship_type']));
      cursor = data.next_cursor;
    } while (cursor !== undefined);
    expect(seen).toEqual(['r0', 'r1', 'r2', 'r3', 'r4']);
  });

  test('a relation stays within the sessions of one user', async () => {
    const [ann, ann2, bob] = [await newSession('ann'), await newSession('ann'), await newSession('bob')];
    const [source, near, far] = [await newMemory(ann), await newMemory(ann2), await newMemory(bob)];
    const relate = (source_memory_id: string, target_memory_id: string) =>
      ask('add_relationship', { source_memory_id, target_memory_id, relationship_type: 'x' }, ann);
    expect((await relate(source, near)).status).toBe('success');
    expect((await relate(source, far)).error).toMatchObject({ ...MISSING, details: { memory_id: far } });
    expect((await relate(near, source)).error).toMatchObject({ ...MISSING, details: { memory_id: near } });
  });

  test('all of them can be part of a batch and be fenced', async () => {
    const session = await newSession();
    const id = (name: string) => `${session.session_id}-${name}`;
    const lane = { key: session.session_id, generation: 1, sequence: 1 };
    const create = (name: string) => ({
      action: 'create',
      payload: { memory_id: id(name), memory_type: 'fact', content: {} },
    });
    const operations = [
      create('a'),
      create('b'),
      {
        action: 'add_relationship',
        payload: { source_memory_id: id('a'), target_memory_id: id('b'), relationship_type: 'r' },
      },
      { action: 'put_profile', payload: { user_id: id('user'), profile_data: { n: 1 } } },
      { action: 'put_agent_state', payload: { agent_id: id('agent'), state_data: { n: 1 } } },
      { action: 'delete_profile', payload: { user_id: id('user') } },
    ];
    const first = await ask('batch_write', { operations }, { ...session, lane });
    expect(first.data.results).toHaveLength(6);
    const again = await ask('batch_write', { operations }, { ...session, lane });
    expect(again.data.results).toEqual(operations.map(() => ({ already_applied: true })));
    expect((await ask('get_agent_state', { agent_id: id('agent') }, session)).data['version']).toBe(1);
  });
});
