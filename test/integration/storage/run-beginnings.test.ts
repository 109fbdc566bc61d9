import { afterAll, beforeAll, beforeEach, describe, expect, test } from 'vitest';
import { serviceName } from '../../../src/domain/ids.ts';
import type { RunRequest } from '../../../src/engine/ports/run.ts';
import type { Database } from '../../../src/storage/database.ts';
import { PostgresRunStore } from '../../../src/storage/runs/runs.ts';
import { startPostgres, type TestPostgres } from '../../support/postgres.ts';
import { createJournalDatabase } from './journal-under-test.ts';
import { DATABASES } from '../../support/tier.ts';

const REQUEST: RunRequest = { services: [serviceName('session-memory')], scope: 'full' };

let postgres: TestPostgres;
beforeAll(async () => {
  postgres = await startPostgres();
});
afterAll(() => postgres?.stop());

describe.each(DATABASES)('the beginning of runs on %s', (kind) => {
  let database: Database;
  let store: PostgresRunStore;
  beforeAll(async () => {
    database = await createJournalDatabase(kind, postgres);
    store = new PostgresRunStore(database);
  });
  afterAll(() => database?.close());

  async function endAll(): Promise<void> {
    for (const { id } of await store.open())
      await store.change(id, { from: ['listing', 'running'], to: 'failed' });
  }
  beforeEach(endAll);

  test('a scheduled time starts one run, with any number of replicas', async () => {
    const scheduled = '2026-11-21T02:30:00.000Z';
    const begun = await Promise.all(
      Array.from({ length: 5 }, () => store.create('reconcile', { ...REQUEST, scheduled })),
    );
    expect(begun.filter((run) => run !== undefined)).toHaveLength(1);
    // Another scope, another time, and people's own are runs of their own.
    const next = '2026-11-22T02:30:00.000Z';
    for (const others of [{ scope: 'changed', scheduled } as const, { scheduled: next }, {}, {}]) {
      await endAll();
      expect(await store.create('reconcile', { ...REQUEST, ...others })).toBeDefined();
    }
    await endAll();
    expect(await store.create('reconcile', { ...REQUEST, scheduled })).toBeUndefined();
  });

  test('run numbers have no gap after a crash', async () => {
    const before = await store.create('backfill', REQUEST);
    await endAll();
    // What a recovery of the database does with a sequence that had numbers prepared.
    await database.query(`select setval(pg_get_serial_sequence('runs', 'id'), $1::bigint + 32)`, [
      before?.id,
    ]);
    const after = await store.create('backfill', REQUEST);
    expect(after?.id).toBe((before?.id ?? 0) + 1);
  });

  test('concurrent replicas start or resume one run of a kind', async () => {
    const begun = await Promise.all(Array.from({ length: 8 }, () => store.create('backfill', REQUEST)));
    expect(begun.filter((run) => run !== undefined)).toHaveLength(1);
    expect(await store.open()).toHaveLength(1);
    const [first] = await store.open();
    await endAll();
    const [again, ...anew] = await Promise.all([
      store.takeUp(first?.id ?? 0, 'listing'),
      ...Array.from({ length: 4 }, () => store.create('backfill', REQUEST)),
    ]);
    expect([again, ...anew.map((run) => run !== undefined)].filter(Boolean)).toHaveLength(1);
    expect(await store.open()).toHaveLength(1);
    // Beside it, one of another kind.
    expect(await store.create('repair', REQUEST)).toBeDefined();
  });
});
