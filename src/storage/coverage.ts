import type { ServiceName } from '../domain/ids.ts';
import type { CoverageStore, OpenCoverage } from '../engine/ports/ports.ts';
import type { Database } from './database.ts';
import { LOCK_SHARE } from './flip-shares.ts';

/** Spills without a live replica are no longer waited for. If one comes back, it is still replayed. */
const GIVE_UP = `
update spills set open_since = null
where open_since < now() - make_interval(secs => $1) and not exists (select from replicas r where r.spill = spills.id)
returning services`;

/** Legacy alone would not get the writes of a lane whose primary is the orchestrator. */
const END = `
update coverage set ended_at = now() where service = $1 and ended_at is null
  and not exists (select from lanes l where l.service = $1 and l.primary_backend = 'orchestrator')
returning number`;

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
      return database.transaction(async (session) => {
        await session.query(LOCK_SHARE, [service]);
        return (await session.query(END, [service])).length > 0;
      });
    },
    async renewAfterLoss(seconds) {
      await database.transaction(async (session) => {
        const lost = await session.query<{ services: readonly string[] | null }>(GIVE_UP, [seconds]);
        if (lost.length === 0) return;
        const services = lost.some((spill) => spill.services === null)
          ? null
          : lost.flatMap((spill) => spill.services ?? []);
        const ended = await session.query<{ service: string }>(
          `update coverage set ended_at = now() where ended_at is null and ($1::text[] is null or service = any($1))
           returning service`,
          [services],
        );
        for (const { service } of ended)
          await session.query('insert into coverage (service) values ($1)', [service]);
      });
    },
  };
}
