import { randomUUID } from 'node:crypto';
import { afterAll, beforeAll } from 'vitest';
import { replicaId } from '../../src/domain/ids.ts';
import { createCoverageStore } from '../../src/storage/coverage.ts';
import type { Database } from '../../src/storage/database.ts';
import { PostgresJournal } from '../../src/storage/journal.ts';
import { PLAIN } from '../../src/storage/seal.ts';
import { createJournalDatabase } from '../integration/storage/journal-under-test.ts';
import { startPostgres, type TestPostgres } from '../support/postgres.ts';
import { describeJournal } from './journal-contract.ts';
import { JournalTables } from './journal-tables.ts';
import { createSimJournal, type Statement } from './journal.ts';
import { coverageStoreOf } from './coverage-store.ts';

let postgres: TestPostgres;
let database: Database;
beforeAll(async () => {
  postgres = await startPostgres();
  database = await createJournalDatabase('postgres', postgres);
});
afterAll(async () => {
  await database.close();
  await postgres.stop();
});

describeJournal('the journal in PostgreSQL', async () => ({
  open: () => ({
    journal: new PostgresJournal({ database, replica: replicaId(randomUUID()), seal: PLAIN }),
    coverage: createCoverageStore(database),
  }),
}));

describeJournal('the journal of the simulation', async () => {
  const tables = new JournalTables();
  const statement: Statement = async (_what, apply) => apply();
  return {
    open: () => ({
      journal: createSimJournal(tables, statement),
      coverage: coverageStoreOf(tables, statement),
    }),
  };
});
