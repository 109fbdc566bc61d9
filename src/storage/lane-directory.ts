import type { LaneKey, Owner, ReplicaId } from '../domain/ids.ts';
import type { ReplicaIdentity } from '../engine/ports/replica-identity.ts';
import type { LaneDirectory } from '../engine/runs/run-ports.ts';
import type { Database } from './database.ts';
import { LEASE } from './journal/journal-sql.ts';
import { UNSETTLED } from './runs/standing-sql.ts';

const OWNERS_PER_PAGE = 1_000;

const OWNERS = `
select id, owner from lanes where service = $1 and id > $2 order by id limit ${OWNERS_PER_PAGE}`;

const CHANGED = `
select l.id, l.owner from lanes l left join lane_baselines b on b.lane_id = l.id
where l.service = $1 and l.id > $2 and (b.lane_id is null or b.sequence < l.sequence or l.condition <> 'clean'
  or exists (select from divergences d where d.service = l.service and d.owner = l.owner and d.state in ${UNSETTLED}))
order by l.id limit ${OWNERS_PER_PAGE}`;

const HOMES = `
select l.key, l.claim_replica as home from lanes l join replicas r on r.id = l.claim_replica
where l.key = any($1::text[]) and l.claim_replica <> $2 and r.heartbeat_at > now() - ${LEASE}`;

const EXCEPTIONS = `
select l.key, e.reason, count(*) as items from lanes l join lane_exceptions e on e.lane_id = l.id
where l.key = any($1::text[]) group by l.key, e.reason`;

/** Queries over many lanes in PostgreSQL. */
export function createLaneDirectory(database: Database, replica: ReplicaIdentity): LaneDirectory {
  async function* owners(sql: string, service: string): AsyncGenerator<readonly Owner[]> {
    let rows: readonly { readonly id: number; readonly owner: Owner }[] = [];
    do {
      rows = await database.query(sql, [service, rows.at(-1)?.id ?? 0]);
      yield rows.map(({ owner }) => owner);
    } while (rows.length === OWNERS_PER_PAGE);
  }
  return {
    owners: (service) => owners(OWNERS, service),
    changed: (service) => owners(CHANGED, service),
    async homesElsewhere(lanes) {
      const rows = await database.query<{ key: LaneKey; home: ReplicaId }>(HOMES, [lanes, replica.id]);
      return new Map(rows.map(({ key, home }) => [key, home]));
    },
    async exceptions(lanes) {
      const rows = await database.query<{ key: LaneKey; reason: string; items: number }>(EXCEPTIONS, [lanes]);
      const byLane = new Map<LaneKey, Map<string, number>>();
      for (const { key, reason, items } of rows)
        byLane.set(key, (byLane.get(key) ?? new Map<string, number>()).set(reason, items));
      return byLane;
    },
  };
}
