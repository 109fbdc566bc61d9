import pg from 'pg';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { createStage, startOrchestrator, type TestOrchestrator } from '../../support/orchestrator.ts';
import { startPostgres } from '../../support/postgres.ts';
import { DATABASES } from '../../support/tier.ts';

const stage = createStage();
afterAll(() => stage.stop());

describe.each(DATABASES)('the pages of a scan on %s', (kind) => {
  let orchestrator: TestOrchestrator;
  let sessions = 0;
  beforeAll(async () => {
    orchestrator = await stage.start(kind);
  });

  /** A session of `count` memories at the positions 10, 20, 30 … */
  async function holding(count: number) {
    const session_id = `scan-${kind}-${++sessions}`;
    const id = (n: number) => `${session_id}-${String(n).padStart(4, '0')}`;
    const create = (n: number, position?: number) => ({
      action: 'create',
      payload: { memory_id: id(n), memory_type: 'fact', content: { n }, create_session: true, position },
    });
    const operations = Array.from({ length: count }, (_, index) => create(index + 1, 10 * (index + 1)));
    await orchestrator.ask('batch_write', { operations }, { session_id });
    const numbers = (items: readonly { content: Record<string, unknown> }[]) =>
      items.map(({ content }) => content['n']);
    return {
      create: (n: number, position?: number) =>
        orchestrator.ask('create', create(n, position).payload, { session_id }),
      update: (n: number, more: object) =>
        orchestrator.ask('update', { memory_id: id(n), ...more }, { session_id }),
      remove: (n: number) => orchestrator.ask('delete', { memory_id: id(n) }, { session_id }),
      page: async (cursor?: string, include_deleted = false) => {
        const payload = { limit: 3, include_deleted, ...(cursor !== undefined && { cursor }) };
        const { data, error } = await orchestrator.ask('scan', payload, { session_id });
        expect(error).toBeUndefined();
        const changed = data.items.filter((item) => item['changed_since_snapshot'] === true);
        return {
          numbers: numbers(data.items),
          changed: numbers(changed),
          cursor: data.next_cursor,
          consistent: data['consistent'],
        };
      },
    };
  }

  test('contain memories without a position after those with one', async () => {
    const { page, create } = await holding(2);
    for (const n of [3, 4, 5, 6, 7]) await create(n);
    const first = await page();
    expect(first.numbers).toEqual([1, 2, 3]);
    const second = await page(first.cursor);
    expect(second.numbers).toEqual([4, 5, 6]);
    expect(await page(second.cursor)).toMatchObject({ numbers: [7], consistent: true });
  });

  test('start only at the end of another page', async () => {
    const ask = (key: unknown) =>
      orchestrator.ask(
        'scan',
        { cursor: Buffer.from(JSON.stringify(key)).toString('base64url') },
        { session_id: 'any' },
      );
    const forged = [
      ['5:3:', 0, ''],
      ['0:0:', 0, ''],
      ['1:9:3,2', 0, ''],
      ['1:2:5', 0, ''],
      ['9999999999999999999:9999999999999999999:', 0, ''],
      ['1:1:', 2 ** 54, ''],
      ['1:1:', 0.5, ''],
      ['1:1:', 0, 7],
      ['1:1:', 0],
      [null, 0, ''],
    ];
    for (const key of forged)
      expect({ key, error: (await ask(key)).error }).toMatchObject({
        error: { code: 'validation_error', details: { field: 'cursor' } },
      });
  });

  test('are consistent without concurrent writes, as only the last page reports', async () => {
    const { page } = await holding(5);
    const first = await page();
    expect(first).toMatchObject({ numbers: [1, 2, 3], consistent: undefined });
    expect(await page(first.cursor)).toMatchObject({ numbers: [4, 5], changed: [], consistent: true });
  });

  test('omit memories created after the first page, and report that', async () => {
    const { page, create } = await holding(5);
    const { cursor } = await page();
    await create(99, 35);
    await create(98, 99);
    expect(await page(cursor)).toEqual({
      numbers: [4, 5],
      changed: [],
      cursor: undefined,
      consistent: false,
    });
    expect((await page()).numbers).toEqual([1, 2, 3]);
  });

  test('mark memories that were changed or moved since', async () => {
    const { page, update } = await holding(6);
    const { cursor } = await page();
    await update(5, { content: { n: 55 } });
    await update(1, { position: 70 });
    const second = await page(cursor);
    expect(second).toMatchObject({ numbers: [4, 55, 6], changed: [55] });
    expect(await page(second.cursor)).toMatchObject({ numbers: [1], changed: [1], consistent: false });
  });

  test('omit memories deleted since, or show their tombstones', async () => {
    const { page, remove } = await holding(5);
    const { cursor } = await page();
    const all = await page(undefined, true);
    await remove(4);
    expect(await page(cursor)).toMatchObject({ numbers: [5], consistent: false });
    expect(await page(all.cursor, true)).toMatchObject({
      numbers: [4, 5],
      changed: [4],
      consistent: false,
    });
  });

  test('belong to the snapshot of their own scan', async () => {
    const lanes = Array.from({ length: 12 }, () => holding(4));
    const scans = (await Promise.all(lanes)).map(async ({ page, create }) => {
      const first = await page();
      await create(99, 99);
      return page(first.cursor);
    });
    for (const last of await Promise.all(scans))
      expect(last).toMatchObject({ numbers: [4], changed: [], consistent: false });
  });

  test.each([
    ['of an earlier kind', [5, 'id']],
    ['with an invented snapshot', ['1:2', 5, 'id']],
    ['with SQL in it', ["1:1:'); drop table sessions; --", 5, 'id']],
    ['with a number that is none', ['1:1:', 'NaN', 'id']],
    ['with more than a place', ['1:1:', 5, 'x', 6]],
    ['of another database', ['9999999999999999999:9999999999999999999:', 5, 'id']],
    ['with a snapshot that ends before it begins', ['9:1:', 5, 'id']],
    ['with NUL in it', ['1:1:', 5, 'a\0']],
  ])('refuse a cursor %s', async (_what, key) => {
    const cursor = Buffer.from(JSON.stringify(key)).toString('base64url');
    const { error } = await orchestrator.ask('scan', { cursor }, { session_id: 'any' });
    expect(error).toMatchObject({ code: 'validation_error', details: { effect: 'rejected' } });
  });
});

test('a transaction that was open at the first page is not part of the scan', async () => {
  const postgres = await startPostgres();
  const url = await postgres.createDatabase();
  const orchestrator = await startOrchestrator({ database: { kind: 'postgres', url } });
  const writer = new pg.Client({ connectionString: url });
  await writer.connect();
  const session_id = 'open';
  const create = (memory_id: string, position: number) =>
    orchestrator.ask(
      'create',
      { memory_id, memory_type: 'fact', content: {}, create_session: true, position },
      { session_id },
    );
  await create('a', 1);
  await writer.query('begin');
  // From here on it has its number; what comes next has a higher one, and is in the snapshot.
  await writer.query('select pg_current_xact_id()');
  await create('b', 2);
  const scan = async (payload: object) => (await orchestrator.ask('scan', payload, { session_id })).data;
  const first = await scan({ limit: 1 });
  await writer.query(
    `insert into memory_entries (memory_id, session_id, memory_type, content, position)
     values ('from outside', 'open', 'fact', '{}', 5)`,
  );
  await writer.query('commit');
  const { next_cursor: cursor } = first;
  const { items, consistent } = await scan({ cursor });
  expect(items.map(({ memory_id }) => memory_id)).toEqual(['b']);
  expect(consistent).toBe(false);
  expect((await scan({})).items).toHaveLength(3);
  await writer.end();
  await orchestrator.stop();
  await postgres.stop();
});
