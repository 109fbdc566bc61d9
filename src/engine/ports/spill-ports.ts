import type { LaneKey, OperationId, ReplicaId } from '../../domain/ids.ts';
import type { LaneState } from '../../domain/lane.ts';
import type { Outcome } from '../../domain/outcome.ts';
import type { Intent } from './ports.ts';

/** A write that was noted down while the journal was away. Numbers rise by one with every record of a spill, for ever. */
export interface SpilledIntent extends Intent {
  readonly kind: 'intent';
  readonly number: number;
  /** Who was about to send it. */
  readonly replica: ReplicaId;
}

/** What became of it. Absent where the process died before it knew, or before it was written. */
export interface SpilledOutcome {
  readonly kind: 'outcome';
  readonly number: number;
  readonly lane: LaneKey;
  readonly operationId: OperationId;
  readonly outcome: Outcome;
}

export type SpillRecord = SpilledIntent | SpilledOutcome;

/** What waits to be replayed, for whoever watches. */
export interface SpillFacts {
  /** Writes that the journal does not know yet. */
  readonly writes: number;
  /** Of the file, and most that it may hold. */
  readonly bytes: number;
  readonly limitBytes: number;
  /** Wall clock, when the oldest of them was accepted; undefined where none waits. */
  readonly oldestAtMs: number | undefined;
}

/**
 * Writes noted down beside the journal, on this replica's own disk. The request is kept sealed as the journal keeps it.
 * @throws StorageError effect `not_applied`; reason `spill_full` where the limit or the disk is reached
 */
export interface SpillStore {
  /** The same for every process that works on it, one after the other. */
  readonly id: string;
  facts(): SpillFacts;
  /**
   * The journal has been reached: from now on a process that starts may rely on it.
   * @param progress the last number that the journal holds: where that is more than was ever written, something is lost
   */
  prepare(progress: number): Promise<void>;
  /** Whether an earlier process has worked on it: then the journal is known to be usable, though it may be away. */
  readonly hasHistory: boolean;
  /** Whether something behind the last whole record is lost: writes may have been acknowledged that are not in it. */
  readonly isDamaged: boolean;
  /** Resolves when it is durable: only then may the write be sent. */
  append(intent: Intent, replica: ReplicaId): Promise<void>;
  /** Written with the next group, or soon: what a crash forgets of it is unknown afterwards. */
  settle(lane: LaneKey, operationId: OperationId, outcome: Outcome): void;
  /** The records behind this number, in order; of at most so many bytes, and at least one where there is one. */
  page(after: number, bytes: number): Promise<readonly SpillRecord[]>;
  /** What became of these writes, as far as it stands behind this number. Reads all of that. */
  outcomes(after: number, of: ReadonlySet<OperationId>): Promise<ReadonlyMap<OperationId, Outcome>>;
  /** Everything that was settled so far can be read. */
  flush(): Promise<void>;
  /** The journal holds everything up to here. Where that is all, the space is given back. */
  replayed(through: number): Promise<void>;
  /** The damage has been made good: every lane is copied anew. */
  mended(): Promise<void>;
}

/** A lane that got spilled writes. */
export interface ReplayedLane {
  readonly state: LaneState;
  /** Of some of its writes nobody knows the effect, or the place among those of other replicas. */
  readonly isUncertain: boolean;
  /** Another replica has written to it meanwhile: how their writes and these stood to each other is not known. */
  readonly isOutOfOrder: boolean;
}

/** One page of a spill on its way into the journal. */
export interface ReplayPage {
  readonly spill: string;
  /** The last number that the journal must hold already, and the last that it holds afterwards. */
  readonly after: number;
  readonly through: number;
  readonly intents: readonly SpilledIntent[];
  /** Outcomes of these intents. One without stays open: its outcome stands further behind, or its reply is waited for. */
  readonly outcomes: ReadonlyMap<OperationId, Outcome>;
  /** Outcomes of intents that were replayed before. */
  readonly earlier: readonly SettledSpill[];
  /** Whether another replica may have written to the lane meanwhile, as far as an earlier page has shown. */
  readonly isOutOfOrder: (lane: LaneKey) => boolean;
}

export type SettledSpill = Pick<SpilledOutcome, 'lane' | 'operationId' | 'outcome'>;

/** What the journal knows of spills. @throws StorageError */
export interface SpillJournal {
  /** The last number of the spill that the journal holds. */
  progress(spill: string): Promise<number>;
  /**
   * Gives the writes their places, behind all that is there, and marks their lanes dirty: in one transaction with the progress.
   * @returns undefined where another replica has an open write of one of the lanes: then nothing is changed
   */
  replay(page: ReplayPage): Promise<ReadonlyMap<LaneKey, ReplayedLane> | undefined>;
  /** Outcomes of writes that were replayed open. */
  settle(outcomes: readonly SettledSpill[]): Promise<void>;
}
