import type { ServiceName } from '../domain/ids.ts';
import type { Database } from './database.ts';
import { UNSETTLED } from './runs/standing-sql.ts';

export interface LaneQuery {
  readonly service: ServiceName;
  /** How the owner begins; absent: all. */
  readonly owner?: string;
  /** Only lanes that are not clean, hold exceptions, or differ. */
  readonly isUnwell: boolean;
  readonly limit: number;
}

/** A lane as people see it in a list. */
export interface ListedLane {
  readonly owner: string;
  readonly condition: string;
  readonly reason: string;
  readonly sequence: number;
  readonly delivered_sequence: number;
  readonly seeded_coverage: number;
  readonly generation: number;
  readonly exceptions: number;
  /** What a reconciliation found of it that is neither repaired nor accepted, and the run that found it. */
  readonly differences: number;
  readonly found_by_run: number | null;
}

const LANES = `
select l.owner, l.condition, l.reason, l.sequence, l.delivered_sequence, l.seeded_coverage, l.generation, l.exceptions,
  coalesce(jsonb_array_length(d.findings), 0) as differences, d.run_id as found_by_run
from lanes l left join divergences d on d.service = l.service and d.owner = l.owner and d.state in ${UNSETTLED}
where l.service = $1 and starts_with(l.owner, $2) and (not $3 or l.condition <> 'clean' or l.exceptions > 0 or d.id is not null)
order by l.id desc limit $4`;

/** Lanes for a person who looks for one, the newest first. @throws StorageError */
export function createLaneList(database: Database) {
  return ({ service, owner = '', isUnwell, limit }: LaneQuery): Promise<readonly ListedLane[]> =>
    database.query<ListedLane>(LANES, [service, owner, isUnwell, limit]);
}
