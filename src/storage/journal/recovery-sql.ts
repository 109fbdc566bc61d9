import { recordUnknown } from '../decisions-sql.ts';
import { ACCEPTED_LATELY, LEASE, OPEN_END, REPEATS } from './journal-sql.ts';

/** Whether the replica is no longer registered. */
export function gone(replica: string): string {
  return `(${replica} is null or not exists (select from replicas r where r.id = ${replica}))`;
}

/** Removes replicas that are silent for longer than their lease. From now on their possible spills count as missing. */
export const REMOVE_DEAD = `
with dead as (delete from replicas where id <> $1 and heartbeat_at < now() - ${LEASE} returning spill)
update spills set open_since = coalesce(open_since, now()) from dead where spills.id = dead.spill`;

/** Whether a recovery concerns this lane; without a key it concerns all lanes. */
function isAbout(parameter: string, key = 'key'): string {
  return `(${parameter}::text is null or ${key} = ${parameter})`;
}

/** Lanes of other services are left to the replicas that serve them. Null: this replica serves all services. */
function isServed(parameter: string, service = 'service'): string {
  return `(${parameter}::text[] is null or ${service} = any(${parameter}))`;
}

/** A lane, `l`, whose history is not marked as uncertain yet. */
const CERTAIN = `l.primary_backend = 'legacy' and ${isAbout('$1', 'l.key')} and ${isServed('$2', 'l.service')} and l.condition in ('clean', 'copying')`;

const LACKS_OUTCOME =
  'not exists (select from outcomes o where o.lane_id = w.lane_id and o.sequence = w.sequence)';

/**
 * A write, `w`, without an outcome, whose replica is gone. Other replicas may have written to its lane since. A replica continues while the
 * outcome of its last write is on its way to the journal. The next writer checks only the newest write.
 */
const ABANDONED = `${LACKS_OUTCOME} and ${gone('w.replica')}`;

/**
 * Lanes with a write of a dead replica whose outcome is missing or unknown, and that no copy has settled since. One query reads all
 * writes together, because lane by lane an hour's backlog of 1.8 million writes took 2 s for each statement.
 */
export const FIND_UNSETTLED = `
select l.id from lanes l join writes w on w.lane_id = l.id
where ${CERTAIN} and w.sequence > greatest(l.settled_sequence, l.delivered_sequence) and ${ABANDONED}
union
select l.id from lanes l join outcomes o on o.lane_id = l.id
join writes w on w.lane_id = o.lane_id and w.sequence = o.sequence
where ${CERTAIN} and ${gone('w.replica')} and o.sequence > l.settled_sequence and o.outcome = 'unknown'`;

/** Locks all lanes that a recovery changes, in lane order as in the group commit. Otherwise the two deadlock for a second. */
export const LOCK_ABANDONED = `
select id from lanes
where id = any($2::bigint[])
  or (${isAbout('$1')} and ${isServed('$3')} and ${gone('claim_replica')} and (condition in ('copying', 'dirty') or delivered_sequence < sequence))
order by key for update`;

/** If another live replica is the lane's home, it is notified. `$1` is this replica, `$3` are the unsettled lanes. */
export const MARK_UNSETTLED = `
update lanes set
  condition = 'dirty',
  reason = case condition when 'copying' then 'copy_interrupted' else 'unsettled' end,
  foreign_count = foreign_count + case when ${gone('claim_replica')} or claim_replica = $1 then 0 else 1 end,
  uncertain_count = case when ${gone('claim_replica')} or claim_replica = $1 then uncertain_count else foreign_count + 1 end
where condition in ('clean', 'copying') and id = any($3::bigint[])
  or condition = 'copying' and ${gone('claim_replica')} and ${isAbout('$2')} and ${isServed('$4')}`;

/** Writes the missing outcomes of dead replicas. Other replicas can write to the lane from now on, and a late outcome changes nothing. */
export const SETTLE_ABANDONED = `
with abandoned as (
  insert into outcomes (lane_id, sequence, outcome)
  select w.lane_id, w.sequence, 'unknown'
  from lanes l join writes w on w.lane_id = l.id and w.sequence > l.settled_sequence
  where l.condition <> 'clean' and ${isAbout('$1', 'l.key')} and ${isServed('$2', 'l.service')} and ${ABANDONED}
  on conflict do nothing returning lane_id, sequence
), repeatable as (
  -- Its agent has no reply, and may repeat the request.
  update lanes set repeats_until = now() + ${REPEATS} where id in (select lane_id from abandoned)
)${recordUnknown('select lane_id, sequence from abandoned')}`;

/** Lanes with remaining work and without a home. This replica becomes their home. */
export const ADOPT_ORPHANS = `
update lanes set claim_replica = $1, claim_fence = claim_fence + 1
where (condition = 'dirty' or delivered_sequence < sequence) and ${isAbout('$2')} and ${isServed('$3')}
  and (claim_replica is distinct from $1) and ${gone('claim_replica')}`;

export const DIRTY = `select key from lanes 
where condition = 'dirty' and claim_replica = $1 and ${isAbout('$2')} order by key`;

/** Writes of dead replicas that the orchestrator may or may not have taken as their primary. */
export const OPEN_ON_ORCHESTRATOR = `
select l.id as lane_id, l.key, l.epoch, l.generation, w.sequence, w.operation_id
from lanes l join writes w on w.lane_id = l.id and w.sequence > l.delivered_sequence
where l.primary_backend = 'orchestrator' and l.claim_replica = $1 and ${isAbout('$2', 'l.key')} and ${ABANDONED}
order by l.key, w.sequence`;

/** For each lane it searches only the newest applied write, from the end, because an hour's backlog is 1.8 million rows. */
export const LANES_WITH_PENDING = `
select l.key, pending.newest from lanes l
cross join lateral (
  select w.sequence as newest from writes w
  join outcomes o on o.lane_id = w.lane_id and o.sequence = w.sequence
  where w.lane_id = l.id and w.sequence > l.delivered_sequence and o.outcome = 'applied'
  order by w.sequence desc limit 1) pending
where l.claim_replica = $1 and l.delivered_sequence < l.sequence and ${isAbout('$2', 'l.key')} order by l.key`;

/** Whether this replica, `$1`, must check the lane, `l`, again. */
const IS_OURS = `(l.claim_replica = $1 or ${gone('l.claim_replica')}) and ${isAbout('$2', 'l.key')}
  and ${isServed('$3', 'l.service')}`;

/**
 * Writes of dead replicas without an outcome are unknown by now, except those that a copy covered while they were open. So missing
 * outcomes are searched only up to that copy. Searching all writes of an hour's backlog took up to 4.4 s.
 */
export const UNCLOSED = `
with covered as materialized (
  select l.id, l.key, l.settled_sequence from lanes l where l.settled_sequence > 0 and ${IS_OURS}
)
select covered.key from covered join writes w on w.lane_id = covered.id and w.sequence <= covered.settled_sequence
where ${ACCEPTED_LATELY} and ${LACKS_OUTCOME}
union
select l.key from lanes l join writes w on w.lane_id = l.id
join outcomes o on o.lane_id = w.lane_id and o.sequence = w.sequence
where ${ACCEPTED_LATELY} and o.outcome = 'unknown' and o.at > now() - ${OPEN_END} and ${IS_OURS}
union
select l.key from unknown_outcomes u join lanes l on l.id = u.lane_id
where u.closed_at is null and ${IS_OURS}`;

/** Copies whose replica died before or during their start. */
export const TAKE_ABANDONED = `
update lanes set condition = 'dirty', reason = 'copy_interrupted', claim_replica = $1, foreign_count = foreign_count + 1
where condition = 'copying' and ${gone('claim_replica')} and ${isServed('$2')}`;
