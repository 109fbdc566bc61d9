import type { LaneKey } from '../../domain/ids.ts';
import type { WriteHistory } from '../../engine/ports/lane-history.ts';
import type { Database } from '../database.ts';
import { pendingOf, type WriteRow } from './journal-rows.ts';
import { WRITE_COLUMNS } from './journal-sql.ts';
import type { Seal } from '../seal.ts';

const BETWEEN = `
select ${WRITE_COLUMNS}, coalesce(o.outcome, 'unknown') as outcome, coalesce(o.outcome, 'unknown') = 'unknown' as is_uncertain
from lanes l join writes w on w.lane_id = l.id and w.sequence > $2 and w.sequence <= $3
left join outcomes o on o.lane_id = w.lane_id and o.sequence = w.sequence
where l.key = $1 order by w.sequence`;

/** The past writes in the journal that are not pruned yet. */
export function createWriteHistory(database: Database, seal: Seal): WriteHistory {
  return {
    async between(lane: LaneKey, after: number, through: number) {
      if (after >= through) return [];
      const rows = await database.query<WriteRow & { outcome: string }>(BETWEEN, [lane, after, through]);
      if (rows.length < through - after) return undefined;
      const effective = rows.filter(({ outcome }) => outcome === 'applied' || outcome === 'unknown');
      return effective.map((row) => pendingOf(lane, row, seal));
    },
  };
}
