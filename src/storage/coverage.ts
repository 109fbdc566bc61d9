import type { ReplicaId, ServiceName } from '../domain/ids.ts';
import type { CoverageStore, ReplicaStore } from '../migration/ports.ts';
import type { Database } from './database.ts';

/** Coverage rows in PostgreSQL. */
export function createCoverageStore(database: Database): CoverageStore {
  const current = async (service: ServiceName): Promise<number> => {
    const [row] = await database.query<{ number: number }>(
      'select number from coverage where service = $1 and ended_at is null',
      [service],
    );
    return row?.number ?? 0;
  };
  return {
    current,
    async begin(service) {
      await database.query('insert into coverage (service) values ($1) on conflict do nothing', [service]);
      return current(service);
    },
    async end(service) {
      await database.query('update coverage set ended_at = now() where service = $1 and ended_at is null', [
        service,
      ]);
    },
  };
}

/** A replica that was silent for this long is gone and leaves the list. */
const FORGOTTEN_AFTER = "interval '1 day'";

/** Registered proxy processes in PostgreSQL. */
export function createReplicaStore(database: Database): ReplicaStore {
  return {
    async register(replica: ReplicaId) {
      await database.query(`delete from replicas where heartbeat_at < now() - ${FORGOTTEN_AFTER}`);
      await database.query('insert into replicas (id) values ($1) on conflict do nothing', [replica]);
    },
    async heartbeat(replica, coverage) {
      await database.query('update replicas set heartbeat_at = now(), coverage = $2::jsonb where id = $1', [
        replica,
        JSON.stringify(coverage),
      ]);
    },
    async leave(replica) {
      await database.query('delete from replicas where id = $1', [replica]);
    },
  };
}
