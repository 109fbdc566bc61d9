import { recordUnknown } from '../decisions-sql.ts';
import { busyElsewhere, claimedByOther, LANE_COLUMNS, REPEATS } from '../journal/journal-sql.ts';
import { gone } from '../journal/recovery-sql.ts';

/** Advances to the next page. No row means that an earlier attempt, whose result was lost, has written it. */
export const ADVANCE = `
insert into spills (id, replayed) values ($1, $3)
on conflict (id) do update set replayed = $3 where spills.replayed = $2
returning replayed`;

export const PROGRESS = 'select replayed from spills where id = $1';

/** Locks the lanes, in lane order like every commit, and creates new ones. */
export const LOCK_LANES = `
insert into lanes (key, service, owner)
select key, service, owner from unnest($1::text[], $2::text[], $3::text[]) as t(key, service, owner) order by key
on conflict (key) do update set sequence = lanes.sequence
returning key, coalesce(${busyElsewhere('lanes', '$4')}, false)
  and ((hold_until > now() and not ${gone('hold_replica')}) or not ${gone('writer_replica')}) as is_busy`;

/**
 * The writer of the newest conclusive write of each lane. An intent of the spilling replica, or of this one, without a certain outcome may
 * have become durable late. It would hide the previous writer, so it is skipped.
 */
export const LAST_WRITERS = `
select t.key, (
  select w.replica from writes w
  left join outcomes o on o.lane_id = w.lane_id and o.sequence = w.sequence
  where w.lane_id = l.id
    and (o.outcome in ('applied', 'refused') or w.replica not in (t.replica, $3))
  order by w.sequence desc limit 1) as replica
from unnest($1::text[], $2::uuid[]) as t(key, replica) join lanes l on l.key = t.key`;

/** Settles open writes of a dead replica, because no other replica knows their outcomes. */
export const SETTLE_GONE = withLedger(`
insert into outcomes (lane_id, sequence, outcome)
select id, sequence, 'unknown' from lanes
where key = any($1::text[]) and sequence > settled_sequence and writer_replica <> $2 and ${gone('writer_replica')}`);

/** Reserves sequences for the writes of each lane, and marks it dirty. Its home is notified; without one, this replica becomes it. */
export const TAKE_PLACES = `
update lanes set
  sequence = lanes.sequence + asked.writes,
  writer_replica = $3,
  -- Agents without a reply to one of these writes may repeat it.
  repeats_until = now() + ${REPEATS},
  condition = case condition when 'stopped' then 'stopped' else 'dirty' end,
  reason = case condition when 'stopped' then reason else 'spilled' end,
  foreign_count = foreign_count + case when ${claimedByOther('lanes', '$3')} then 1 else 0 end,
  uncertain_count = case when ${claimedByOther('lanes', '$3')} then foreign_count + 1 else uncertain_count end,
  claim_fence = claim_fence + case when claim_replica = $3 or ${claimedByOther('lanes', '$3')} then 0 else 1 end,
  claim_replica = case when ${claimedByOther('lanes', '$3')} then claim_replica else $3 end
from unnest($1::text[], $2::bigint[]) as asked(key, writes)
where lanes.key = asked.key
returning ${LANE_COLUMNS.replace('key', 'lanes.key')}`;

export const INSERT_WRITES = `
insert into writes (lane_id, sequence, operation_id, action, request, accepted_at, coverage, replica)
select lane_id, sequence, operation_id, action, request, accepted_at, coverage, $8::uuid
from unnest($1::bigint[], $2::bigint[], $3::uuid[], $4::text[], $5::text[], $6::timestamptz[], $7::bigint[])
  as t(lane_id, sequence, operation_id, action, request, accepted_at, coverage)`;

export const INSERT_OUTCOMES = withLedger(`
insert into outcomes (lane_id, sequence, outcome)
select * from unnest($1::bigint[], $2::bigint[], $3::text[])`);

/** A lane has at most one open write of a spill: the newest one without an outcome. */
export const SETTLE_EARLIER = withLedger(`
insert into outcomes (lane_id, sequence, outcome)
select w.lane_id, w.sequence, t.outcome
from unnest($1::text[], $2::uuid[], $3::text[]) as t(key, operation_id, outcome)
join lanes l on l.key = t.key
join writes w on w.lane_id = l.id and w.operation_id = t.operation_id`);

/** Inserts outcomes, and adds the unknown ones to the ledger. */
function withLedger(insert: string): string {
  return `
with settled as (${insert}
  on conflict do nothing returning lane_id, sequence, outcome
)${recordUnknown("select lane_id, sequence from settled where outcome = 'unknown'")}`;
}
