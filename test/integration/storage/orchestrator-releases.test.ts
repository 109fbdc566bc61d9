import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import type { Database } from '../../../src/storage/database.ts';
import { createReleaseStore } from '../../../src/storage/evidence.ts';
import { startPostgres, type TestPostgres } from '../../support/postgres.ts';
import { createJournalDatabase } from './journal-under-test.ts';
import { DATABASES } from '../../support/tier.ts';

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

  test('versions are numbered in order of appearance, also across restarts', async () => {
    const [one, other] = [createReleaseStore(database), createReleaseStore(database)];
    expect(await one.last()).toBe(0);
    const first = await one.seen('1.0.0');
    expect(first).toBeGreaterThan(0);
    expect(await other.seen('1.0.0')).toBe(first);
    const second = await other.seen('1.1.0');
    expect(second).toBeGreaterThan(first);
    // One that was there before is a new release all the same: what was compared in between was another's.
    expect(await one.seen('1.0.0')).toBeGreaterThan(second);
    expect(await createReleaseStore(database).last()).toBe(await one.last());
  });
});
