import type { ServiceName } from '../../domain/ids.ts';
import { type FullRunSize, NOTHING_FOUND, type StoreFindings } from '../../engine/ports/finding.ts';
import type { Database } from '../database.ts';

interface UnresolvedRow extends Omit<StoreFindings, 'full'> {
  readonly service: ServiceName;
}

interface FullRow extends FullRunSize {
  readonly service: ServiceName;
}

/** Open findings of reconciliations by service, or of one service. @throws StorageError */
export async function readStoreFindings(
  database: Database,
  service?: ServiceName,
): Promise<ReadonlyMap<ServiceName, StoreFindings>> {
  const of = [service ?? null];
  const unresolved = await database.query<UnresolvedRow>(UNRESOLVED_BY_SERVICE, of);
  const full = await database.query<FullRow>(LAST_FULL_RUNS, of);
  const found = new Map<ServiceName, StoreFindings>();
  for (const { service: name, ...size } of full) found.set(name, { ...NOTHING_FOUND, full: size });
  for (const { service: name, ...row } of unresolved)
    found.set(name, { ...row, full: found.get(name)?.full ?? null });
  return found;
}

/** States of findings that are not resolved. Accepted findings do not count as differences while they stay the same. */
export const STANDING = `('open', 'lost', 'accepted', 'undone', 'legacy_differs')`;

/** The states that neither a repair nor a person has handled, and that count against the orchestrator. */
export const UNRESOLVED = `('open', 'lost', 'undone')`;

/** Of a flipped lane: legacy is the secondary, so the difference counts against legacy and lowers no reads. */
export const ON_LEGACY = `'legacy_differs'`;

/** What waits for a person, whichever backend it counts against. */
export const WAITING = `('open', 'lost', 'undone', ${ON_LEGACY})`;

/** A finished reconciliation `r` of all owners of a service: it could list the owners, and was not restricted to one. */
function isFullRun(service: string): string {
  return `r.kind = 'reconcile' and r.state = 'finished' and r.survey ? ${service} and not r.survey -> ${service} ? 'not_listed'
    and not r.request ? 'owner' and coalesce(r.request ->> 'scope', 'full') = 'full'`;
}

/** Returns the newest run, whose plan shows the lanes. */
const UNRESOLVED_BY_SERVICE = `
select service, count(*) as lanes, count(*) filter (where differing > 0) as "fencedLanes", sum(differing) as items, max(run_id) as run
from divergences where state in ${UNRESOLVED} and ($1::text is null or service = $1) group by service`;

/** Runs every second, so it looks up only the newest run of each service that was ever covered. */
const LAST_FULL_RUNS = `
select s.service, full_run.* from (select distinct service from coverage where $1::text is null or service = $1) as s
cross join lateral (
  select r.id as run, c.lanes, coalesce((c.counts ->> 'items')::bigint, 0) as items,
    coalesce((c.counts ->> 'lanes_not_comparable')::bigint, 0) as "notComparable"
  from runs r join run_counters c on c.run_id = r.id and c.service = s.service
  where ${isFullRun('s.service')} order by r.finished_at desc limit 1) as full_run`;
