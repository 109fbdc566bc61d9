import type { CoverageStore } from '../../src/migration/ports.ts';
import type { JournalTables } from './journal-tables.ts';
import type { Statement } from './journal.ts';

/** Coverage rows in the tables that the journal is in, as `storage/coverage.ts` has them. */
export function coverageStoreOf(tables: JournalTables, statement: Statement): CoverageStore {
  return {
    current: (service) => statement('coverage', () => tables.current(service)),
    begin: (service) => statement('begin coverage', () => tables.beginCoverage(service)),
    end: (service) => statement('end coverage', () => tables.endCoverage(service)),
  };
}
