import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { createStage, type TestOrchestrator } from '../../support/orchestrator.ts';
import { DATABASES } from '../../support/tier.ts';

const stage = createStage();
afterAll(() => stage.stop());

const NO_SESSION = { code: 'session_not_found', details: { effect: 'rejected' } };
const DUPLICATE = { code: 'validation_error', details: { reason: 'duplicate' } };

describe.each(DATABASES)('the sessions on %s', (kind) => {
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

  test('create_session repeats its answer for its user, and refuses another user', async () => {
    const session_id = `own-${kind}`;
    const payload = { user_id: 'ann', session_metadata: { device_info: 'phone', session_type: 'chat' } };
    const first = await ask('create_session', payload, { session_id });
    const again = await ask(
      'create_session',
      { ...payload, session_metadata: { device_info: 'tv' } },
      { session_id },
    );
    expect(again.data).toEqual(first.data);
    const { data } = await ask('scan', {}, { session_id });
    expect(data['session']).toMatchObject({
      session_id,
      user_id: 'ann',
      session_type: 'chat',
      session_metadata: { device_info: 'phone' },
      generation: 1,
    });
    const stolen = await ask('create_session', { user_id: 'bob' }, { session_id });
    expect(stolen.error).toMatchObject(DUPLICATE);
  });

  test('a repeated create does not restart an ended session; a new one does', async () => {
    const session = await newSession();
    const first = note('once', { memory_id: `late-${kind}`, create_session: true });
    const { data } = await ask('create', first, session);
    await ask('end_session', {}, session);
    expect((await ask('create', first, session)).data).toEqual(data);
    const life = async (): Promise<unknown> => (await ask('scan', {}, session)).data['session'];
    expect(await life()).toMatchObject({ generation: 1, ended_at: expect.any(String) as string });
    await ask('create', note('new', { create_session: true }), session);
    expect(await life()).toMatchObject({ generation: 2, ended_at: null });
  });

  test('a create without create_session is refused, even if its batch has another', async () => {
    const session_id = `asked-${kind}`;
    const operations = [note('first'), note('second', { create_session: true })].map((payload) => {
      return { action: 'create', session_id, payload };
    });
    expect((await ask('batch_write', { operations })).error).toMatchObject({ code: 'session_not_found' });
    expect((await ask('create', note('third'), { session_id })).error).toMatchObject(NO_SESSION);
  });

  test('create_session without an id generates one', async () => {
    const { data } = await ask('create_session', { user_id: 'ann' });
    expect(data.session_id).toMatch(/^session-.{36}$/);
  });

  test('end_session repeats its first end, and create_session restarts the session', async () => {
    const session = await newSession();
    const ended = await ask('end_session', { summary: 'done', archive: true }, session);
    expect(ended.data).toMatchObject({ ...session, is_archived: true });
    expect((await ask('end_session', {}, session)).data).toEqual(ended.data);
    expect((await ask('end_session', {}, { session_id: 'nobody' })).error).toMatchObject(NO_SESSION);
    await ask('create_session', { user_id: 'user-1', session_metadata: { life: 2 } }, session);
    expect((await ask('scan', {}, session)).data['session']).toMatchObject({
      ended_at: null,
      generation: 2,
      summary: null,
      session_metadata: { life: 2 },
    });
  });

  test('a batch writes many new and existing sessions', async () => {
    const ids = ['b', 'c', 'a', 'd'].map((name) => `upserts-${kind}-${name}`);
    const [known = '', ended = '', fresh = '', twice = ''] = ids;
    const first = { user_id: 'ann', session_metadata: { big: 1 }, summary: 'short' };
    await ask('upsert_session', first, { session_id: known });
    await ask('upsert_session', { ...first, ended_at: '2026-01-02T00:00:00Z' }, { session_id: ended });
    const operations = [
      [known, { user_id: 'bob' }],
      [ended, { ended_at: null, is_archived: true }],
      [fresh, { session_metadata: { fresh: true }, created_at: '2026-01-01T00:00:00Z' }],
      [twice, { user_id: 'one', session_metadata: { kept: 1 } }],
      [twice, { user_id: 'two' }],
    ].map(([session_id, payload]) => ({ action: 'upsert_session', session_id, payload }));
    const { data } = await ask('batch_write', { operations });
    expect(data['results'].map(({ session_id }: Record<string, unknown>) => session_id)).toEqual([
      ...ids,
      twice,
    ]);
    const shown = await Promise.all(
      ids.map(async (session_id) => (await ask('scan', {}, { session_id })).data['session']),
    );
    expect(shown).toMatchObject([
      { user_id: 'bob', session_metadata: { big: 1 }, summary: 'short', ended_at: null },
      { user_id: 'ann', ended_at: null, is_archived: true },
      { user_id: null, session_metadata: { fresh: true }, created_at: '2026-01-01T00:00:00.000Z' },
      { user_id: 'two', session_metadata: { kept: 1 } },
    ]);
  });

  test('a batch of sessions names the refused one, and writes none', async () => {
    const session_id = `refused-${kind}-x`;
    const operations = [session_id, `refused-${kind}-y`].map((id, index) => ({
      action: 'upsert_session',
      session_id: id,
      payload: { user_id: 'ann', created_at: index === 1 ? 'no time' : undefined },
    }));
    const { error } = await ask('batch_write', { operations });
    expect(error).toMatchObject({ code: 'validation_error', details: { operation: 1 } });
    expect((await ask('scan', {}, { session_id })).data['session']).toBeNull();
  });

  test('upsert_session replaces given members and keeps the rest', async () => {
    const session_id = `upsert-${kind}`;
    const times = { created_at: '2024-01-01T00:00:00.000Z', ended_at: '2024-01-02T00:00:00.000Z' };
    await ask('upsert_session', { user_id: 'ann', session_metadata: { a: 1 }, ...times }, { session_id });
    await ask('upsert_session', { user_id: 'bob', summary: 'short' }, { session_id });
    const read = async () => (await ask('scan', {}, { session_id })).data['session'];
    expect(await read()).toMatchObject({
      user_id: 'bob',
      summary: 'short',
      session_metadata: { a: 1 },
      ...times,
    });
    await ask('upsert_session', { ended_at: null }, { session_id });
    expect(await read()).toMatchObject({ user_id: 'bob', ended_at: null });
  });

  test('list_sessions returns the sessions of a user page by page', async () => {
    for (const letter of ['c', 'a', 'b'])
      await ask('create_session', { user_id: 'lister' }, { session_id: `list-${kind}-${letter}` });
    const seen: unknown[] = [];
    let cursor: string | undefined;
    do {
      const { data } = await ask('list_sessions', { user_id: 'lister', limit: 2, ...(cursor && { cursor }) });
      seen.push(...(data['sessions'] as { session_id: string }[]).map(({ session_id }) => session_id));
      cursor = data.next_cursor;
    } while (cursor !== undefined);
    expect(seen).toEqual(['a', 'b', 'c'].map((letter) => `list-${kind}-${letter}`));
    const later = await ask('list_sessions', { user_id: 'lister', updated_since: '2999-01-01' });
    expect(later.data['sessions']).toEqual([]);
    await ask('create', note('x', { content: { text: 'x', source_agent: 'scribe' } }), {
      session_id: `list-${kind}-b`,
    });
    const { data } = await ask('list_sessions', { source_agent: 'scribe' });
    expect(data['sessions']).toMatchObject([{ session_id: `list-${kind}-b` }]);
  });
});
