import type { Backend } from '../domain/backend.ts';
import type { ServiceName } from '../domain/ids.ts';
import type { Database } from './database.ts';
import { WAITING } from './runs/standing.ts';

/** Sort orders of lanes. Among equal lanes the newer one is first. */
const ORDERS = {
  /** Last write first; lanes without a write in the journal are last. */
  activity: 'r.at desc nulls last',
  owner: 'l.owner',
  writes: 'l.sequence desc',
  behind: 'l.sequence - l.delivered_sequence desc',
} as const;

/** Conditions for the listed lanes. */
const STATES = {
  all: 'true',
  unwell: "(l.condition <> 'clean' or l.exceptions > 0 or d.id is not null)",
  seeded: 'l.seeded_coverage > 0',
  dirty: "l.condition = 'dirty'",
  copying: "l.condition = 'copying'",
  stopped: "l.condition = 'stopped'",
  excepted: 'l.exceptions > 0',
  differs: 'd.id is not null',
  flipped: "l.primary_backend = 'orchestrator'",
} as const;

export interface LaneQuery {
  readonly service: ServiceName;
  /** Prefix of the owner; absent: all. */
  readonly owner?: string;
  readonly state: keyof typeof STATES;
  readonly order: keyof typeof ORDERS;
  readonly offset: number;
  readonly limit: number;
}

/** A lane in a list for people. */
export interface StoredLane {
  readonly owner: string;
  readonly primary: Backend;
  readonly condition: string;
  readonly reason: string;
  readonly sequence: number;
  readonly delivered_sequence: number;
  readonly seeded_coverage: number;
  readonly generation: number;
  readonly exceptions: number;
  /** Number of open findings of a reconciliation, neither repaired nor accepted. */
  readonly differences: number;
  readonly found_by_run: number | null;
  /** ISO-8601 UTC; null if the journal has no write of the lane any more. */
  readonly last_write_at: string | null;
}

/** Activity is read from this many recent writes of all services. Other lanes are listed by their age. */
const RECENT_WRITES = 20_000;

const lanesIn = (state: keyof typeof STATES, order: keyof typeof ORDERS): string => `
with recent as (
  select w.lane_id, max(w.accepted_at) as at
  from (select lane_id, accepted_at from writes order by accepted_at desc limit ${RECENT_WRITES}) w group by w.lane_id)
select l.owner, l.primary_backend as primary, l.condition, l.reason, l.sequence, l.delivered_sequence, greatest(l.seeded_coverage, 0) as seeded_coverage, l.generation, l.exceptions,
  coalesce(jsonb_array_length(d.findings), 0) as differences, d.run_id as found_by_run,
  (select w.accepted_at from writes w where w.lane_id = l.id order by w.sequence desc limit 1) as last_write_at
from lanes l left join recent r on r.lane_id = l.id
left join divergences d on d.service = l.service and d.owner = l.owner and d.state in ${WAITING}
where l.service = $1 and starts_with(l.owner, $2) and ${STATES[state]}
order by ${ORDERS[order]}, l.id desc limit $3 offset $4`;

/** Lists lanes for a person. @throws StorageError */
export function createLaneList(database: Database) {
  return async (query: LaneQuery): Promise<readonly StoredLane[]> => {
    const { service, owner = '', state, order, limit, offset } = query;
    const rows = await database.query<Omit<StoredLane, 'last_write_at'> & { last_write_at: Date | null }>(
      lanesIn(state, order),
      [service, owner, limit, offset],
    );
    return rows.map((row) => ({ ...row, last_write_at: row.last_write_at?.toISOString() ?? null }));
  };
}
