/** States of a divergence that nothing has settled. An accepted one counts as no difference as long as it stays the same. */
export const STANDING = `('open', 'lost', 'accepted', 'undone')`;

/** Those of them that neither a repair nor a person has dealt with. */
export const UNSETTLED = `('open', 'lost', 'undone')`;

/** A finished reconciliation `r` of every owner of a service: it could list the owners, and was asked for no single one. */
export function isFullRun(service: string): string {
  return `r.kind = 'reconcile' and r.state = 'finished' and r.survey ? ${service} and not r.survey -> ${service} ? 'not_listed'
    and not r.request ? 'owner' and coalesce(r.request ->> 'scope', 'full') = 'full'`;
}

/** The newest run is named: its plan shows the lanes. */
export const UNSETTLED_BY_SERVICE = `
select service, count(*) as lanes, count(*) filter (where differing > 0) as "fencedLanes", sum(differing) as items, max(run_id) as run
from divergences where state in ${UNSETTLED} and ($1::text is null or service = $1) group by service`;

/** Asked every second: of each service that was ever covered, the newest run alone is looked up. */
export const LAST_FULL_RUNS = `
select s.service, full_run.* from (select distinct service from coverage where $1::text is null or service = $1) as s
cross join lateral (
  select r.id as run, c.lanes, coalesce((c.counts ->> 'items')::bigint, 0) as items,
    coalesce((c.counts ->> 'lanes_not_comparable')::bigint, 0) as "notComparable"
  from runs r join run_counters c on c.run_id = r.id and c.service = s.service
  where ${isFullRun('s.service')} order by r.finished_at desc limit 1) as full_run`;
