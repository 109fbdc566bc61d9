import type { LaneKey, OperationId } from '../domain/ids.ts';
import type { Database } from './database.ts';

/** A journaled write, without what it says. */
export interface ExplainedWrite {
  readonly operation_id: string;
  readonly lane: string;
  readonly sequence: number;
  readonly action: string;
  readonly accepted_at: Date;
  /** Null while it is not known. */
  readonly outcome: string | null;
  readonly outcome_at: Date | null;
  /** Recorded as delivered to the secondary, or covered by a copy. */
  readonly is_through: boolean;
  readonly dead_letter: string | null;
  readonly dead_letter_at: Date | null;
  readonly replica: string;
}

/** A lane's row, as far as it decides where reads go. */
export interface ExplainedLane {
  readonly sequence: number;
  readonly generation: number;
  readonly epoch: number;
  readonly primary_backend: string;
  readonly condition: string;
  readonly reason: string;
  readonly seeded_coverage: number;
  readonly delivered_sequence: number;
  readonly settled_sequence: number;
  readonly exceptions: number;
}

interface ExplainedDifference {
  readonly at: Date;
  readonly operation_id: string;
  readonly action: string;
  readonly primary_backend: string;
  readonly comparison: object;
}

/** What the journal holds of a lane and of an operation. @throws StorageError */
export interface ExplainStore {
  lane(lane: LaneKey): Promise<ExplainedLane | undefined>;
  /** The newest first. */
  writes(lane: LaneKey, limit: number): Promise<readonly ExplainedWrite[]>;
  write(operation: OperationId): Promise<ExplainedWrite | undefined>;
  /** Found in a lane, or by one operation; the newest first. */
  differences(of: LaneKey | OperationId, limit: number): Promise<readonly ExplainedDifference[]>;
}

const WRITES = `
select w.operation_id::text, l.key as lane, w.sequence, w.action, w.accepted_at, w.replica::text,
  o.outcome, o.at as outcome_at, w.sequence <= l.delivered_sequence as is_through,
  d.code as dead_letter, d.at as dead_letter_at
from writes w join lanes l on l.id = w.lane_id
left join outcomes o on o.lane_id = w.lane_id and o.sequence = w.sequence
left join dead_letters d on d.lane_id = w.lane_id and d.sequence = w.sequence and d.resolved_at is null`;

export function createExplainStore(database: Database): ExplainStore {
  return {
    async lane(lane) {
      const rows = await database.query<ExplainedLane>(
        `select sequence, generation, epoch, primary_backend, condition, reason, seeded_coverage,
           delivered_sequence, settled_sequence, exceptions
         from lanes where key = $1`,
        [lane],
      );
      return rows[0];
    },
    writes: (lane, limit) =>
      database.query<ExplainedWrite>(`${WRITES} where l.key = $1 order by w.sequence desc limit $2`, [
        lane,
        limit,
      ]),
    async write(operation) {
      // Writes are kept for a day; a person's question may walk them.
      const rows = await database.query<ExplainedWrite>(`${WRITES} where w.operation_id = $1`, [operation]);
      return rows[0];
    },
    differences: (of, limit) =>
      database.query<ExplainedDifference>(
        `select at, operation_id::text, action, primary_backend, comparison from differences
         where lane = $1 or operation_id::text = $1 order by id desc limit $2`,
        [of, limit],
      ),
  };
}
