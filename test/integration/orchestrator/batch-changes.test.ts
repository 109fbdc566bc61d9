import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { createStage, type TestOrchestrator } from '../../support/orchestrator.ts';
import { DATABASES } from '../../support/tier.ts';

const stage = createStage();
afterAll(() => stage.stop());

describe.each(DATABASES)('many changes in one batch on %s', (kind) => {
  let orchestrator: TestOrchestrator;
  let sessions = 0;
  beforeAll(async () => {
    orchestrator = await stage.start(kind);
  });

  async function holding(count: number) {
    const session_id = `changes-${kind}-${++sessions}`;
    const id = (n: number) => `${session_id}-${n}`;
    const send = (operations: readonly object[]) =>
      orchestrator.ask('batch_write', { operations }, { session_id });
    const numbers = Array.from({ length: count }, (_, n) => n);
    await send(
      numbers.map((n) => ({
        action: 'create',
        payload: {
          memory_id: id(n),
          memory_type: 'fact',
          content: { n },
          tags: [`t${n}`],
          create_session: true,
          position: n,
        },
      })),
    );
    const scan = async () => (await orchestrator.ask('scan', { limit: 1_000 }, { session_id })).data.items;
    return { session_id, id, send, numbers, scan };
  }
  const update = (memory_id: string, more: object) => ({ action: 'update', payload: { memory_id, ...more } });
  const remove = (memory_id: string, more: object = {}) => ({
    action: 'delete',
    payload: { memory_id, ...more },
  });

  test('batches on the same memories in opposite orders do not deadlock', async () => {
    const { id, send, numbers, scan } = await holding(30);
    const answers = await Promise.all(
      Array.from({ length: 16 }, (_, n) => {
        const order = n % 2 === 0 ? numbers : numbers.toReversed();
        return send(order.map((at) => update(id(at), { content: { n } })));
      }),
    );
    expect(answers.map(({ error }) => error)).toEqual(answers.map(() => undefined));
    const items = await scan();
    expect(new Set(items.map(({ content }) => JSON.stringify(content))).size).toBe(1);
    expect(items.map(({ version }) => version)).toEqual(numbers.map(() => 17));
  });

  test('each update changes its own memory, and each is answered with its own version', async () => {
    const { id, send, numbers, scan } = await holding(300);
    const { data } = await send(
      numbers.map((n) =>
        n % 2 === 0
          ? update(id(n), { content: { n: -n }, ttl: 60 })
          : update(id(n), { tags: [], priority: 1, updated_at: '2024-01-01' }),
      ),
    );
    expect(data.results[0]).toMatchObject({ memory_id: id(0), version: 2 });
    expect(data.results[299]).toEqual({
      memory_id: id(299),
      updated_at: '2024-01-01T00:00:00.000Z',
      expires_at: null,
      version: 2,
    });
    const items = await scan();
    expect(items[10]).toMatchObject({ content: { n: -10 }, tags: ['t10'], priority: 5 });
    expect(items[10]?.['expires_at']).not.toBeNull();
    expect(items[11]).toMatchObject({ content: { n: 11 }, tags: [], priority: 1, expires_at: null });
  });

  test('the same memory several times is changed in order', async () => {
    const { id, send, scan } = await holding(2);
    const { data } = await send([
      update(id(0), { content: { n: 'a' } }),
      update(id(1), { content: { n: 'x' } }),
      update(id(0), { content: { n: 'b' } }),
      remove(id(1)),
      update(id(0), { content: { n: 'c' }, if_version: 3 }),
    ]);
    expect(data.results.map(({ version }) => version)).toEqual([2, 2, 3, undefined, 4]);
    expect((await scan()).map(({ content }) => content)).toEqual([{ n: 'c' }]);
  });

  test('deletes leave tombstones with their positions in the lane', async () => {
    const { session_id, id, send, numbers } = await holding(50);
    const lane = (sequence: number) => ({ key: session_id, generation: 4, sequence });
    await send(numbers.map((n) => ({ ...remove(id(n)), lane: lane(n + 1) })));
    const { data } = await orchestrator.ask('scan', { include_deleted: true }, { session_id });
    expect(data.items).toHaveLength(50);
    expect(data.items[20]).toMatchObject({
      is_active: false,
      deleted_generation: 4,
      deleted_sequence: 21,
      version: 2,
    });
  });

  test.each([
    ['an unknown memory', 'memory_not_found', (id: string) => update(`${id}-none`, { priority: 1 })],
    ['another version', 'validation_error', (id: string) => update(id, { priority: 1, if_version: 9 })],
    ['a deleted memory', 'memory_not_found', (id: string) => remove(`${id}-gone`)],
    [
      'content that cannot be stored',
      'validation_error',
      (id: string) => update(id, { content: { t: '\0' } }),
    ],
  ])('%s in the middle is named, and nothing is changed', async (_what, code, bad) => {
    const { id, send, numbers, scan } = await holding(20);
    const before = await scan();
    const change =
      bad(id(10)).action === 'delete'
        ? (n: number) => remove(id(n))
        : (n: number) => update(id(n), { priority: 1 });
    const operations = numbers.map((n) => (n === 10 ? bad(id(10)) : change(n)));
    const { error } = await send(operations);
    expect(error).toMatchObject({ code, details: { operation: 10, effect: 'rejected' } });
    expect(await scan()).toEqual(before);
  });

  test('a memory is not changed from another session', async () => {
    const [one, two] = [await holding(1), await holding(1)];
    const { error } = await two.send([
      update(two.id(0), { priority: 1 }),
      update(one.id(0), { priority: 1 }),
    ]);
    expect(error).toMatchObject({ code: 'memory_not_found', details: { operation: 1 } });
  });

  test('bulk_delete by user covers all sessions of that user, by metadata one', async () => {
    const user_id = `bulk-${kind}`;
    const create = (session_id: string, user: string, mood: string) =>
      orchestrator.ask(
        'create',
        { memory_type: 'fact', content: { metadata: { mood } }, create_session: true, user_id: user },
        { session_id },
      );
    await create(`${user_id}-1`, user_id, 'good');
    await create(`${user_id}-2`, user_id, 'good');
    await create(`${user_id}-2`, user_id, 'bad');
    await create(`${user_id}-3`, 'somebody', 'good');
    const bulkDelete = async (filter: object, envelope: object = {}) =>
      (await orchestrator.ask('bulk_delete', { filter }, envelope)).data['deleted_count'];
    const within = { session_id: `${user_id}-2` };
    expect(await bulkDelete({ metadata: { mood: 'bad' } }, within)).toBe(1);
    expect(await bulkDelete({ user_id: 'somebody' }, within)).toBe(0);
    expect(await bulkDelete({ user_id, metadata: { mood: 'good' } })).toBe(2);
    expect((await orchestrator.ask('bulk_delete', { filter: {} })).error.code).toBe('invalid_request');
    const left = await orchestrator.ask('batch_read', {}, { session_id: `${user_id}-3` });
    expect(left.data['total_count']).toBe(1);
  });
});
