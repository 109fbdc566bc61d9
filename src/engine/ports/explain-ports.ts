import type { LaneCondition } from '../../domain/lane.ts';
import type { Comparison } from '../../domain/comparison.ts';
import type { LaneKey, OperationId } from '../../domain/ids.ts';
import type { ByPerson } from './decision-ports.ts';

/** A journaled write, without its content. */
export interface ExplainedWrite {
  readonly operation_id: string;
  readonly lane: string;
  readonly sequence: number;
  readonly action: string;
  readonly accepted_at: Date;
  /** Null while it is unknown. */
  readonly outcome: string | null;
  readonly outcome_at: Date | null;
  /** Whether the lane's deliveries, or a copy of it, have passed the write. */
  readonly is_through: boolean;
  /** When and by which of the two. Null while it has not happened, and if it was not recorded. */
  readonly through_at: Date | null;
  readonly via: 'delivery' | 'copy' | null;
  /** Why the secondary refuses it, while that is not resolved. */
  readonly dead_letter: string | null;
  readonly dead_letter_at: Date | null;
  /** How its dead letter was resolved. */
  readonly letter_resolution: string | null;
  readonly replica: string;
}

/** The same for one operation, with what the ledgers hold of it. They keep it longer than the journal. */
export interface ExplainedOperation extends Omit<ExplainedWrite, 'accepted_at' | 'replica'> {
  /** Null if only the ledger of dead letters has it. */
  readonly accepted_at: Date | null;
  /** Null after the journal has removed the write. */
  readonly replica: string | null;
  /** The dead letter, open or resolved. */
  readonly letter_code: string | null;
  readonly letter_at: Date | null;
  readonly letter_attempts: number | null;
  readonly letter_resolved_at: Date | null;
  readonly letter_resolved_by: string | null;
  readonly letter_resolved_reason: string | null;
  /** When its outcome was found to be unknown, and how that was resolved. */
  readonly unknown_found_at: Date | null;
  readonly unknown_ended_at: Date | null;
  readonly unknown_ending: string | null;
  readonly unknown_closed_at: Date | null;
  readonly unknown_decided_by: string | null;
  readonly unknown_decided_reason: string | null;
}

/** The part of a lane's row that decides where reads go. */
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
  /** Above 0 while an open difference of a reconciliation keeps its reads on legacy. */
  readonly finding: number;
  /** Open findings of a reconciliation, and the run that found them. */
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

/** Flips of a lane that failed since it last moved. They are tried again. */
export interface ExplainedFailures {
  readonly failed: number;
  /** Of the last one: a closed word. */
  readonly reason: string;
  readonly first_at: Date;
  readonly last_at: Date;
  /** Until the next attempt; 0 if it is due. */
  readonly due_in_seconds: number;
}

/** A person returns the lane to legacy, or did. */
export interface ExplainedReturn {
  readonly rollback: number;
  readonly person: string;
  readonly reason: string;
  readonly began_at: Date;
  readonly state: 'waiting' | 'returned' | 'stopped';
  /** Attempts that did not succeed, and what kept the lane at the last one. Null: nothing did. */
  readonly failed: number;
  readonly obstacle: string | null;
  /** Until the next attempt; 0 if it is due. Null: none is made. */
  readonly due_in_seconds: number | null;
  readonly returned_at: Date | null;
  /** The person who stopped the rollback before the lane returned. */
  readonly stopped_by: string | null;
  /** Acknowledged writes that legacy lacks since. */
  readonly lost: number;
}

/** What changes, or keeps, the primary of a lane now. */
export interface ExplainedMoves {
  readonly failures: ExplainedFailures | null;
  /** New writes of the lane wait for this replica, at most until then. */
  readonly hold: { readonly replica: string; readonly until: Date } | null;
  /** The person who stopped further flips of the service. */
  readonly held: (ByPerson & { readonly at: Date }) | null;
  /** Newest first. */
  readonly returns: readonly ExplainedReturn[];
}

/** What the journal and the ledgers hold of a lane and of an operation. @throws StorageError */
export interface ExplainStore {
  lane(lane: LaneKey): Promise<ExplainedLane | undefined>;
  moves(lane: LaneKey): Promise<ExplainedMoves>;
  /** Newest first. */
  writes(lane: LaneKey, limit: number): Promise<readonly ExplainedWrite[]>;
  write(operation: OperationId): Promise<ExplainedOperation | undefined>;
  /** The lane of a read that found a difference. */
  laneOfRead(operation: OperationId): Promise<LaneKey | undefined>;
  /** Differences found in a lane, or by one operation; newest first. */
  differences(of: LaneKey | OperationId, limit: number): Promise<readonly ExplainedDifference[]>;
}
