import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import type { Database } from '../../../src/storage/database.ts';
import { createKeptReadStore } from '../../../src/storage/kept-reads.ts';
import { createSeal } from '../../../src/storage/seal.ts';
import { startPostgres, type TestPostgres } from '../../support/postgres.ts';
import { beginJournal, createJournalDatabase, DATABASES } from './journal-under-test.ts';

const SEAL = createSeal(Buffer.alloc(32, 7));

let postgres: TestPostgres;
beforeAll(async () => {
  postgres = await startPostgres();
});
afterAll(() => postgres.stop());

describe.each(DATABASES)('on %s', (kind) => {
  let database: Database;
  beforeAll(async () => {
    database = await createJournalDatabase(kind, postgres);
  });
  afterAll(() => database.close());

  /** A service whose lane `ann` was written to, and a store of kept reads. */
  const begin = async () => {
    const journal = beginJournal(database);
    const store = createKeptReadStore(database, SEAL, 0);
    const deliver = async (): Promise<void> => {
      await journal.journal.delivered(await journal.write('ann', 'applied'));
      await journal.journal.drain();
    };
    const read = (digest: string) => ({
      service: journal.service,
      lane: journal.laneOf('ann'),
      action: 'get',
      digest,
      request: `{"secret": "${digest}"}`,
    });
    const next = (version = 'v1') => store.next(journal.service, { get: version });
    await deliver();
    return { ...journal, store, deliver, read, next };
  };

  test('each kept read is returned once per state of its lane, and stored sealed', async () => {
    const { store, read, next, deliver } = await begin();
    await store.keep([read('a'), read('b')]);
    await store.keep([read('a')]);
    expect(JSON.stringify(await database.query('select * from kept_reads'))).not.toContain('secret');
    const given = [await next(), await next()].map((one) => one?.request);
    expect(new Set(given)).toEqual(new Set(['{"secret": "a"}', '{"secret": "b"}']));
    expect(await next()).toBeUndefined();
    await deliver();
    expect([await next(), await next(), await next()].map((one) => one !== undefined)).toEqual([
      true,
      true,
      false,
    ]);
  });

  test('a read that an agent has just sent is not returned', async () => {
    const { store, read, service } = await begin();
    await store.keep([read('a')]);
    const resting = createKeptReadStore(database, SEAL);
    expect(await resting.next(service, {})).toBeUndefined();
    await database.query("update kept_reads set last_at = now() - interval '61 seconds'");
    expect(await resting.next(service, {})).toBeDefined();
  });

  test('with other rules or versions the same state is compared again', async () => {
    const { store, read, next } = await begin();
    await store.keep([read('a')]);
    expect(await next('v1')).toBeDefined();
    expect(await next('v1')).toBeUndefined();
    expect(await next('v2')).toBeDefined();
  });

  test('a read waits while its lane lags or is dirty', async () => {
    const { store, read, next, write, journal, laneOf } = await begin();
    await store.keep([read('a')]);
    const ref = await write('ann', 'applied');
    expect(await next()).toBeUndefined();
    await journal.delivered(ref);
    await journal.drain();
    await journal.markDirty(laneOf('ann'), 'unknown_outcome');
    expect(await next()).toBeUndefined();
  });

  test('old reads, and reads above the limit, are removed', async () => {
    const { store, read, next, service } = await begin();
    await store.keep([read('old')]);
    await database.query("update kept_reads set last_at = now() - interval '8 days' where service = $1", [
      service,
    ]);
    expect(await next()).toBeUndefined();
    await store.keep(Array.from({ length: 5_010 }, (_, index) => read(`r${index}`)));
    const [row] = await database.query<{ kept: number; old: number }>(
      `select count(*) as kept, count(*) filter (where digest = 'old') as old from kept_reads where service = $1`,
      [service],
    );
    expect(row).toEqual({ kept: 5_000, old: 0 });
    const large = { ...read('large'), request: 'x'.repeat(9 * 1024 * 1024) };
    await store.keep([large, { ...large, digest: 'larger' }]);
    const [bytes] = await database.query<{ bytes: number }>(
      'select sum(octet_length(request)) as bytes from kept_reads where service = $1',
      [service],
    );
    expect(bytes?.bytes).toBeLessThanOrEqual(16 * 1024 * 1024);
  });
});
