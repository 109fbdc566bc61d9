import type { ReplicaId } from '../domain/ids.ts';
import type { BeatAnswer, ReplicaIdentity, ReplicaStore } from '../engine/ports/replica-ports.ts';
import type { Database } from './database.ts';

interface ReplicaRow {
  readonly id: string;
  readonly silent_ms: number;
  readonly coverage: Record<string, number>;
  readonly services: readonly string[] | null;
  readonly is_any_spilled: boolean;
  readonly now_ms: number;
}

/** Whether two lists of services have one in common; null is a list of all. */
function overlap(one: string, other: string): string {
  return `(${one} is null or ${other} is null or ${one} && ${other})`;
}

// The claims of a replica that has left are released.
const LEAVE = `
with freed as (update lanes set claim_replica = null where claim_replica = $1)
delete from replicas where id = $1`;

const REGISTER = `
with spill as (
  -- Until the first heartbeat the spill counts as not empty.
  insert into spills (id, open_since, services) select $2::uuid, now(), $3::text[] where $2::uuid is not null
  on conflict (id) do update set open_since = coalesce(spills.open_since, now()), services = case
    when spills.open_since is null then excluded.services
    -- The spill may contain writes of services that are no longer configured.
    when spills.services is not null and excluded.services is not null
      then array(select distinct unnest(spills.services || excluded.services))
  end
)
insert into replicas (id, spill, services, versions) values ($1, $2::uuid, $3::text[], $4::jsonb)
on conflict (id) do update set spill = excluded.spill, services = excluded.services, versions = excluded.versions`;

// A previous replica with the same spill is dead, because two processes cannot use one spill.
const REMOVE_PREDECESSOR = 'delete from replicas where id <> $1 and spill = $2::uuid';

const HEARTBEAT = `
with beat as (
  update replicas set heartbeat_at = now(), coverage = $2::jsonb, shares = $5::jsonb where id = $1 returning id, spill
), told as (
  update spills set open_since = case when $3 then coalesce(open_since, now()) end
  from beat where spills.id = beat.spill and (open_since is not null or $3)
)
select r.id, case when r.id = $1 then 0 else extract(epoch from now() - r.heartbeat_at)::float8 * 1000 end as silent_ms,
  case when r.id = $1 then $2::jsonb else r.coverage end as coverage, r.services,
  exists (select from spills s where s.open_since is not null and s.id is distinct from (select spill from replicas where id = $1)
    and ${overlap('s.services', '$4::text[]')})
    as is_any_spilled,
  (extract(epoch from now()) * 1000)::float8 as now_ms
from replicas r where r.id <> $1 or exists (select from beat)`;

interface ReplicaDatabases {
  readonly database: Database;
  /** A separate connection to the same database, because a heartbeat that waits for other work comes too late. @defaultValue database */
  readonly heartbeats?: Database;
}

/**
 * Registered proxy processes in PostgreSQL.
 * @param versions with which this process answers writes, by service. @defaultValue none, so that no lane is flipped beside it
 */
export function createReplicaStore(
  { database, heartbeats = database }: ReplicaDatabases,
  services?: ReplicaIdentity['services'],
  versions: Readonly<Record<string, string>> = {},
): ReplicaStore {
  const served = services ?? null;
  return {
    async register(replica: ReplicaId, spill) {
      const others = await database.query(
        `select from replicas where id <> $1 and ${overlap('services', '$2::text[]')}`,
        [replica, served],
      );
      // An embedded database has one proxy, so every other registered replica is dead.
      if (database.kind === 'pglite') await database.query('delete from replicas');
      await database.query(REGISTER, [replica, spill ?? null, served, JSON.stringify(versions)]);
      if (spill !== undefined) await database.query(REMOVE_PREDECESSOR, [replica, spill]);
      return others.length;
    },
    async heartbeat(replica, { coverage, shares, isSpilling }): Promise<BeatAnswer> {
      const parameters = [replica, JSON.stringify(coverage), isSpilling, served, JSON.stringify(shares)];
      const rows = await heartbeats.query<ReplicaRow>(HEARTBEAT, parameters);
      return {
        replicas: rows.map((row) => ({
          replica: row.id as ReplicaId,
          silentMs: row.silent_ms,
          coverage: row.coverage,
          services: row.services ?? undefined,
        })),
        isAnySpilled: rows.some((row) => row.is_any_spilled),
        // Without a row no replica is registered, and this one registers again.
        nowMs: rows[0]?.now_ms ?? Infinity,
      };
    },
    async leave(replica) {
      await database.query(LEAVE, [replica]);
    },
  };
}
