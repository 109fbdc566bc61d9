import type { LaneKey, OperationId } from '../../domain/ids.ts';
import type { PendingWrite, WriteRef } from './ports.ts';

/** What a start finds: see ../README.md, "Crash points". */
export interface Recovery {
  /** Lanes with an intent without a durable outcome, and lanes inside a copy. They are dirty now. */
  readonly dirty: readonly LaneKey[];
  /** Lanes with a write of unknown outcome that may still take effect. They need one more copy. */
  readonly unclosed: readonly LaneKey[];
  /** Lanes with applied writes that are not on the secondary, each with the newest of these. */
  readonly pending: readonly { readonly lane: LaneKey; readonly newest: number }[];
  /** Writes without an outcome in lanes whose primary is the orchestrator. Their sequences must be closed. */
  readonly open: readonly OpenIntent[];
}

/** A journaled write that may have reached the orchestrator as its primary. */
export interface OpenIntent {
  readonly ref: WriteRef;
  readonly operationId: OperationId;
  readonly epoch: number;
  readonly generation: number;
}

export interface FinishedCopy {
  readonly generation: number;
  readonly sequence: number;
  readonly coverage: number;
  readonly exceptions: readonly CopyException[];
  /** What both sides hold after the copy, for later comparisons. Absent if the secondary refused some of it. */
  readonly baseline?: readonly BaselineItem[];
  /**
   * The primary was read so late that no write of unknown outcome up to the sequence can still take effect. @defaultValue false
   */
  readonly closes?: boolean;
  /** A repair compares the lane again before its finding is resolved. Any other copy resolves it. @defaultValue false */
  readonly isRepair?: boolean;
}

/** An item of a copy that the secondary refused. It identifies the item across copies, and holds no content. */
export interface CopyException {
  readonly item: string;
  readonly action: string;
  readonly code: string;
  readonly reason: string;
}

export interface FirstApplied {
  readonly sequence: number;
  readonly atMs: number;
  /** When the first of the writes from this sequence on was journaled, which is before it is sent. Of spilled writes `atMs` counts. */
  readonly sentMs: number;
}

/** When a lane was written to, in milliseconds of the journal's own clock, because replicas' clocks may be wrong. */
export interface LastApplied {
  readonly nowMs: number;
  /**
   * The first applied write that the journal still holds. None from this sequence on was known to be applied before this time. Absent if
   * the journal holds none.
   */
  readonly first?: FirstApplied;
  /** When its newest applied write was known to be applied; absent if the journal holds none. */
  readonly atMs?: number;
  /**
   * The newest write for which reverse delivery found that legacy's retention has forgotten the owner. Absent: none since the last copy.
   */
  readonly forgottenThrough?: number;
}

/** How far the secondary lags, over all replicas, including lanes that wait for a copy or a person. */
export interface ReplicationLag {
  /**
   * Writes of the lanes that lag, after the last that reached the secondary. Includes one that is in flight to the
   * primary.
   */
  readonly writes: number;
  readonly lanes: number;
  /** Age of the oldest applied write that the secondary lacks; null if it lacks none. */
  readonly oldestSeconds: number | null;
}

export interface LaneCounts {
  readonly lanes: number;
  /** Lanes whose primary is the orchestrator. Neither a trip nor the kill switch moves their reads or writes. */
  readonly flipped: number;
  readonly seeded: number;
  readonly dirty: number;
  readonly copying: number;
  readonly stopped: number;
  /** Lanes whose last copy left something out that no person has accepted. */
  readonly excepted: number;
  /** Lanes that reconciliations found different, neither repaired nor accepted. Without flipped lanes. */
  readonly differs: number;
  /** Flipped lanes in which reconciliations found that legacy differs. No read moves because of them. */
  readonly legacyDiffers: number;
  /** When the oldest of these differences was found. @defaultValue unknown */
  readonly differsSince?: Date | null;
  readonly deadLetters: number;
  /** Writes with an unknown outcome. */
  readonly unknown: number;
  /** Items that legacy lost and that wait for a decision. */
  readonly lostItems: number;
  /** Lanes that a restored database has only in part, and that wait for a decision. */
  readonly restored: number;
  /** When the first of these items was found lost. @defaultValue unknown */
  readonly lostSince?: Date | null;
}

/** The counts of a service that is not in the journal. */
export const NO_LANES: LaneCounts = {
  lanes: 0,
  flipped: 0,
  seeded: 0,
  dirty: 0,
  copying: 0,
  stopped: 0,
  excepted: 0,
  differs: 0,
  legacyDiffers: 0,
  deadLetters: 0,
  unknown: 0,
  lostItems: 0,
  restored: 0,
};

/** An item as it was last seen on both sides. */
export interface BaselineItem {
  /** 32 hexadecimal digits: `digestOfFields`. */
  readonly digest: string;
  readonly atMs: number;
}

export interface Baseline {
  readonly sequence: number;
  readonly items: readonly BaselineItem[];
}

/** Two states of a lane that were once found to be the same list. That stays true, whatever either side holds now. */
export interface EqualStates {
  /** A digest of what legacy showed and of the names of the digested members. */
  readonly legacy: string;
  /** The orchestrator's fingerprint of what it held. */
  readonly orchestrator: string;
}

export interface BaselineEntry {
  readonly lane: LaneKey;
  readonly sequence: number;
  readonly items: readonly BaselineItem[];
  /** @defaultValue the known ones */
  readonly states?: EqualStates | undefined;
}

export interface BaselineSummary {
  readonly sequence: number;
  readonly items: number;
  readonly digest: string;
  /** When it became so. */
  readonly atMs: number;
  readonly states?: EqualStates | undefined;
}

/** What both sides of each lane were last seen to hold. @throws StorageError */
export interface BaselineStore {
  save(entry: BaselineEntry): Promise<void>;
  of(lane: LaneKey): Promise<Baseline | undefined>;
  summaries(lanes: readonly LaneKey[]): Promise<ReadonlyMap<LaneKey, BaselineSummary>>;
}

/** The journal's own past. @throws StorageError */
export interface WriteHistory {
  /**
   * The lane's writes after `after` up to `through` that took effect, or may have, in sequence. Undefined if some of them were
   * pruned.
   */
  between(lane: LaneKey, after: number, through: number): Promise<readonly PendingWrite[] | undefined>;
}
