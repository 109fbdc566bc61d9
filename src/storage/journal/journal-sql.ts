import { ON_LEGACY, UNRESOLVED } from '../runs/standing.ts';
import { prepared } from '../sessions/session.ts';

export const LANE_COLUMNS =
  'id, key, sequence, generation, epoch, primary_backend, condition, reason, seeded_coverage, exceptions, finding, delivered_sequence, claim_replica, coalesce(repeats_until > now(), false) as may_repeat, uncertain_count';

/** How long an agent that got no reply may repeat its request. */
export const REPEATS = "interval '60 seconds'";

/** How long a replica counts as alive after its last heartbeat. */
export const LEASE = "interval '3 seconds'";

/** A replica without a heartbeat for this time may, one second later, write without the others' knowledge. */
const SILENCE = "interval '2 seconds'";

/** Whether another live replica has the lane's claim. `me` is a parameter. */
export function claimedByOther(lane: string, me: string): string {
  return `(${lane}.claim_replica is not null and ${lane}.claim_replica <> ${me}
    and exists (select from replicas r where r.id = ${lane}.claim_replica and r.heartbeat_at > now() - ${LEASE}))`;
}

/**
 * Whether another replica's write of the lane is open, or another registered replica holds the lane. A delivered write is not open; its
 * outcome row is removed after the retention.
 */
export function busyElsewhere(lane: string, me: string, mayIgnoreOpenWrite = 'false'): string {
  return `((${lane}.hold_until > now() and ${lane}.hold_replica <> ${me}
      and exists (select from replicas r where r.id = ${lane}.hold_replica))
    or (${lane}.writer_replica <> ${me} and not exists (
      select from outcomes o where o.lane_id = ${lane}.id and o.sequence = ${lane}.sequence)
      and greatest(${lane}.settled_sequence, ${lane}.delivered_sequence) < ${lane}.sequence
      and not (${mayIgnoreOpenWrite})))`;
}

export const WRITE_COLUMNS =
  'w.lane_id, w.sequence, w.operation_id, w.action, w.request, w.accepted_at, w.named, w.precedes';

export const LANES = `select ${LANE_COLUMNS} from lanes where key = any($1::text[])`;

/**
 * If another replica is the lane's home, it is notified; without a home this replica becomes it. A known outcome does not repair earlier
 * problems. A lane that waits for a person stays stopped, but its agents repeat their requests all the same.
 */
export const MARK_DIRTY = `
with stopped as (
  update lanes set repeats_until = now() + ${REPEATS}
  where key = $1 and condition = 'stopped' and primary_backend = 'legacy' and $2 = 'unknown_outcome'
)
update lanes set condition = 'dirty',
  claim_replica = case when ${claimedByOther('lanes', '$3')} then claim_replica else $3 end,
  reason = case when condition = 'dirty' and $2 = 'unknown_outcome' then reason else $2 end,
  -- An item that an agent deleted without the journal, after a copy had seeded the lane, is not lost.
  seeded_coverage = case when $2 = 'late_unjournaled' then 0 else seeded_coverage end,
  repeats_until = case when $2 = 'unknown_outcome' then now() + ${REPEATS} else repeats_until end,
  foreign_count = foreign_count + case when ${claimedByOther('lanes', '$3')} then 1 else 0 end,
  uncertain_count = case when ${claimedByOther('lanes', '$3')} then foreign_count + 1 else uncertain_count end
where key = $1 and condition <> 'stopped' and primary_backend = 'legacy'`;

export const STOP_LANE = `
update lanes set condition = 'stopped', reason = $2 where key = $1 and primary_backend = 'legacy'`;

/**
 * Writes up to the first one whose outcome is not durable yet. Outcomes may arrive out of order, and a write that is delivered first
 * excludes an earlier one for good. None if another replica is the lane's home. A window is filled row by row, so that one page does not read a long backlog to its end.
 */
export const PENDING = `
with page as (
  select *, sum(bytes) over (order by sequence) - bytes as bytes_before from (
    select lane_id, sequence, letter, bytes from (
  select w.lane_id, w.sequence, octet_length(w.request) as bytes,
    case when d.lane_id is not null then coalesce(d.resolution, 'open') end as letter, o.outcome,
    count(*) filter (where o.outcome is null) over (order by w.sequence rows unbounded preceding) as unsettled
  from lanes l
  join writes w on w.lane_id = l.id and w.sequence > greatest(l.delivered_sequence, $2)
  left join outcomes o on o.lane_id = w.lane_id and o.sequence = w.sequence
  left join dead_letters d on d.lane_id = w.lane_id and d.sequence = w.sequence
  where l.key = $1 and not ${claimedByOther('l', '$5')}) waiting
    where unsettled = 0 and outcome = 'applied'
    order by sequence limit $3) counted
)
select ${WRITE_COLUMNS}, page.letter from page join writes w using (lane_id, sequence)
where page.bytes_before < $4
order by w.sequence`;

/**
 * A write of unknown outcome may take effect after the copy that settled its lane. The items that this write deletes do not count as
 * lost until the wait for a late reply and the comparison after it have ended.
 */
export const OPEN_END = "interval '2 minutes'";
/** `accepted_at` is from the proxy's clock, which may be an hour off. It only narrows down the rows to check. */
export const ACCEPTED_LATELY = "w.accepted_at > now() - interval '62 minutes'";

/** The items that an open write names, unless an earlier write may still take effect. */
export const NAME_ITEMS = `
update writes target set named = $3
where target.lane_id = $1 and target.sequence = $2 and not exists (
  select from writes w
  left join outcomes o on o.lane_id = w.lane_id and o.sequence = w.sequence
  where w.lane_id = $1 and w.sequence < $2 and ${ACCEPTED_LATELY}
    and coalesce(o.outcome, 'unknown') = 'unknown' and coalesce(o.at, now()) > now() - ${OPEN_END})
returning target.sequence`;

export const UNDELIVERED = `
select ${WRITE_COLUMNS}, coalesce(o.outcome, 'unknown') = 'unknown' as is_uncertain,
  exists (select from coverage c where c.service = l.service and c.ended_at is null and c.number = w.coverage) as is_covered
from lanes l
join writes w on w.lane_id = l.id and w.sequence <= $2
  and (w.sequence > least(l.delivered_sequence, $3::bigint) or ${ACCEPTED_LATELY})
left join outcomes o on o.lane_id = w.lane_id and o.sequence = w.sequence
where l.key = $1 and coalesce(o.outcome, 'unknown') in ('applied', 'unknown')
  and (w.sequence > least(l.delivered_sequence, $3::bigint)
    or (coalesce(o.outcome, 'unknown') = 'unknown' and coalesce(o.at, now()) > now() - ${OPEN_END}))
order by w.sequence`;

export const DELIVERED_SINCE_COPY = `
select ${WRITE_COLUMNS} from lanes l
join writes w on w.lane_id = l.id and w.sequence > l.settled_sequence and w.sequence <= l.delivered_sequence
join outcomes o on o.lane_id = w.lane_id and o.sequence = w.sequence and o.outcome = 'applied'
where l.key = $1 order by w.sequence`;

export const LAST_APPLIED = `
select (extract(epoch from now()) * 1000)::float8 as now_ms, (extract(epoch from max(o.at)) * 1000)::float8 as at_ms,
  (extract(epoch from min(o.at) filter (where o.sequence >= $3)) * 1000)::float8 as first_at_ms,
  (extract(epoch from min(coalesce(w.journaled_at, o.at)) filter (where o.sequence >= $3)) * 1000)::float8 as first_sent_ms,
  min(o.sequence) filter (where o.sequence >= $3) as first_sequence,
  (select max(r.sequence) from reverse_sends r join lanes f on f.id = r.lane_id
    where f.key = $1 and r.ending = 'forgotten' and r.sequence > f.settled_sequence and coalesce(r.sequence < $2::bigint, true))
    as forgotten_through
from lanes l join outcomes o on o.lane_id = l.id left join writes w on w.lane_id = o.lane_id and w.sequence = o.sequence
where l.key = $1 and o.outcome = 'applied' and coalesce(o.sequence < $2::bigint, true)`;

/** If no other live replica is the lane's home, this replica becomes it. */
export const TELL_HOME = `
update lanes set
  foreign_count = foreign_count + case when ${claimedByOther('lanes', '$2')} then 1 else 0 end,
  claim_replica = case when ${claimedByOther('lanes', '$2')} then claim_replica else $2 end,
  condition = case
    when condition = 'copying' and claim_replica is distinct from $2 and not ${claimedByOther('lanes', '$2')} then 'dirty'
    else condition end
where key = $1 returning ${LANE_COLUMNS}`;

/**
 * A restored orchestrator must get its writes again before the sequence of an open write is closed. So an open write of a dead replica
 * does not prevent that the lane is held for it.
 */
const IS_LEFT_OPEN = `not exists (select from replicas r where r.id = lanes.writer_replica)
    and exists (select from restored_lanes l where l.key = lanes.key and l.decided_at is null)`;

/** The outcome of an earlier write may be recorded after that of a later one. A copy would take that write for one that was never sent. */
const AWAITS_OUTCOME_ELSEWHERE = `exists (
    select from writes w join replicas r on r.id = w.replica
    left join outcomes o on o.lane_id = w.lane_id and o.sequence = w.sequence
    where w.lane_id = lanes.id and w.sequence > greatest(lanes.settled_sequence, lanes.delivered_sequence)
      and w.replica <> $2 and o.outcome is null)`;

export const HOLD = `
update lanes set hold_replica = $2, hold_until = now() + make_interval(secs => $3)
where key = $1 and not coalesce(${busyElsewhere('lanes', '$2', IS_LEFT_OPEN)}, false) and not ${AWAITS_OUTCOME_ELSEWHERE}
returning ${LANE_COLUMNS}`;

export const RELEASE_HOLD = `update lanes set hold_until = null where key = $1 and hold_replica = $2`;

/**
 * Lanes of this home that other replicas wrote or found uncertain. They are returned again until this replica confirms them: the next
 * query sends back the counts of the last answer.
 */
export const TAKE_FOREIGN = `
with told as (
  select * from unnest($2::bigint[], $3::bigint[]) as t(id, count)
), locked as (
  select id from lanes where id in (select id from told) order by key for update
), seen as (
  update lanes set foreign_seen = greatest(foreign_seen, told.count)
  from told join locked using (id) where lanes.id = told.id
  returning lanes.id, lanes.foreign_count, lanes.foreign_seen
)
select ${LANE_COLUMNS}, foreign_count from lanes
where claim_replica = $1 and foreign_count > foreign_seen
  and not exists (select from seen where seen.id = lanes.id and seen.foreign_count <= seen.foreign_seen)`;

export const UNWELL = `select key from lanes where condition in ('copying', 'dirty') and claim_replica = $1`;

/** Whether a replica with these services may have written to the lane. */
function concerns(services: string): string {
  return `(${services} is null or lanes.service = any(${services}))`;
}

/** A lane as seen by all replicas. An acknowledged write that is not recorded as delivered keeps its reads on the primary. */
export const FENCES = prepared(`
select ${LANE_COLUMNS},
  exists (
    select from writes w left join outcomes o on o.lane_id = w.lane_id and o.sequence = w.sequence
    where w.lane_id = lanes.id and w.sequence > lanes.delivered_sequence
      and coalesce(o.outcome, 'unknown') in ('applied', 'unknown')) as behind,
  coalesce((select c.number from coverage c where c.service = lanes.service and c.ended_at is null), 0) as coverage,
  (exists (select from spills s where s.open_since is not null and ${concerns('s.services')})
    or exists (select from replicas r where r.spill is not null and r.heartbeat_at < now() - ${SILENCE}
      and ${concerns('r.services')})) as silent
from lanes where key = any($1::text[])`);

/** An intent for which it was unknown whether it became durable. Nothing was sent. */
export const ABANDON = `
insert into outcomes (lane_id, sequence, outcome)
select w.lane_id, w.sequence, 'not_applied' from lanes l join writes w on w.lane_id = l.id
where l.key = $1 and w.operation_id = $2
on conflict do nothing`;

export const COUNTS = `
select
  count(*) as lanes,
  count(*) filter (where primary_backend = 'orchestrator') as flipped,
  -- A new coverage says nothing of a flipped lane.
  count(*) filter (where primary_backend = 'orchestrator' or seeded_coverage > 0
    and seeded_coverage = (select coalesce(max(number), 0) from coverage where service = $1 and ended_at is null)) as seeded,
  count(*) filter (where condition = 'dirty') as dirty,
  count(*) filter (where condition = 'copying') as copying,
  count(*) filter (where condition = 'stopped') as stopped,
  count(*) filter (where exceptions > 0) as excepted,
  (select count(*) from divergences where service = $1 and state in ${UNRESOLVED}) as differs,
  (select min(found_at) from divergences where service = $1 and state in ${UNRESOLVED}) as "differsSince",
  (select count(*) from divergences where service = $1 and state = ${ON_LEGACY}) as "legacyDiffers",
  (select count(*) from dead_letters d join lanes l on l.id = d.lane_id
    where l.service = $1 and d.resolved_at is null) as "deadLetters",
  (select count(*) from unknown_outcomes u where u.service = $1 and u.closed_at is null and u.ended_at is null) as unknown,
  (select count(*) from lost_items where service = $1 and decision is null) as "lostItems",
  (select count(*) from restored_lanes where service = $1 and decided_at is null) as restored,
  (select min(found_at) from lost_items where service = $1 and decision is null) as "lostSince"
from lanes where service = $1`;

/** Lanes that are not seeded under this coverage: they never were, or unjournaled writes may have passed since. */
export const OUTDATED = `
select owner from lanes where service = $1 and seeded_coverage < $2 and primary_backend = 'legacy' order by id`;

export const RETURNED = `
select owner from lanes
where service = $1 and seeded_coverage < $2 and primary_backend = 'legacy' and epoch > 0 order by id`;

/** Number of rows that one statement deletes. */
export const PRUNED_AT_ONCE = 5_000;

/** A condition on the stored outcome of a write. */
function outcomeIs(condition: string): string {
  return `exists (select from outcomes o where o.lane_id = w.lane_id and o.sequence = w.sequence and ${condition})`;
}

/**
 * The orchestrator may be restored from its newest verified backup, and is then given the later writes again. `accepted_at` is from a
 * proxy's clock, which may be an hour off.
 */
const IS_BACKED_UP =
  "w.accepted_at < (select max(b.until) from orchestrator_backups b) - interval '62 minutes' and w.sequence < l.sequence";

/**
 * Writes without effect are removed too, even if no later write is delivered. The lane's newest write stays, because it would count as
 * open without its outcome. A proxy's clock may be an hour slow, so a write that may still take effect, or be repeated, stays although
 * it looks old. Writes after a write of unknown outcome stay as well, because a copy asks whether that write may have deleted them.
 */
export const PRUNE = `
with old as (
  select w.lane_id, w.sequence from writes w join lanes l on l.id = w.lane_id
  where w.accepted_at < now() - make_interval(hours => $1)
    and (w.sequence <= greatest(l.delivered_sequence, l.settled_sequence)
      or w.sequence < l.sequence and ${outcomeIs("o.outcome = 'applied'")} and exists (select from lost_ways_back b where b.lane_id = l.id)
      or w.sequence < l.sequence and ${outcomeIs("o.outcome in ('refused', 'not_applied')")})
    and not ${outcomeIs(`o.outcome = 'unknown' and o.at > now() - ${OPEN_END}`)}
    and not exists (select from unknown_outcomes u where u.lane_id = w.lane_id and u.sequence < w.sequence and u.found_at > now() - ${OPEN_END})
    and not exists (select from kept_replies r where r.lane_id = w.lane_id and r.sequence = w.sequence)
    and not exists (select from dead_letters d where d.lane_id = w.lane_id and d.sequence = w.sequence and d.resolved_at is null)
    and (l.primary_backend = 'legacy' or ${IS_BACKED_UP})
  order by w.accepted_at limit ${PRUNED_AT_ONCE}
), outcomes_gone as (
  delete from outcomes o using old where o.lane_id = old.lane_id and o.sequence = old.sequence
), sends_gone as (
  -- The newest of each lane stays, because it tells when legacy last had the owner. Those with a decision are a ledger.
  delete from reverse_sends r using old where r.lane_id = old.lane_id and r.sequence = old.sequence and r.halted_at is null
    and exists (select from reverse_sends later
      where later.lane_id = r.lane_id and later.sequence > r.sequence and later.ending in ('applied', 'forgotten'))
), advances_gone as (
  delete from lane_advances a using old where a.lane_id = old.lane_id and a.sequence = old.sequence
)
delete from writes w using old where w.lane_id = old.lane_id and w.sequence = old.sequence returning w.sequence`;
