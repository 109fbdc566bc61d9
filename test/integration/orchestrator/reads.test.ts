import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import {
  type AnswerData,
  createStage,
  type Memory,
  type TestOrchestrator,
} from '../../support/orchestrator.ts';
import { DATABASES } from '../../support/tier.ts';

const stage = createStage();
afterAll(() => stage.stop());

/** An answer, and which of the session's memories are in it. */
type Listed = AnswerData & { readonly indexes: readonly number[] };

const HOUR_MS = 3_600_000;
const hoursAgo = (hours: number) => new Date(Date.now() - hours * HOUR_MS).toISOString();

describe.each(DATABASES)('reads on %s', (kind) => {
  let orchestrator: TestOrchestrator;
  let sessions = 0;
  beforeAll(async () => {
    orchestrator = await stage.start(kind);
  });

  const ask: TestOrchestrator['ask'] = (...request) => orchestrator.ask(...request);

  /** A session that holds these memories; their ids are `<session>-<index>`. */
  async function holding(memories: readonly object[], more: object = {}) {
    const session_id = `reads-${kind}-${++sessions}`;
    const operations = memories.map((memory, index) => ({
      action: 'create',
      payload: {
        memory_type: 'conversation',
        content: { text: `text ${index}` },
        memory_id: `${session_id}-${index}`,
        create_session: true,
        ...more,
        ...memory,
      },
    }));
    const { status, error } = await ask('batch_write', { operations }, { session_id });
    expect([status, error]).toEqual(['success', undefined]);
    const listed = (data: AnswerData, list: readonly Pick<Memory, 'memory_id'>[]): Listed =>
      Object.assign(data, {
        indexes: list.map(({ memory_id }) => Number(memory_id.slice(session_id.length + 1))),
      });
    return {
      session_id,
      id: (index: number) => `${session_id}-${index}`,
      read: async (payload: object) => {
        const answer = await ask('batch_read', payload, { session_id });
        expect(answer.status).toBe('success');
        return listed(answer.data, answer.data.memories);
      },
      scan: async (payload: object) => {
        const { data } = await ask('scan', payload, { session_id });
        return listed(data, data.items);
      },
      find: async (query: string, filters: object = {}, more_: object = {}) => {
        const { data } = await ask('search', { query, filters, ...more_ }, { session_id });
        return listed(
          data,
          data.results.map((found) => ({ memory_id: String(found['memory_id']) })),
        );
      },
    };
  }

  test('batch_read by ids lists unknown ids, in the requested order', async () => {
    const one = await holding([{}, {}, { expires_at: hoursAgo(1) }]);
    const other = await holding([{}]);
    await ask('delete', { memory_id: one.id(1) }, one);
    const asked = ['nothing', one.id(0), one.id(1), one.id(2), other.id(0)];
    const answer = await one.read({ memory_ids: asked });
    expect(answer.indexes).toEqual([0]);
    expect(answer['missing_ids']).toEqual(['nothing', one.id(1), one.id(2), other.id(0)]);
    const filtered = await one.read({ memory_ids: [one.id(0)], filter: { memory_type: 'fact' } });
    expect(filtered).toMatchObject({ memories: [], total_count: 0, missing_ids: [] });
  });

  test('batch_read returns pages, with or without the total', async () => {
    const { read } = await holding(Array.from({ length: 5 }, (_, position) => ({ position })));
    const sort = { field: 'position', order: 'asc' };
    const first = await read({ filter: { limit: 2, sort } });
    expect(first).toMatchObject({ total_count: 5, page_info: { limit: 2, offset: 0, has_more: true } });
    expect(first.indexes).toEqual([0, 1]);
    const last = await read({ filter: { limit: 2, offset: 4, sort }, count: false });
    expect(last).toMatchObject({ total_count: null, page_info: { limit: 2, offset: 4, has_more: false } });
    expect(last.indexes).toEqual([4]);
    const beyond = await read({ filter: { offset: 9 } });
    expect(beyond).toMatchObject({ memories: [], total_count: 5, page_info: { limit: 50, has_more: false } });
  });

  test('batch_read sorts by each field, ties by position and then id', async () => {
    const at = hoursAgo(1);
    const { read } = await holding([
      { priority: 5, position: 3, created_at: at },
      { priority: 9, position: 2, created_at: at },
      { priority: 5, position: 1, created_at: hoursAgo(2) },
      { priority: 5, created_at: at },
    ]);
    const order = async (field: string, direction: string) =>
      (await read({ filter: { sort: { field, order: direction } } })).indexes;
    expect(await order('priority', 'asc')).toEqual([2, 0, 3, 1]);
    expect(await order('priority', 'desc')).toEqual([1, 3, 0, 2]);
    expect(await order('created_at', 'asc')).toEqual([2, 1, 0, 3]);
    expect(await order('position', 'desc')).toEqual([3, 0, 1, 2]);
    expect((await read({})).indexes).toEqual([3, 0, 1, 2]);
  });

  test('every filter has an effect, and all given ones apply', async () => {
    const { read } = await holding([
      { memory_type: 'fact', tags: ['a', 'b'], position: 1, created_at: '2024-01-01T00:00:00Z' },
      { memory_type: 'fact', tags: ['a'], position: 2, created_at: '2024-01-02T00:00:00Z' },
      { memory_type: 'context', position: 3, created_at: '2024-01-03T00:00:00Z' },
      { content: { text: 'x', metadata: { role: 'user', n: 1 } }, created_at: '2024-01-04T00:00:00Z' },
    ]);
    const selected = async (filter: object) =>
      (await read({ filter: { ...filter, sort: { order: 'asc' } } })).indexes;
    expect(await selected({ memory_type: 'fact' })).toEqual([0, 1]);
    expect(await selected({ memory_types: ['fact', 'context'] })).toEqual([0, 1, 2]);
    expect(await selected({ tags: ['a', 'b'] })).toEqual([0]);
    expect(
      await selected({ time_range: { start: '2024-01-02T00:00:00Z', end: '2024-01-03T00:00:00Z' } }),
    ).toEqual([1]);
    expect(await selected({ position_above: 1 })).toEqual([1, 2]);
    expect(await selected({ position_below: 2 })).toEqual([0]);
    expect(await selected({ metadata: { role: 'user' } })).toEqual([3]);
    expect(await selected({ metadata: { role: 'user', n: 2 } })).toEqual([]);
    expect(await selected({ memory_type: 'fact', tags: ['a'], position_above: 1 })).toEqual([1]);
  });

  test('a filter by user reads across the sessions of that user', async () => {
    const [one, two] = [
      await holding([{}], { user_id: `ann-${kind}` }),
      await holding([{}], { user_id: `ann-${kind}` }),
    ];
    await holding([{}], { user_id: `bob-${kind}` });
    const { data } = await ask('batch_read', { filter: { user_id: `ann-${kind}` } });
    expect(new Set(data.memories.map(({ memory_id }) => memory_id))).toEqual(new Set([one.id(0), two.id(0)]));
    const within = await one.read({ filter: { user_id: `bob-${kind}` } });
    expect(within.memories).toEqual([]);
    const found = await ask('search', { query: 'text', filters: { user_id: `ann-${kind}` } });
    expect(found.data['total_count']).toBe(2);
  });

  test('an unknown session is empty to batch_read and to scan', async () => {
    const nobody = { session_id: 'nobody' };
    expect((await ask('batch_read', {}, nobody)).data).toMatchObject({ memories: [], total_count: 0 });
    expect((await ask('scan', {}, nobody)).data).toEqual({
      session: null,
      items: [],
      consistent: true,
    });
  });

  test('expired memories are invisible for every read', async () => {
    const { id, read, scan, find, session_id } = await holding([{ expires_at: hoursAgo(1) }, { ttl: 60 }]);
    expect((await read({})).indexes).toEqual([1]);
    expect((await read({}))['total_count']).toBe(1);
    expect((await find('text')).indexes).toEqual([1]);
    expect((await scan({})).indexes).toEqual([1]);
    const { items } = await scan({ include_deleted: true });
    expect(new Set(items.map(({ is_active }) => is_active))).toEqual(new Set([false, true]));
    expect((await ask('summarize', {}, { session_id })).data['memory_count']).toBe(1);
    for (const action of ['read', 'update', 'delete'])
      expect((await ask(action, { memory_id: id(0) }, { session_id })).error.code).toBe('memory_not_found');
  });

  test('scan returns a session once and in order during writes', async () => {
    const { id, scan, session_id } = await holding([
      ...Array.from({ length: 7 }, (_, index) => ({ position: Math.floor(index / 2) })),
      {},
      {},
    ]);
    await ask('delete', { memory_id: id(3) }, { session_id });
    const seen: number[] = [];
    let cursor: string | undefined;
    for (let page = 0; page === 0 || cursor !== undefined; page += 1) {
      const answer = await scan({ limit: 3, include_deleted: true, cursor });
      expect(answer['session']).toMatchObject({ session_id });
      seen.push(...answer.indexes);
      cursor = answer.next_cursor;
      // Behind the cursor: not part of what is still to come.
      await ask(
        'create',
        { memory_type: 'fact', content: {}, memory_id: `${session_id}-9${page}`, position: 0 },
        { session_id },
      );
      await ask('delete', { memory_id: `${session_id}-9${page}` }, { session_id });
    }
    expect(seen).toEqual([0, 1, 2, 3, 4, 5, 6, 7, 8]);
    expect((await scan({ limit: 1_000 })).indexes).toEqual([0, 1, 2, 4, 5, 6, 7, 8]);
  });

  test('an invalid cursor is refused', async () => {
    const { error } = await ask('scan', { cursor: 'nonsense' }, { session_id: 'any' });
    expect(error).toMatchObject({ code: 'validation_error', details: { field: 'cursor' } });
  });

  test('search finds words, phrases and exclusions, best first', async () => {
    const { find } = await holding([
      { content: { text: 'The red bicycle is in the garage' } },
      { content: { text: 'A bicycle, a red one, red as red can be; the bicycle is red' } },
      { content: { text: 'Blue car' } },
      { content: { metadata: { text: 'bicycle' } }, memory_type: 'fact', tags: ['bike'] },
    ]);
    expect((await find('red bicycle')).indexes).toEqual([1, 0]);
    expect((await find('"red bicycle"')).indexes).toEqual([0]);
    expect(new Set((await find('car or garage')).indexes)).toEqual(new Set([0, 2]));
    expect((await find('bicycle -garage')).indexes).toEqual([1]);
    expect((await find('BICYCLE', { limit: 1 })).indexes).toHaveLength(1);
    expect(await find('bicycle', { limit: 1 })).toMatchObject({ total_count: 2 });
    expect(await find('nothing at all')).toMatchObject({ results: [], total_count: 0 });
    expect((await find('bicycle', { memory_types: ['fact'] })).indexes).toEqual([]);
    const [best] = (await find('red bicycle')).results;
    expect(best?.['similarity_score']).toBeGreaterThan(0);
    expect(best?.['similarity_score']).toBeLessThan(1);
  });

  test.each(['semantic', 'hybrid'])(
    'a %s search falls back to keywords and reports it',
    async (search_type) => {
      const { find } = await holding([{}]);
      const answer = await find('text', { min_similarity: 0.99 }, { search_type });
      expect(answer.indexes).toEqual([0]);
      expect(answer['search_metadata']).toMatchObject({
        search_type: 'keyword',
        requested: search_type,
        min_similarity_applied: false,
      });
    },
  );
});

describe.each(DATABASES)('the purge on %s', (kind) => {
  test('removes expired memories and old tombstones, and nothing else', async () => {
    const orchestrator = await stage.start(kind, {
      storage: { purgeEveryMs: 20, keepTombstonesSeconds: HOUR_MS / 1_000 },
    });
    const session_id = 'purged';
    const create = (memory_id: string, more: object = {}) =>
      orchestrator.ask(
        'create',
        { memory_type: 'fact', content: {}, memory_id, create_session: true, ...more },
        { session_id },
      );
    const ids = async () => {
      const { data } = await orchestrator.ask('scan', { include_deleted: true }, { session_id });
      return data.items.map(({ memory_id }) => memory_id).sort();
    };
    await create('kept');
    await create('expired', { expires_at: hoursAgo(1) });
    for (const [memory_id, updated_at] of [
      ['deleted', hoursAgo(0)],
      ['deleted long ago', hoursAgo(2)],
    ] as const) {
      await create(memory_id);
      await orchestrator.ask('delete', { memory_id, updated_at }, { session_id });
    }
    await expect.poll(ids).toEqual(['deleted', 'kept']);
  });
});
