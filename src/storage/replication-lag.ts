import type { ServiceName } from '../domain/ids.ts';
import type { ReplicationLag } from '../engine/ports/journal-facts.ts';
import type { Database } from './database.ts';

/**
 * Reads only lanes that lag, and of each only the next write to deliver. Reading a whole hour's backlog took 5 s. A lane whose
 * last writes were refused has nothing to deliver, and does not lag.
 */
const LAG = `
select coalesce(sum(l.sequence - l.delivered_sequence), 0)::float8 as writes, count(*) as lanes,
  case when count(*) > 0 then greatest(0, extract(epoch from now() - min(next.accepted_at)))::float8 end as "oldestSeconds"
from lanes l
cross join lateral (
  select w.accepted_at from writes w join outcomes o on o.lane_id = w.lane_id and o.sequence = w.sequence and o.outcome = 'applied'
  where w.lane_id = l.id and w.sequence > l.delivered_sequence and o.sequence > l.delivered_sequence
  order by w.sequence limit 1) next
where l.service = $1 and l.sequence > l.delivered_sequence and l.primary_backend = 'legacy'`;

const NO_LAG: ReplicationLag = { writes: 0, lanes: 0, oldestSeconds: null };

/** How far the orchestrator lags behind legacy, of a service. @throws StorageError */
export function createReplicationLag(database: Database): (service: ServiceName) => Promise<ReplicationLag> {
  return async (service) => (await database.query<ReplicationLag>(LAG, [service]))[0] ?? NO_LAG;
}
