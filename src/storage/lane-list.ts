import type { ServiceName } from '../domain/ids.ts';
import type { Database } from './database.ts';

export interface LaneQuery {
  readonly service: ServiceName;
  /** How the owner begins; absent: all. */
  readonly owner?: string;
  /** Only lanes that are not clean, or hold exceptions. */
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
}

const LANES = `
select owner, condition, reason, sequence, delivered_sequence, seeded_coverage, generation, exceptions
from lanes where service = $1 and starts_with(owner, $2) and (not $3 or condition <> 'clean' or exceptions > 0)
order by id desc limit $4`;

/** Lanes for a person who looks for one, the newest first. @throws StorageError */
export function createLaneList(database: Database) {
  return ({ service, owner = '', isUnwell, limit }: LaneQuery): Promise<readonly ListedLane[]> =>
    database.query<ListedLane>(LANES, [service, owner, isUnwell, limit]);
}
