import type { LaneKey, OperationId } from '../domain/ids.ts';
import type {
  ExplainedDifference,
  ExplainedFailures,
  ExplainedLane,
  ExplainedMoves,
  ExplainedOperation,
  ExplainedReturn,
  ExplainedWrite,
  ExplainStore,
} from '../engine/ports/explain-ports.ts';
import type { Database } from './database.ts';
import { WAITING } from './runs/standing.ts';

/** Rollbacks of a lane that are shown. */
const RETURNS_SHOWN = 20;

/** The first advance of its lane at or above a write delivered it to the secondary. */
const ADVANCED = `
left join lateral (
  select a.at, a.via from lane_advances a where a.lane_id = l.id and a.sequence >= w.sequence and w.sequence <= l.delivered_sequence
  order by a.sequence limit 1) a on true`;

const WRITES = `
select w.operation_id::text, l.key as lane, w.sequence, w.action, w.accepted_at, w.replica::text,
  o.outcome, o.at as outcome_at, w.sequence <= l.delivered_sequence as is_through, a.at as through_at, a.via,
  case when d.resolved_at is null then d.code end as dead_letter, case when d.resolved_at is null then d.at end as dead_letter_at,
  d.resolution as letter_resolution
from writes w join lanes l on l.id = w.lane_id
left join outcomes o on o.lane_id = w.lane_id and o.sequence = w.sequence
left join dead_letters d on d.lane_id = w.lane_id and d.sequence = w.sequence${ADVANCED}
where l.key = $1 order by w.sequence desc limit $2`;

/** The ledgers keep writes for months, the journal for a day after the delivery. A person's query may scan the ledgers. */
const OPERATION = `
with found as (
  select lane_id, sequence from writes where operation_id = $1
  union select lane_id, sequence from dead_letters where operation_id = $1
  union select lane_id, sequence from unknown_outcomes where operation_id = $1
)
select $1 as operation_id, l.key as lane, w.sequence, coalesce(j.action, u.action, d.action) as action,
  coalesce(j.accepted_at, u.accepted_at) as accepted_at, j.replica::text,
  o.outcome, o.at as outcome_at, w.sequence <= l.delivered_sequence as is_through, a.at as through_at, a.via,
  case when d.resolved_at is null then d.code end as dead_letter, case when d.resolved_at is null then d.at end as dead_letter_at,
  d.code as letter_code, d.at as letter_at, d.attempts as letter_attempts, d.resolved_at as letter_resolved_at,
  d.resolution as letter_resolution, d.resolved_by as letter_resolved_by, d.resolved_reason as letter_resolved_reason,
  u.found_at as unknown_found_at, u.ended_at as unknown_ended_at, u.ending as unknown_ending, u.closed_at as unknown_closed_at,
  u.decided_by as unknown_decided_by, u.decided_reason as unknown_decided_reason
from found w join lanes l on l.id = w.lane_id
left join writes j on j.lane_id = w.lane_id and j.sequence = w.sequence
left join outcomes o on o.lane_id = w.lane_id and o.sequence = w.sequence
left join dead_letters d on d.lane_id = w.lane_id and d.sequence = w.sequence
left join unknown_outcomes u on u.lane_id = w.lane_id and u.sequence = w.sequence${ADVANCED}`;

/** A hold of a replica that is not registered any more keeps no write waiting. */
const MOVES = `
select a.attempts as failed, a.reason, a.first_at, a.last_at, greatest(0, extract(epoch from a.next_at - now()))::float8 as due_in_seconds,
  case when r.id is not null then l.hold_replica::text end as hold_replica, l.hold_until,
  h.person as held_by, h.reason as held_reason, h.at as held_at
from lanes l
left join flip_attempts a on a.lane_id = l.id
left join replicas r on r.id = l.hold_replica and l.hold_until > now()
left join flip_holds h on h.service = l.service and h.lifted_at is null
where l.key = $1`;

const RETURNS = `
select r.id as rollback, r.person, r.reason, r.began_at,
  case when x.returned_at is not null then 'returned' when r.ended_at is not null then 'stopped' else 'waiting' end as state,
  x.attempts as failed, nullif(x.reason, '') as obstacle,
  case when x.returned_at is null and r.ended_at is null
    then greatest(0, extract(epoch from x.next_at - now()))::float8 end as due_in_seconds,
  x.returned_at, case when x.returned_at is null then r.stopped_by end as stopped_by, x.lost
from rollback_lanes x join rollbacks r on r.id = x.rollback_id join lanes l on l.id = x.lane_id
where l.key = $1 order by r.id desc limit ${RETURNS_SHOWN}`;

interface MovesRow extends Omit<ExplainedFailures, 'failed'> {
  readonly failed: number | null;
  readonly hold_replica: string | null;
  readonly hold_until: Date;
  readonly held_by: string | null;
  readonly held_reason: string;
  readonly held_at: Date;
}

function movesOf(row: MovesRow | undefined): Omit<ExplainedMoves, 'returns'> {
  if (row === undefined) return { failures: null, hold: null, held: null };
  const { hold_replica: replica, hold_until: until, held_by: person, held_reason: reason, held_at: at } = row;
  const { failed, reason: why, first_at, last_at, due_in_seconds } = row;
  return {
    failures: failed === null ? null : { failed, reason: why, first_at, last_at, due_in_seconds },
    hold: replica === null ? null : { replica, until },
    held: person === null ? null : { person, reason, at },
  };
}

/** The facts about lanes and operations in the journal and the ledgers. */
export function createExplainStore(database: Database): ExplainStore {
  return {
    async lane(lane) {
      const rows = await database.query<ExplainedLane>(
        `select l.sequence, l.generation, l.epoch, l.primary_backend, l.condition, l.reason,
           greatest(l.seeded_coverage, 0) as seeded_coverage,
           l.delivered_sequence, l.settled_sequence, l.exceptions, l.finding,
           coalesce(jsonb_array_length(d.findings), 0) as differences, d.run_id as found_by_run
         from lanes l left join divergences d on d.service = l.service and d.owner = l.owner and d.state in ${WAITING}
         where l.key = $1 order by d.id desc limit 1`,
        [lane],
      );
      return rows[0];
    },
    async moves(lane) {
      const [row] = await database.query<MovesRow>(MOVES, [lane]);
      const returns = await database.query<ExplainedReturn>(RETURNS, [lane]);
      return { ...movesOf(row), returns };
    },
    writes: (lane, limit) => database.query<ExplainedWrite>(WRITES, [lane, limit]),
    async write(operation) {
      const rows = await database.query<ExplainedOperation>(OPERATION, [operation]);
      return rows[0];
    },
    async laneOfRead(operation) {
      const rows = await database.query<{ lane: LaneKey }>(
        'select lane from differences where operation_id = $1 limit 1',
        [operation],
      );
      return rows[0]?.lane;
    },
    differences: (of: LaneKey | OperationId, limit) =>
      database.query<ExplainedDifference>(
        `select at, operation_id::text, action, primary_backend, comparison from differences
         where lane = $1 or operation_id::text = $1 order by id desc limit $2`,
        [of, limit],
      ),
  };
}
