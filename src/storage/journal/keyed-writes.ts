import type { KeyedWrites } from '../../migration/compare/comparison-stores.ts';
import type { Database } from '../database.ts';
import type { Seal } from '../seal.ts';

const MOST = 1_000;

const APPLIED = `
select action, request from (
  select w.sequence, w.action, w.request
  from lanes l join writes w on w.lane_id = l.id
  join outcomes o on o.lane_id = w.lane_id and o.sequence = w.sequence
  where l.key = $1 and w.action = any($2::text[]) and o.outcome = 'applied'
  order by w.sequence desc limit $3) newest
order by sequence`;

/** The journal's writes of a lane, by action. */
export function createKeyedWrites(database: Database, seal: Seal): KeyedWrites {
  return {
    async appliedTo(lane, actions) {
      const rows = await database.query<{ action: string; request: string }>(APPLIED, [lane, actions, MOST]);
      return rows.map(({ action, request }) => ({ action, request: seal.open(request) }));
    },
  };
}
