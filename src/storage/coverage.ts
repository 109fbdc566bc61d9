import type { ServiceName } from '../domain/ids.ts';
import type { CoverageStore, OpenCoverage } from '../migration/ports.ts';
import type { Database } from './database.ts';

/** Coverage rows in PostgreSQL. */
export function createCoverageStore(database: Database): CoverageStore {
  const current = async (service: ServiceName): Promise<OpenCoverage> => {
    const [row] = await database.query<{ number: number; is_quiet: boolean }>(
      'select number, quiet_at is not null as is_quiet from coverage where service = $1 and ended_at is null',
      [service],
    );
    return { number: row?.number ?? 0, isQuiet: row?.is_quiet ?? false };
  };
  return {
    current,
    async begin(service) {
      await database.query('insert into coverage (service) values ($1) on conflict do nothing', [service]);
      return (await current(service)).number;
    },
    async quiet(service) {
      await database.query(
        'update coverage set quiet_at = now() where service = $1 and ended_at is null and quiet_at is null',
        [service],
      );
    },
    async end(service) {
      await database.query('update coverage set ended_at = now() where service = $1 and ended_at is null', [
        service,
      ]);
    },
  };
}
