import type { LaneKey, OperationId, ReplicaId } from '../../domain/ids.ts';
import type { LaneState } from '../../domain/lane.ts';
import type { Outcome } from '../../domain/outcome.ts';
import type { Intent } from './ports.ts';

/** A write that was spilled while the journal was away. Numbers rise by one with every record of a spill, and never restart. */
export interface SpilledIntent extends Intent {
  readonly kind: 'intent';
  readonly number: number;
  /** The caller that sent it. */
  readonly replica: ReplicaId;
}

/** Its outcome. Absent if the process died before it was known or written. */
export interface SpilledOutcome {
  readonly kind: 'outcome';
  readonly number: number;
  readonly lane: LaneKey;
  readonly operationId: OperationId;
  readonly outcome: Outcome;
  /** What the journal's clock showed at most when it was known, Unix milliseconds. Absent if that is not known. */
  readonly journalMs?: number;
}

export type SpillRecord = SpilledIntent | SpilledOutcome;

/** The lanes that may be flipped: see `flip-ports.ts`. */
export interface NotedShares {
  /** By service. */
  readonly percentages: Readonly<Record<string, number>>;
  /** Wall clock, when the journal said so. */
  readonly atMs: number;
}

/** What waits to be replayed. */
export interface SpillFacts {
  /** Writes that are not in the journal yet. */
  readonly writes: number;
  /** Size of the file, and its limit. */
  readonly bytes: number;
  readonly limitBytes: number;
  /** Wall clock, when the oldest of them was accepted; undefined if none waits. */
  readonly oldestAtMs: number | undefined;
}

/**
 * The log of writes on this replica's own disk, used while the journal is away. Requests are encrypted as in the journal.
 * @throws StorageError effect `not_applied`; reason `spill_full` if the limit or the disk is full
 */
export interface SpillStore {
  /** Identifies the spill for all processes that use it, one after the other. */
  readonly id: string;
  facts(): SpillFacts;
  /**
   * The journal was reached. From now on a process that starts may rely on it.
   * @param progress the last number that the journal holds. If it is higher than any that was written, data was lost
   */
  prepare(progress: number): Promise<void>;
  /** Whether an earlier process has used it. Then the journal is known to be usable, even if it is away. */
  readonly hasHistory: boolean;
  /** Whether data after the last complete record is lost, so that acknowledged writes may be missing. */
  readonly isDamaged: boolean;
  /** What was noted last. */
  readonly shares: NotedShares;
  /** Resolves when it is durable. A process that starts without the journal knows by it which lanes may be flipped. */
  noteShares(shares: NotedShares): Promise<void>;
  /** Resolves when it is durable. Only then may the write be sent. */
  append(intent: Intent, replica: ReplicaId): Promise<void>;
  /** Written with the next group or soon after. Outcomes that a crash loses are unknown afterwards. */
  recordOutcome(settled: Omit<SpilledOutcome, 'kind' | 'number'>): void;
  /** The records after this number, in order, until they have at least this many bytes. Empty if there are none. */
  page(after: number, bytes: number): Promise<readonly SpillRecord[]>;
  /** The outcomes of these writes that are stored after this number. Reads everything after it. */
  outcomes(after: number, of: ReadonlySet<OperationId>): Promise<ReadonlyMap<OperationId, Outcome>>;
  /** Makes everything that was recorded so far readable. */
  flush(): Promise<void>;
  /** The journal holds everything up to here. If that is all, the file is emptied. */
  replayed(through: number): Promise<void>;
  /** The damage is resolved, because every lane is copied again. */
  mended(): Promise<void>;
}

/** A lane that got spilled writes. */
export interface ReplayedLane {
  readonly state: LaneState;
  /** For some of its writes the effect is unknown, or the place among those of other replicas. */
  readonly isUncertain: boolean;
  /** Another replica has written to it meanwhile, so the order of both replicas' writes is unknown. */
  readonly isOutOfOrder: boolean;
}

/** One page of a spill that is replayed into the journal. */
export interface ReplayPage {
  readonly spill: string;
  /** The last number that the journal must hold before, and the last that it holds afterwards. */
  readonly after: number;
  readonly through: number;
  readonly intents: readonly SpilledIntent[];
  /** Outcomes of these intents. An intent without one stays open, because its outcome comes later or its reply is awaited. */
  readonly outcomes: ReadonlyMap<OperationId, Outcome>;
  /** Of applied writes, of these intents and of earlier ones, when that was known. A write of unknown outcome may take effect later. */
  readonly settled: readonly SettledSpill[];
  /** Outcomes of intents that were replayed before. */
  readonly earlier: readonly EarlierOutcome[];
  /** Whether another replica may have written to the lane meanwhile, according to an earlier page. */
  readonly isOutOfOrder: (lane: LaneKey) => boolean;
}

/** A write had taken effect when the journal's clock showed at most this, Unix milliseconds. */
export type SettledSpill = Pick<Required<SpilledOutcome>, 'lane' | 'operationId' | 'journalMs'>;

export type EarlierOutcome = Pick<SpilledOutcome, 'lane' | 'operationId' | 'outcome'>;

/** What the journal knows of spills. @throws StorageError */
export interface SpillJournal {
  /** The last number of the spill that the journal holds. */
  progress(spill: string): Promise<number>;
  /**
   * Gives the writes their sequences, after those that the lanes have, and marks the lanes dirty, in one transaction with the
   * progress.
   * @returns undefined if another replica has an open write of one of the lanes. Nothing is changed then
   */
  replay(page: ReplayPage): Promise<ReadonlyMap<LaneKey, ReplayedLane> | undefined>;
  /** Outcomes of writes that were replayed open. */
  recordOutcomes(outcomes: readonly EarlierOutcome[]): Promise<void>;
}
