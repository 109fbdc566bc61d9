import type { ReleaseStore } from '../engine/evidence/orchestrator-release.ts';
import type { Database } from './database.ts';

const LAST = 'select number, version from orchestrator_releases order by number desc limit 1';

/** If two replicas see a version at once, they write it twice, and the later number counts. */
const SEEN = `
insert into orchestrator_releases (version)
select $1 where $1 is distinct from (select version from orchestrator_releases order by number desc limit 1)`;

/** Versions of the orchestrator in PostgreSQL. */
export function createReleaseStore(database: Database): ReleaseStore {
  const last = async (): Promise<number> => (await database.query<{ number: number }>(LAST))[0]?.number ?? 0;
  return {
    last,
    async seen(version) {
      await database.query(SEEN, [version]);
      return last();
    },
  };
}
