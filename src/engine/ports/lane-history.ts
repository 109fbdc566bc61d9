import type { LaneKey } from '../../domain/ids.ts';
import type { PendingWrite } from './ports.ts';

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
