import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { createStage, type TestOrchestrator } from '../../support/orchestrator.ts';
import { DATABASES } from '../../support/tier.ts';

const stage = createStage();
afterAll(() => stage.stop());

const MISSING = { code: 'memory_not_found', details: { effect: 'rejected' } };
const NO_SESSION = { code: 'session_not_found', details: { effect: 'rejected' } };
const DUPLICATE = { code: 'validation_error', details: { reason: 'duplicate' } };

describe.each(DATABASES)('the actions of the design on %s', (kind) => {
  let orchestrator: TestOrchestrator;
  let sessions = 0;
  beforeAll(async () => {
    orchestrator = await stage.start(kind);
  });

  async function newSession(payload: object = {}): Promise<{ session_id: string }> {
    const session_id = `session-${kind}-${++sessions}`;
    await orchestrator.ask('create_session', { user_id: 'user-1', ...payload }, { session_id });
    return { session_id };
  }
  const ask: TestOrchestrator['ask'] = (...request) => orchestrator.ask(...request);
  const note = (text: string, more: object = {}) => ({
    memory_type: 'conversation',
    content: { text },
    ...more,
  });

  test('create answers with an id and a time, and read returns everything', async () => {
    const session = await newSession();
    const content = { text: 'I like tea', source_agent: 'planner', metadata: { mood: 'good' } };
    const created = await ask(
      'create',
      { memory_type: 'user_preference', content, tags: ['tea', 'drinks'], ttl: 3600, priority: 8 },
      { ...session, request_id: 'r-1' },
    );
    expect(created).toMatchObject({ status: 'success', action: 'create', request_id: 'r-1' });
    expect(created.data.memory_id).toMatch(/^mem-/);
    expect(created.data.created_at).toMatch(/^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z$/);
    const { data } = await ask('read', { memory_id: created.data.memory_id }, session);
    expect(data).toEqual({
      memory_id: created.data.memory_id,
      ...session,
      memory_type: 'user_preference',
      content,
      tags: ['tea', 'drinks'],
      source_agent: 'planner',
      created_at: created.data.created_at,
      updated_at: created.data.created_at,
      expires_at: new Date(Date.parse(created.data.created_at) + 3_600_000).toISOString(),
      priority: 8,
      position: null,
      version: 1,
    });
  });

  test('create takes the id and the times of the caller', async () => {
    const session = await newSession();
    const given = { memory_id: 'mem-given', created_at: '2024-01-01T00:00:00.000Z', position: 2 ** 53 - 1 };
    await ask('create', note('old', { ...given, expires_at: '2999-01-01T00:00:00.000Z' }), session);
    const { data } = await ask('read', { memory_id: 'mem-given' }, session);
    expect(data).toMatchObject({
      ...given,
      updated_at: given.created_at,
      expires_at: '2999-01-01T00:00:00.000Z',
    });
  });

  test('create with an existing id repeats the answer or refuses other content', async () => {
    const session = await newSession();
    const memory = note('once', { memory_id: `mem-same-${kind}` });
    const first = await ask('create', memory, session);
    const again = await ask('create', { ...memory, content: { text: 'once' } }, session);
    expect(again.data).toEqual(first.data);
    const other = await ask('create', { ...memory, content: { text: 'other' } }, session);
    expect(other.error).toMatchObject(DUPLICATE);
    const elsewhere = await ask('create', memory, await newSession());
    expect(elsewhere.error).toMatchObject(DUPLICATE);
  });

  test('create needs an open session, or permission to create it', async () => {
    const unknown = { session_id: `unknown-${kind}` };
    expect((await ask('create', note('x'), unknown)).error).toMatchObject(NO_SESSION);
    const made = await ask('create', note('x', { create_session: true, user_id: 'u-9' }), unknown);
    expect(made.status).toBe('success');
    await ask('end_session', {}, unknown);
    expect((await ask('create', note('y'), unknown)).error).toMatchObject(NO_SESSION);
    expect((await ask('create', note('y', { create_session: true }), unknown)).status).toBe('success');
    const { data } = await ask('scan', {}, unknown);
    expect(data['session']).toMatchObject({ user_id: 'u-9', ended_at: null, generation: 2 });
    expect(data.items).toHaveLength(2);
  });

  test('the same new memory sent twice at once is created once', async () => {
    const session = await newSession();
    const memory = note('race', { memory_id: `mem-race-${kind}` });
    const answers = await Promise.all(Array.from({ length: 8 }, () => ask('create', memory, session)));
    expect(new Set(answers.map(({ data }) => data.created_at)).size).toBe(1);
    expect((await ask('batch_read', {}, session)).data['total_count']).toBe(1);
  });

  test('update replaces content and tags, and keeps omitted members', async () => {
    const session = await newSession();
    const content = { text: 'a', source_agent: 'planner' };
    const { data } = await ask(
      'create',
      { memory_type: 'context', content, tags: ['t'], priority: 7, ttl: 60 },
      session,
    );
    const { memory_id } = data;
    const updated = await ask('update', { memory_id, content: { text: 'b' } }, session);
    expect(updated.data).toMatchObject({ memory_id, version: 2 });
    const read = async () => (await ask('read', { memory_id }, session)).data;
    expect(await read()).toMatchObject({
      content: { text: 'b' },
      source_agent: null,
      tags: ['t'],
      priority: 7,
    });
    expect((await read())['expires_at']).not.toBeNull();
    await ask('update', { memory_id, ttl: null, tags: [], priority: 1, position: 5 }, session);
    expect(await read()).toMatchObject({ expires_at: null, tags: [], priority: 1, position: 5, version: 3 });
  });

  test('update and delete with another version change nothing', async () => {
    const session = await newSession();
    const { memory_id } = (await ask('create', note('v1'), session)).data;
    await ask('update', { memory_id, content: { text: 'v2' }, if_version: 1 }, session);
    for (const action of ['update', 'delete']) {
      const late = await ask(action, { memory_id, priority: 9, if_version: 1 }, session);
      expect(late.error).toMatchObject({
        code: 'validation_error',
        details: { reason: 'version_conflict', version: 2 },
      });
    }
    expect((await ask('read', { memory_id }, session)).data).toMatchObject({ priority: 5, version: 2 });
  });

  test('delete leaves a tombstone that only a scan shows on request', async () => {
    const session = await newSession();
    const { memory_id } = (await ask('create', note('bye'), session)).data;
    const lane = { key: `lane-${kind}`, generation: 2, sequence: 7 };
    expect((await ask('delete', { memory_id }, { ...session, lane })).data).toEqual({ deleted: true });
    expect((await ask('read', { memory_id }, session)).error).toMatchObject(MISSING);
    expect((await ask('update', { memory_id, priority: 1 }, session)).error).toMatchObject(MISSING);
    expect((await ask('delete', { memory_id }, session)).error).toMatchObject(MISSING);
    expect((await ask('search', { query: 'bye' }, session)).data.results).toEqual([]);
    expect((await ask('scan', {}, session)).data.items).toEqual([]);
    const { items } = (await ask('scan', { include_deleted: true }, session)).data;
    expect(items).toMatchObject([
      { memory_id, is_active: false, deleted_generation: 2, deleted_sequence: 7 },
    ]);
  });

  test('a repeated create does not restore a deleted memory; a later fenced one does', async () => {
    const session = await newSession();
    const memory = note('phoenix', { memory_id: `mem-phoenix-${kind}` });
    const lane = (sequence: number) => ({ key: `phoenix-${kind}`, generation: 1, sequence });
    const first = await ask('create', memory, { ...session, lane: lane(1) });
    await ask('delete', { memory_id: first.data.memory_id }, { ...session, lane: lane(2) });
    expect((await ask('create', memory, { ...session, lane: lane(1) })).data).toEqual({
      already_applied: true,
    });
    expect((await ask('create', memory, session)).data).toEqual(first.data);
    expect((await ask('batch_read', {}, session)).data.memories).toEqual([]);
    await ask('create', memory, { ...session, lane: lane(3) });
    expect((await ask('read', { memory_id: first.data.memory_id }, session)).data.memory_id).toBe(
      first.data.memory_id,
    );
  });

  test('a memory is not visible through another session', async () => {
    const { memory_id } = (await ask('create', note('mine'), await newSession())).data;
    const other = await newSession();
    for (const action of ['read', 'update', 'delete'])
      expect((await ask(action, { memory_id }, other)).error).toMatchObject(MISSING);
  });

  test('bulk_delete deletes what its filter selects, by default the whole session', async () => {
    const session = await newSession();
    const at = (position: number, more: object = {}) =>
      ask('create', note(`n${position}`, { position, ...more }), session);
    await at(1, { tags: ['a', 'b'] });
    await at(2, { tags: ['a'], memory_type: 'fact', created_at: '2020-01-01' });
    await at(3, { content: { text: 'n3', metadata: { n: 12345678901234567890n.toString() } } });
    await ask('create', note('without a place'), session);
    const remove = async (filter: object) => {
      const { data } = await ask('bulk_delete', { filter }, session);
      expect(data['filter_applied']).toEqual(filter);
      return data['deleted_count'];
    };
    expect(await remove({ tags: ['b', 'c'] })).toBe(0);
    expect(await remove({ position_below: 1 })).toBe(0);
    expect(await remove({ memory_type: 'fact', older_than: '2020-01-01' })).toBe(0);
    expect(await remove({ memory_type: 'fact', older_than: 60 })).toBe(1);
    expect(await remove({ metadata: { n: '12345678901234567890' } })).toBe(1);
    expect(await remove({ position_below: 2 ** 53 - 1 })).toBe(1);
    expect((await ask('bulk_delete', {}, session)).data).toEqual({ deleted_count: 1, filter_applied: {} });
    expect((await ask('bulk_delete', {}, { session_id: 'nobody' })).error).toMatchObject(NO_SESSION);
  });

  test('summarize extracts sentences in their order and counts what it read', async () => {
    const session = await newSession();
    await ask('create', note('The garden needs water. The garden has roses.'), session);
    await ask('create', note('We talked about the garden, again.'), session);
    const { data } = await ask('summarize', { memory_type: 'conversation' }, session);
    expect(data).toMatchObject({
      summary: 'The garden needs water. The garden has roses. We talked about the garden, again.',
      memory_count: 2,
      time_range: {},
      summarized: { method: 'extractive', memory_count: 2, total_count: 2 },
    });
  });

  test.each(['health', 'ping', 'health_check'])('%s answers without a session', async (action) => {
    const { data } = await ask(action);
    const vector = kind === 'pglite';
    expect(data).toMatchObject({
      status: vector ? 'healthy' : 'degraded',
      postgres: true,
      vector,
      error_count: 0,
    });
    expect(data['details']).toMatchObject({
      version: 'test',
      connection_pool_size: kind === 'pglite' ? 1 : 10,
    });
  });
});
