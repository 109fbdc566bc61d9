import { REPEATS } from './journal/journal-sql.ts';

/** A redriven dead letter that is refused again is open again. A skipped or copied one keeps its state. */
export const DEAD_LETTER = `
insert into dead_letters (lane_id, sequence, code, reason, operation_id, action)
select w.lane_id, w.sequence, $3, $4, w.operation_id, w.action from writes w where w.lane_id = $1 and w.sequence = $2
on conflict (lane_id, sequence) do update set
  code = excluded.code, reason = excluded.reason, at = now(), attempts = dead_letters.attempts + 1,
  resolved_at = null, resolution = null, resolved_by = null, resolved_reason = null
where dead_letters.resolution = 'redriven'`;

/**
 * Adds writes to the ledger of unknown outcomes. The query returns their `lane_id` and `sequence`.
 * @param seedsUnder the coverage under which the write's success would seed its lane
 */
export function recordUnknown(found: string, seedsUnder = 'null'): string {
  return `
insert into unknown_outcomes (lane_id, sequence, operation_id, service, lane, action, accepted_at, seeds_under)
select w.lane_id, w.sequence, w.operation_id, l.service, l.key, w.action, w.accepted_at, ${seedsUnder}::bigint
from (${found}) as found join writes w using (lane_id, sequence) join lanes l on l.id = w.lane_id
on conflict do nothing`;
}

/** The mark of the lane may come later, or not at all if the process dies. Until then, only this finds a repeat of the write. */
export const RECORD_UNKNOWN = `
with repeatable as (
  update lanes set repeats_until = now() + ${REPEATS} where id = $1
)${recordUnknown('select $1::bigint as lane_id, $2::bigint as sequence', '$3')}`;

/** Reasons of lanes that are dirty only because an outcome is missing. */
const FOR_WANT_OF_AN_OUTCOME = "('unknown_outcome', 'unsettled')";

/** Whether the lane was seeded under the open coverage. `seeds` is the coverage under which this statement seeds it. */
function isSeeded(lane: string, seeds: string): string {
  return `greatest(${lane}.seeded_coverage, ${seeds}) =
    (select c.number from coverage c where c.service = ${lane}.service and c.ended_at is null)`;
}

/** Another write of the lane, not covered by a copy, whose outcome is unknown. */
function otherUnknown(lane: string, sequence: string): string {
  return `exists (
    select from writes w left join outcomes o on o.lane_id = w.lane_id and o.sequence = w.sequence
    where w.lane_id = ${lane}.id and w.sequence > ${lane}.settled_sequence and w.sequence <> ${sequence}
      and coalesce(o.outcome, 'unknown') = 'unknown')`;
}

/**
 * A late reply makes the outcome known. It also makes the lane clean if the lane has no other problem. The write must be its newest.
 * No copy may have started since, and no earlier copy may have ended after it.
 */
export function resolveLate(columns: string): string {
  return `
with lane as (
  select l.id from lanes l
  where l.id = $1 and l.sequence = $2 and l.settled_sequence < $2 and l.generation = $4 and l.condition = 'dirty'
    and l.reason in ${FOR_WANT_OF_AN_OUTCOME} and ${isSeeded('l', '$5::bigint')} and not ${otherUnknown('l', '$2')}
  for update
), known as (
  update outcomes o set outcome = $3, at = now() from lane
  where o.lane_id = lane.id and o.sequence = $2 and o.outcome = 'unknown' returning o.lane_id
), ended as (
  update unknown_outcomes u set ended_at = now(), ending = 'late_reply', closed_at = now()
  from known where u.lane_id = known.lane_id and u.sequence = $2 and u.ended_at is null
)
update lanes set condition = 'clean', reason = '', seeded_coverage = greatest(seeded_coverage, $5)
from known where lanes.id = known.lane_id
returning ${columns}`;
}

/**
 * Cleans the lane of a write whose outcome a person has decided, if the lane has no other problem. Spilled writes are in the journal by
 * then, so a spilled lane also waits only for outcomes.
 */
export const CLEAN_LANE = `
update lanes set condition = 'clean', reason = '', seeded_coverage = greatest(seeded_coverage, $3::bigint)
where id = $1 and condition = 'dirty' and (reason in ${FOR_WANT_OF_AN_OUTCOME} or reason = 'spilled')
  and ${isSeeded('lanes', '$3::bigint')} and not ${otherUnknown('lanes', '$2')}
returning id`;

/** From now on the lane's home (this replica or another) delivers its spilled writes. */
export const CLEAN_SPILLED = `
update lanes set condition = 'clean', reason = '', foreign_count = foreign_count + 1
where key = $1 and condition = 'dirty' and reason = 'spilled' and ${isSeeded('lanes', '0')} and not ${otherUnknown('lanes', '0')}`;

/** Skipped dead letters and sends are kept, because they list the writes that the secondary lacks. */
export const PRUNE_LEDGERS = `
with letters as (
  delete from dead_letters where resolution <> 'skipped' and resolved_at < now() - make_interval(days => $1)
), sends as (
  delete from reverse_sends where halted_at is not null and ending <> 'skipped' and ended_at < now() - make_interval(days => $1)
)
delete from unknown_outcomes where closed_at < now() - make_interval(days => $1)`;
