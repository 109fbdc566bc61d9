const LANE_COLUMNS =
  'id, key, sequence, generation, epoch, primary_backend, condition, reason, seeded_coverage, exceptions, delivered_sequence';

const WRITE_COLUMNS = 'w.lane_id, w.sequence, w.operation_id, w.action, w.request, w.accepted_at';

/** The group commit: outcomes of past writes, and new intents, each with its lane's next sequence. Lanes are locked in lane order: in arrival order two replicas deadlock. */
export const COMMIT = `
with asked as (
  select * from unnest($1::text[], $2::text[], $3::text[], $4::uuid[], $5::text[], $6::text[], $7::timestamptz[])
    as t(key, service, owner, operation_id, action, request, accepted_at)
), settled as (
  insert into outcomes (lane_id, sequence, outcome)
  select * from unnest($9::bigint[], $10::bigint[], $11::text[])
  on conflict do nothing
), locked as (
  insert into lanes (key, service, owner, sequence)
  select key, service, owner, 1 from asked order by key
  on conflict (key) do update set sequence = lanes.sequence + 1
  returning ${LANE_COLUMNS}
), stored as (
  insert into writes (lane_id, sequence, operation_id, action, request, accepted_at, replica)
  select locked.id, locked.sequence, operation_id, action, request, accepted_at, $8::uuid
  from locked join asked using (key)
)
select * from locked`;

export const LANES = `select ${LANE_COLUMNS} from lanes where key = any($1::text[])`;

export const MARK_DIRTY = `
update lanes set condition = 'dirty', reason = $2 where key = $1 and condition <> 'stopped'`;

export const STOP_LANE = `update lanes set condition = 'stopped', reason = $2 where key = $1`;

export const DEAD_LETTER = `
insert into dead_letters (lane_id, sequence, code, reason) values ($1, $2, $3, $4) on conflict do nothing`;

export const PENDING = `
select ${WRITE_COLUMNS} from lanes l
join writes w on w.lane_id = l.id and w.sequence > greatest(l.delivered_sequence, $2)
join outcomes o on o.lane_id = w.lane_id and o.sequence = w.sequence
where l.key = $1 and o.outcome = 'applied'
order by w.sequence limit $3`;

export const UNDELIVERED = `
select ${WRITE_COLUMNS} from lanes l
join writes w on w.lane_id = l.id and w.sequence > l.delivered_sequence and w.sequence <= $2
left join outcomes o on o.lane_id = w.lane_id and o.sequence = w.sequence
where l.key = $1 and coalesce(o.outcome, 'unknown') in ('applied', 'unknown')
order by w.sequence`;

export const BEGIN_COPY = `
insert into lanes (key, service, owner, generation, condition) values ($1, $2, $3, 1, 'copying')
on conflict (key) do update set generation = lanes.generation + 1, condition = 'copying', reason = ''
returning ${LANE_COLUMNS}`;

/**
 * What became dirty while the copy ran stays dirty, and a copy of an older generation finishes nothing.
 * The exceptions replace those of the copy before; an item that was accepted before stays so.
 */
export const FINISH_COPY = `
with lane as (
  select id from lanes where key = $1 and generation = $2 for update
), gone as (
  delete from lane_exceptions e using lane where e.lane_id = lane.id and not e.item = any($5::text[])
), kept as (
  insert into lane_exceptions (lane_id, item, action, code, reason)
  select distinct on (item) lane.id, item, action, code, reason
  from lane cross join unnest($5::text[], $6::text[], $7::text[], $8::text[]) as t(item, action, code, reason)
  on conflict (lane_id, item) do update set code = excluded.code, reason = excluded.reason, at = now()
  returning accepted_at
)
update lanes set
  condition = case condition when 'copying' then 'clean' else condition end,
  seeded_coverage = greatest(seeded_coverage, $4),
  delivered_sequence = greatest(delivered_sequence, $3),
  settled_sequence = greatest(settled_sequence, $3),
  exceptions = (select count(*) from kept where accepted_at is null)
from lane where lanes.id = lane.id
returning ${LANE_COLUMNS.replace(/^id/, 'lanes.id')}`;

export const MARK_UNSETTLED = `
update lanes set condition = 'dirty', reason = case condition when 'copying' then 'copy_interrupted' else 'unsettled' end
where condition = 'copying' or (condition = 'clean' and exists (
  select from writes w
  left join outcomes o on o.lane_id = w.lane_id and o.sequence = w.sequence
  where w.lane_id = lanes.id and w.sequence > lanes.settled_sequence
    and (o.outcome is null or o.outcome = 'unknown')))`;

export const DIRTY = `select key from lanes where condition = 'dirty' order by key`;

export const LANES_WITH_PENDING = `
select distinct l.key from lanes l
join writes w on w.lane_id = l.id and w.sequence > l.delivered_sequence
join outcomes o on o.lane_id = w.lane_id and o.sequence = w.sequence
where o.outcome = 'applied' order by l.key`;

export const COUNTS = `
select
  count(*) as lanes,
  count(*) filter (where seeded_coverage = (select coalesce(max(number), 0) from coverage where service = $1 and ended_at is null)
    and seeded_coverage > 0) as seeded,
  count(*) filter (where condition = 'dirty') as dirty,
  count(*) filter (where condition = 'copying') as copying,
  count(*) filter (where condition = 'stopped') as stopped,
  count(*) filter (where exceptions > 0) as excepted,
  (select count(*) from dead_letters d join lanes l on l.id = d.lane_id
    where l.service = $1 and d.resolved_at is null) as "deadLetters"
from lanes where service = $1`;

export const PRUNE = `
with old as (
  select w.lane_id, w.sequence from writes w join lanes l on l.id = w.lane_id
  where w.accepted_at < now() - make_interval(hours => $1)
    and w.sequence <= greatest(l.delivered_sequence, l.settled_sequence)
    and not exists (select from dead_letters d where d.lane_id = w.lane_id and d.sequence = w.sequence and d.resolved_at is null)
  order by w.accepted_at limit 5000
), outcomes_gone as (
  delete from outcomes o using old where o.lane_id = old.lane_id and o.sequence = old.sequence
)
delete from writes w using old where w.lane_id = old.lane_id and w.sequence = old.sequence returning w.sequence`;
