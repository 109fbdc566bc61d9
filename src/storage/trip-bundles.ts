import type { ServiceName } from '../domain/ids.ts';
import type { TripBundleStore } from '../engine/guard/guard-ports.ts';
import type { Database } from './database.ts';

interface HeadRow {
  readonly latch: number;
  readonly service: ServiceName;
  readonly at: Date;
  readonly trigger: string;
  readonly bytes: number;
}

/** Bundles of trips in PostgreSQL, the newest of each service. */
export function createTripBundleStore(
  database: Database,
  { keep }: { readonly keep: number },
): TripBundleStore {
  return {
    async put({ id, service, finding }, bundle) {
      await database.query(
        `insert into trip_bundles (latch, service, trigger, bundle) values ($1, $2, $3, $4)
         on conflict (latch) do update set bundle = excluded.bundle`,
        [id, service, finding.trigger, bundle],
      );
      await database.query(
        `delete from trip_bundles where service = $1 and latch <= (
           select latch from trip_bundles where service = $1 order by latch desc offset $2 limit 1)`,
        [service, keep],
      );
    },
    async list() {
      const rows = await database.query<HeadRow>(
        'select latch, service, at, trigger, octet_length(bundle) as bytes from trip_bundles order by latch desc',
      );
      return rows.map(({ at, ...head }) => ({ ...head, atMs: at.getTime() }));
    },
    async read(latch) {
      const rows = await database.query<{ bundle: string }>(
        'select bundle from trip_bundles where latch = $1',
        [latch],
      );
      return rows[0]?.bundle;
    },
  };
}
