import { recordUnknown } from './decisions-sql.ts';
import { ACCEPTED_LATELY, LEASE, OPEN_END, REPEATS } from './journal-sql.ts';

/** Whether nobody is left whose it is. */
export function gone(replica: string): string {
  return `(${replica} is null or not exists (select from replicas r where r.id = ${replica}))`;
}

/** Replicas that are silent for longer than their lease are no replicas any more. What they may have spilled is missed from now on. */
export const REMOVE_DEAD = `
with dead as (delete from replicas where id <> $1 and heartbeat_at < now() - ${LEASE} returning spill)
update spills set open_since = coalesce(open_since, now()) from dead where spills.id = dead.spill`;

const UNSETTLED = `
select w.lane_id, w.sequence from writes w
left join outcomes o on o.lane_id = w.lane_id and o.sequence = w.sequence
where w.lane_id = lanes.id and w.sequence > lanes.settled_sequence and (o.outcome is null or o.outcome = 'unknown')`;

/** Whether a recovery is about this lane: all of them, where no key is given. */
function isAbout(parameter: string, key = 'key'): string {
  return `(${parameter}::text is null or ${key} = ${parameter})`;
}

/** All that a recovery changes, locked in lane order before any of it is: as in the group commit, or the two deadlock for a second. */
export const LOCK_ABANDONED = `
select id from lanes
where ${isAbout('$1')} and (
  (${gone('claim_replica')} and (condition in ('copying', 'dirty') or delivered_sequence < sequence))
  or (condition in ('clean', 'copying') and ${gone('writer_replica')} and exists (${UNSETTLED})))
order by key for update`;

/** Where another replica that lives is the lane's home, that one is told. `$1` is this replica. */
export const MARK_UNSETTLED = `
update lanes set
  condition = 'dirty',
  reason = case condition when 'copying' then 'copy_interrupted' else 'unsettled' end,
  foreign_count = foreign_count + case when ${gone('claim_replica')} or claim_replica = $1 then 0 else 1 end
where ${isAbout('$2')} and (
  (condition = 'copying' and ${gone('claim_replica')})
  or (condition in ('clean', 'copying') and ${gone('writer_replica')} and exists (${UNSETTLED})))`;

/** The outcome that nobody is left to tell. Others may write to the lane from now on, and what comes late changes nothing. */
export const SETTLE_ABANDONED = `
with abandoned as (
  insert into outcomes (lane_id, sequence, outcome)
  select unsettled.lane_id, unsettled.sequence, 'unknown'
  from lanes cross join lateral (${UNSETTLED} and o.outcome is null) unsettled
  where condition <> 'clean' and ${gone('writer_replica')} and ${isAbout('$1')}
  on conflict do nothing returning lane_id, sequence
), repeatable as (
  -- Its agent has no reply, and may ask again.
  update lanes set repeats_until = now() + ${REPEATS} where id in (select lane_id from abandoned)
)${recordUnknown('select lane_id, sequence from abandoned')}`;

/** Lanes with work left and no home: this replica is it from now on. */
export const ADOPT_ORPHANS = `
update lanes set claim_replica = $1, claim_fence = claim_fence + 1
where (condition = 'dirty' or delivered_sequence < sequence) and ${isAbout('$2')}
  and (claim_replica is distinct from $1) and ${gone('claim_replica')}`;

export const DIRTY = `select key from lanes 
where condition = 'dirty' and claim_replica = $1 and ${isAbout('$2')} order by key`;

/** Of each lane only its newest applied write is looked for, from the end: an hour's backlog is 1.8 million rows. */
export const LANES_WITH_PENDING = `
select l.key, pending.newest from lanes l
cross join lateral (
  select w.sequence as newest from writes w
  join outcomes o on o.lane_id = w.lane_id and o.sequence = w.sequence
  where w.lane_id = l.id and w.sequence > l.delivered_sequence and o.outcome = 'applied'
  order by w.sequence desc limit 1) pending
where l.claim_replica = $1 and l.delivered_sequence < l.sequence and ${isAbout('$2', 'l.key')} order by l.key`;

export const UNCLOSED = `
select distinct l.key from writes w
join lanes l on l.id = w.lane_id
left join outcomes o on o.lane_id = w.lane_id and o.sequence = w.sequence
where ${ACCEPTED_LATELY} and coalesce(o.outcome, 'unknown') = 'unknown' and coalesce(o.at, now()) > now() - ${OPEN_END}
  and (l.claim_replica = $1 or ${gone('l.claim_replica')}) and ${isAbout('$2', 'l.key')}
union
select l.key from unknown_outcomes u join lanes l on l.id = u.lane_id
where u.closed_at is null and (l.claim_replica = $1 or ${gone('l.claim_replica')}) and ${isAbout('$2', 'l.key')}`;

/** Copies that nobody is at: their replica died before, or while, they began. */
export const TAKE_ABANDONED = `
update lanes set condition = 'dirty', reason = 'copy_interrupted', claim_replica = $1, foreign_count = foreign_count + 1
where condition = 'copying' and ${gone('claim_replica')}`;
