import type { LaneCondition } from '../../domain/lane.ts';
import type { Comparison } from '../../domain/comparison.ts';
import type { LaneKey, OperationId } from '../../domain/ids.ts';

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
  /** Whether the lane's deliveries, or a copy of it, have come past the write. */
  readonly is_through: boolean;
  /** When they did, and which it was; null while they have not, and where it was not written down. */
  readonly through_at: Date | null;
  readonly via: 'delivery' | 'copy' | null;
  /** Why the secondary refuses it, while nobody has dealt with that. */
  readonly dead_letter: string | null;
  readonly dead_letter_at: Date | null;
  /** How its dead letter was dealt with. */
  readonly letter_resolution: string | null;
  readonly replica: string;
}

/** The same of one operation, with what the ledgers remember of it. They keep it longer than the journal does. */
export interface ExplainedOperation extends Omit<ExplainedWrite, 'accepted_at' | 'replica'> {
  /** Null where only the ledger of dead letters remembers it. */
  readonly accepted_at: Date | null;
  /** Null once the journal has let go of the write. */
  readonly replica: string | null;
  /** The dead letter, open or not. */
  readonly letter_code: string | null;
  readonly letter_at: Date | null;
  readonly letter_attempts: number | null;
  readonly letter_resolved_at: Date | null;
  readonly letter_resolved_by: string | null;
  readonly letter_resolved_reason: string | null;
  /** When it was found that nobody knew its outcome, and what gave it its end. */
  readonly unknown_found_at: Date | null;
  readonly unknown_ended_at: Date | null;
  readonly unknown_ending: string | null;
  readonly unknown_closed_at: Date | null;
  readonly unknown_decided_by: string | null;
  readonly unknown_decided_reason: string | null;
}

/** A lane's row, as far as it decides where reads go. */
export interface ExplainedLane {
  readonly sequence: number;
  readonly generation: number;
  readonly epoch: number;
  readonly primary_backend: string;
  readonly condition: LaneCondition;
  readonly reason: string;
  readonly seeded_coverage: number;
  readonly delivered_sequence: number;
  readonly settled_sequence: number;
  readonly exceptions: number;
  /** Above 0 while a difference that a reconciliation found keeps its reads on legacy. */
  readonly finding: number;
  /** What a reconciliation found of it that is neither repaired nor accepted, and the run that found it. */
  readonly differences: number;
  readonly found_by_run: number | null;
}

export interface ExplainedDifference {
  readonly at: Date;
  readonly operation_id: string;
  readonly action: string;
  readonly primary_backend: string;
  readonly comparison: Comparison;
}

/** What the journal and the ledgers hold of a lane and of an operation. @throws StorageError */
export interface ExplainStore {
  lane(lane: LaneKey): Promise<ExplainedLane | undefined>;
  /** The newest first. */
  writes(lane: LaneKey, limit: number): Promise<readonly ExplainedWrite[]>;
  write(operation: OperationId): Promise<ExplainedOperation | undefined>;
  /** Of a read that found a difference. */
  laneOfRead(operation: OperationId): Promise<LaneKey | undefined>;
  /** Found in a lane, or by one operation; the newest first. */
  differences(of: LaneKey | OperationId, limit: number): Promise<readonly ExplainedDifference[]>;
}
