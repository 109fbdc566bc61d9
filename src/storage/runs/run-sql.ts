import { LEASE } from '../journal/journal-sql.ts';
import { UNSETTLED } from './standing-sql.ts';

const COLUMNS = 'id, kind, request, state, reason, began_at, finished_at, survey, report';

/** Whether the claim belongs to a live replica. */
function lives(claim: string): string {
  return `exists (select from replicas r where r.id = ${claim} and r.heartbeat_at > now() - ${LEASE})`;
}

/** Only one run of a kind may be active, so replicas that start or resume a run wait for each other here. */
export const ONE_BY_ONE = 'lock table runs in share row exclusive mode';

const underWay = (kind: string): string =>
  `exists (select from runs o where o.kind = ${kind} and o.state in ('listing', 'running'))`;

/** A database sequence can skip up to 32 numbers after a crash, as if runs were missing. The locked table gives the next number instead. */
export const CREATE = `
insert into runs (id, kind, request) overriding system value
select (select coalesce(max(id), 0) + 1 from runs), $1, $2::jsonb where not ${underWay('$1')}
on conflict do nothing returning ${COLUMNS}`;

export const TAKE_UP = `
update runs set state = $2, reason = '', finished_at = null
where id = $1 and state in ('stopped', 'failed') and not ${underWay('runs.kind')} returning id`;

export const GET = `select ${COLUMNS} from runs where id = $1`;

export const RECENT = `
select ${COLUMNS} from runs where $1::text is null or kind = $1 order by id desc limit $2`;

/** A later finding settles the open finding of its lane at the same moment. */
export const STANDING_OF = `
select one.run_id as run, count(*) filter (where one.state in ${UNSETTLED}) as unsettled, count(later.owner) as superseded,
  count(*) filter (where one.state = 'undone') as undone, count(*) filter (where one.state = 'lost') as lost
from divergences one left join (select distinct service, owner, found_at, run_id from divergences) later
  on one.state = 'gone' and later.service = one.service and later.owner = one.owner and later.found_at = one.settled_at
  and later.run_id > one.run_id
where one.run_id = any($1::bigint[]) group by one.run_id`;

export const OPEN = `select ${COLUMNS} from runs where state in ('listing', 'running') order by id`;

export const COUNTERS = `
select service, lanes, lanes_done as "lanesDone", counts, digest::text as digest from run_counters where run_id = $1 order by service`;

/** Limits the rows of one query, because the result of a page may be long. */
export const RESULTS_PER_QUERY = 500;

export const RESULTS = `
select page, service, result from run_pages where run_id = $1 and done_at is not null and page > $2
order by page limit ${RESULTS_PER_QUERY}`;

export const CLAIM_LISTING = `
update runs set lister = $2
where id = $1 and state = 'listing' and (lister is null or lister = $2 or not ${lives('lister')})
returning id`;

/** Deletes an incomplete list, so that it is made again. */
export const FORGET_PAGES = `
with listed as (delete from run_listings where run_id = $1), counted as (delete from run_counters where run_id = $1)
delete from run_pages where run_id = $1`;

export const ADD_LANES = `
insert into run_listings (run_id, service, owners, newest_at_ms) values ($1, $2, $3::text[], $4::float8[])`;

/** Sorted by activity, otherwise in listing order. The database sorts, because the list may not fit into a replica's memory. */
export const CUT_PAGES = `
with listed as (delete from run_listings where run_id = $1 and service = $2 returning id, owners, newest_at_ms),
each as (
  select e.owner, e.newest_at_ms, row_number() over (order by l.id, e.number) as place
  from listed l cross join unnest(l.owners, l.newest_at_ms) with ordinality as e(owner, newest_at_ms, number)),
lane as (select owner, max(newest_at_ms) as newest_at_ms, min(place) as place from each group by owner),
turn as (select owner, row_number() over (order by newest_at_ms desc nulls last, place) - 1 as turn from lane),
cut as (
  insert into run_pages (run_id, page, service, owners)
  select $1, (select coalesce(max(page), 0) from run_pages where run_id = $1) + 1 + turn / $3, $2, array_agg(owner order by turn)
  from turn group by turn / $3 returning cardinality(owners) as lanes)
insert into run_counters as c (run_id, service, lanes) select $1, $2, coalesce(sum(lanes), 0) from cut
on conflict (run_id, service) do update set lanes = c.lanes + excluded.lanes
returning lanes`;

/** Lanes whose home is another replica. That replica processes them. */
export const ADD_PAGE_OF = `
insert into run_pages (run_id, page, service, owners, home)
select $1, max(page) + 1, $2, $3::text[], $4::uuid from run_pages where run_id = $1`;

/** Skips a service whose list is incomplete. */
export const SURVEYED = `
with listed as (delete from run_listings where run_id = $1 and service = $2)
update runs set survey = survey || jsonb_build_object($2::text, $3::jsonb) where id = $1`;

export const CHANGE = `
update runs set state = $3, reason = $4,
  finished_at = case when $3 in ('finished', 'failed') then now() else null end
where id = $1 and state = any($2::text[]) returning id`;

/**
 * Locks pages in order, and skips a page that another replica is locking. If this replica could not release a page because the database
 * was away, it claims the page again: the statement lists the pages on which it currently works. Pages of a stopped run are never claimed,
 * even if the replica does not know about the stop. Pages of services that it does not serve are left to other replicas.
 */
export const CLAIM_PAGE = `
update run_pages set claim_replica = $2, attempts = attempts + 1
where run_id = $1 and page = (
  select page from run_pages p
  where p.run_id = $1 and p.done_at is null and p.not_before <= now()
    and p.page <> all($3::int[])
    and ($4::text[] is null or p.service = any($4))
    and exists (select from runs r where r.id = $1 and r.state = 'running')
    and (p.home is null or p.home = $2 or not ${lives('p.home')})
    and (p.claim_replica is null or p.claim_replica = $2 or not ${lives('p.claim_replica')})
  order by page limit 1 for update skip locked)
returning page, service, owners, attempts`;

/** A page counts once. Lanes that moved to another replica's page count there. */
export const FINISH_PAGE = `
with done as (
  update run_pages set done_at = now(), result = $3::jsonb, owners = $4::text[], claim_replica = null
  where run_id = $1 and page = $2 and done_at is null returning service)
insert into run_counters as c (run_id, service, lanes_done, counts, digest)
select $1, service, cardinality($4::text[]), $3::jsonb -> 'counts', $5::numeric from done
on conflict (run_id, service) do update set
  lanes_done = c.lanes_done + excluded.lanes_done,
  counts = (
    select coalesce(jsonb_object_agg(name, total), '{}') from (
      select name, sum(number::numeric) as total from (
        select * from jsonb_each_text(c.counts) union all select * from jsonb_each_text(excluded.counts)) as each(name, number)
      group by name) as totals),
  digest = mod(c.digest + excluded.digest, 340282366920938463463374607431768211456)
returning c.run_id`;

export const RELEASE_PAGE = `
update run_pages set claim_replica = null, not_before = now() + make_interval(secs => $3)
where run_id = $1 and page = $2`;

export const PAGES_LEFT = 'select count(*) as pages from run_pages where run_id = $1 and done_at is null';

export const FIGURES = `
select k.kind, count(distinct r.id) as open,
  coalesce(sum(c.lanes), 0) as lanes, coalesce(sum(c.lanes_done), 0) as "lanesDone",
  (select max(f.finished_at) from runs f where f.kind = k.kind and f.state = 'finished') as finished_at
from unnest($1::text[]) as k(kind)
left join runs r on r.kind = k.kind and r.state in ('listing', 'running')
left join run_counters c on c.run_id = r.id
group by k.kind`;

export const FOUND_BY_SERVICE = `
select service, sum(divergent) as "divergentLanes", sum(lost) as "lostItems" from (
  select service, 1 as divergent, 0 as lost from divergences where state in ${UNSETTLED}
  union all select service, 0, 1 from lost_items where decision is null) as found
group by service`;

export const REPORT = 'update runs set report = $2::jsonb where id = $1';
