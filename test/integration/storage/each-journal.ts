import { afterAll, beforeAll, describe } from 'vitest';
import type { Database } from '../../../src/storage/database.ts';
import { startPostgres, type TestPostgres } from '../../support/postgres.ts';
import { DATABASES } from '../../support/tier.ts';
import { createJournalDatabase } from './journal-under-test.ts';

/** Tests on each kind of database of the tier. @param tests get the database once it is there: within a test */
export function onEachJournal(tests: (database: () => Database) => void): void {
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

    tests(() => database);
  });
}
