import type { KeyedWrites } from '../../engine/compare/comparison-stores.ts';
import type { Database } from '../database.ts';
import type { Seal } from '../seal.ts';

const MOST = 1_000;

// Most lanes were never cleared, so their requests are not read.
const APPLIED = `
with newest as (
  select w.lane_id, w.sequence, w.action
  from lanes l join writes w on w.lane_id = l.id
  where l.key = $1 and w.sequence <= $5
  order by w.sequence desc limit $4)
select w.action, w.request
from newest n
join outcomes o on o.lane_id = n.lane_id and o.sequence = n.sequence and o.outcome = 'applied'
join writes w on w.lane_id = n.lane_id and w.sequence = n.sequence
where n.action = any($2::text[]) and exists (select from newest where action = any($3::text[]))
order by w.sequence`;

/** The journal's writes of a lane, by action. */
export function createKeyedWrites(database: Database, seal: Seal): KeyedWrites {
  return {
    async appliedTo(lane, { actions, removing, upTo = Number.MAX_SAFE_INTEGER }) {
      const rows = await database.query<{ action: string; request: string }>(APPLIED, [
        lane,
        actions,
        removing,
        MOST,
        upTo,
      ]);
      return rows.map(({ action, request }) => ({ action, request: seal.open(request) }));
    },
  };
}
