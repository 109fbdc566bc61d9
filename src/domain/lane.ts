import type { Backend } from './backend.ts';
import type { WritesState } from './stage.ts';

/** What the secondary checks before a write of a lane takes effect. */
export interface LaneFence {
  readonly key: string;
  /** Every change of the primary raises it. Absent: 0. */
  readonly epoch?: number;
  /** Every copy raises it. Writes that were sent before have no effect then. */
  readonly generation: number;
  /** Absent in the writes of a copy except the last. */
  readonly sequence?: number;
}

/** A fence without a sequence. Lanes whose primary never changed are fenced as before there were epochs. */
export function laneFence(
  { key, epoch }: { readonly key: string; readonly epoch: number },
  generation: number,
): LaneFence {
  return epoch === 0 ? { key, generation } : { key, epoch, generation };
}

/**
 * `clean`: its history is certain. `dirty`: its history is uncertain, and a copy must settle it. `copying`: a copy has begun, and
 * deliveries wait. `stopped`: a copy found something that a person must decide, such as lost items, or a repair was undone.
 */
export type LaneCondition = 'clean' | 'dirty' | 'copying' | 'stopped';

/** A lane as stored in the journal. */
export interface LaneState {
  readonly id: number;
  /** Number of the last journaled write; 0 before the first. */
  readonly sequence: number;
  readonly generation: number;
  readonly epoch: number;
  readonly primary: Backend;
  readonly condition: LaneCondition;
  /** Why the lane is dirty or stopped, as a closed word; empty while it is clean. */
  readonly reason: string;
  /**
   * Number of the coverage under which the orchestrator was last made equal; 0 if never. Negative: the lane has returned to legacy under
   * this coverage and was not copied since, and every write of it was journaled.
   */
  readonly seededCoverage: number;
  /** Items of the lane's last copy that the secondary refused and that no person has accepted. */
  readonly exceptions: number;
  /**
   * The number of the lane's open difference, which a reconciliation found. Negative once it is repaired or accepted; 0 if none
   * was ever found.
   */
  readonly finding: number;
  /** Every applied write up to this sequence is on the secondary. */
  readonly deliveredSequence: number;
  /** Whether an agent may have no reply to a write of the lane's last minute, so that a repeat may come. */
  readonly mayRepeat: boolean;
  /** Incremented when a replica other than the home finds the lane's history uncertain. */
  readonly foundUncertain: number;
  /** Whether this replica is the lane's home, which delivers and copies it. */
  readonly isHome: boolean;
}

/** A lane with a new intent. */
export interface PlacedLane extends LaneState {
  /** Whether legacy still takes writes of the service, as the journal knew when it stored the intent. */
  readonly writes: WritesState;
}

/**
 * A position is an integer below 2^53 that ascends in time. It is the write's sequence times this, plus the index of its
 * item.
 */
export const POSITIONS_PER_SEQUENCE = 2 ** 20;

export function positionOf(sequence: number, index = 0): number {
  return sequence * POSITIONS_PER_SEQUENCE + index;
}

export function sequenceAt(position: number): number {
  return Math.floor(position / POSITIONS_PER_SEQUENCE);
}

/** An item of a list without ids, as it was when a write named it, just before the write was sent. */
export interface NamedItem {
  /** Digest of all fields that the source shows, except times. */
  readonly digest: string;
  /** How many equal items came after it, because older ones may have been forgotten on one side. */
  readonly newer: number;
}
