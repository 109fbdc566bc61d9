import type { ReplicaId } from '../domain/ids.ts';
import type { ReplicaReport, ReplicaStore } from '../migration/ports.ts';
import type { Database } from './database.ts';

interface ReplicaRow {
  readonly id: string;
  readonly silent_ms: number;
  readonly coverage: Record<string, number>;
}

// Another replica's claims are of no use to anybody once it has left.
const LEAVE = `
with freed as (update lanes set claim_replica = null where claim_replica = $1)
delete from replicas where id = $1`;

const HEARTBEAT = `
with beat as (
  update replicas set heartbeat_at = now(), coverage = $2::jsonb where id = $1 returning id
)
select r.id, case when r.id = $1 then 0 else extract(epoch from now() - r.heartbeat_at)::float8 * 1000 end as silent_ms,
  case when r.id = $1 then $2::jsonb else r.coverage end as coverage
from replicas r where r.id <> $1 or exists (select from beat)`;

/** Registered proxy processes in PostgreSQL. */
export function createReplicaStore(database: Database): ReplicaStore {
  return {
    async register(replica: ReplicaId) {
      const others = await database.query('select from replicas where id <> $1', [replica]);
      // An embedded database has one proxy: whoever else is registered is dead.
      if (database.kind === 'pglite') await database.query('delete from replicas');
      await database.query('insert into replicas (id) values ($1) on conflict do nothing', [replica]);
      return others.length;
    },
    async heartbeat(replica, coverage): Promise<readonly ReplicaReport[]> {
      const rows = await database.query<ReplicaRow>(HEARTBEAT, [replica, JSON.stringify(coverage)]);
      return rows.map((row) => ({
        replica: row.id as ReplicaId,
        silentMs: row.silent_ms,
        coverage: row.coverage,
      }));
    },
    async leave(replica) {
      await database.query(LEAVE, [replica]);
    },
  };
}
