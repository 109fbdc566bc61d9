import type { ReplicaIdentity } from '../../engine/ports/replica-ports.ts';
import type { RunEdges } from '../../engine/parts.ts';
import { createAuditStore } from '../audit.ts';
import type { Database } from '../database.ts';
import type { Seal } from '../seal.ts';
import type { LaneKey, Owner, ReplicaId } from '../../domain/ids.ts';
import type { LaneDirectory } from '../../engine/runs/run-ports.ts';
import { LEASE, WRITE_COLUMNS } from '../journal/journal-sql.ts';
import type { WriteHistory } from '../../engine/ports/journal-facts.ts';
import { pendingOf, type WriteRow } from '../journal/journal-rows.ts';
import { PostgresBaselines } from './baselines.ts';
import { createDivergenceStore, createLostItemStore, createRepairStore } from './divergences.ts';
import { PostgresRunStore } from './runs.ts';
import { UNRESOLVED } from './standing.ts';

/** The stores of runs. */
export function createRunEdges(database: Database, replica: ReplicaIdentity, seal: Seal): RunEdges {
  return {
    store: new PostgresRunStore(database, replica.services),
    baselines: new PostgresBaselines(database),
    directory: createLaneDirectory(database, replica),
    history: createWriteHistory(database, seal),
    divergences: createDivergenceStore(database),
    lostItems: createLostItemStore(database),
    repairs: createRepairStore(database, seal),
    audit: createAuditStore(database),
  };
}

const OWNERS_PER_PAGE = 1_000;

const OWNERS = `
select id, owner from lanes where service = $1 and id > $2 order by id limit ${OWNERS_PER_PAGE}`;

const CHANGED = `
select l.id, l.owner from lanes l left join lane_baselines b on b.lane_id = l.id
where l.service = $1 and l.id > $2 and (b.lane_id is null or b.sequence < l.sequence or l.condition <> 'clean'
  or exists (select from divergences d where d.service = l.service and d.owner = l.owner and d.state in ${UNRESOLVED}))
order by l.id limit ${OWNERS_PER_PAGE}`;

const HOMES = `
select l.key, l.claim_replica as home from lanes l join replicas r on r.id = l.claim_replica
where l.key = any($1::text[]) and l.claim_replica <> $2 and r.heartbeat_at > now() - ${LEASE}`;

const EXCEPTIONS = `
select l.key, e.reason, count(*) as items from lanes l join lane_exceptions e on e.lane_id = l.id
where l.key = any($1::text[]) group by l.key, e.reason`;

/** Queries over many lanes in PostgreSQL. */
function createLaneDirectory(database: Database, replica: ReplicaIdentity): LaneDirectory {
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

const BETWEEN = `
select ${WRITE_COLUMNS}, coalesce(o.outcome, 'unknown') as outcome, coalesce(o.outcome, 'unknown') = 'unknown' as is_uncertain
from lanes l join writes w on w.lane_id = l.id and w.sequence > $2 and w.sequence <= $3
left join outcomes o on o.lane_id = w.lane_id and o.sequence = w.sequence
where l.key = $1 order by w.sequence`;

/** The past writes in the journal that are not pruned yet. */
function createWriteHistory(database: Database, seal: Seal): WriteHistory {
  return {
    async between(lane: LaneKey, after: number, through: number) {
      if (after >= through) return [];
      const rows = await database.query<WriteRow & { outcome: string }>(BETWEEN, [lane, after, through]);
      if (rows.length < through - after) return undefined;
      const effective = rows.filter(({ outcome }) => outcome === 'applied' || outcome === 'unknown');
      return effective.map((row) => pendingOf(lane, row, seal));
    },
  };
}
