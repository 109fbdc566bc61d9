import type { Backend } from './backend.ts';

/** What the secondary checks before it lets a write of a lane take effect. */
export interface LaneFence {
  readonly key: string;
  /** Raised by every copy: what was sent before it has no effect any more. */
  readonly generation: number;
  /** Left out by the writes of a copy, which come before the sequence they stand for. */
  readonly sequence?: number;
}

/**
 * `clean`: its history is certain. `dirty`: it is not, and a copy must settle it. `copying`: a copy has begun and deliveries wait.
 * `stopped`: a copy found something that a person must decide, such as lost items, or a repair was undone.
 */
export type LaneCondition = 'clean' | 'dirty' | 'copying' | 'stopped';

/** A lane as the journal holds it. */
export interface LaneState {
  readonly id: number;
  /** Number of the last journaled write; 0 before the first. */
  readonly sequence: number;
  readonly generation: number;
  readonly epoch: number;
  readonly primary: Backend;
  readonly condition: LaneCondition;
  /** Why the lane is dirty or stopped, in a closed word; empty while it is clean. */
  readonly reason: string;
  /** Coverage number under which the orchestrator was last made equal; 0 is never. */
  readonly seededCoverage: number;
  /** Items that the secondary refused of the lane's last copy, and nobody has accepted. */
  readonly exceptions: number;
  /**
   * Above 0: a difference that a reconciliation found, and that is neither repaired nor accepted. Its number, negative once it is
   * settled; 0 where none was ever found.
   */
  readonly finding: number;
  /** Every applied write up to this sequence is on the secondary. */
  readonly deliveredSequence: number;
  /** Whether an agent may have no reply to a write of the lane's last minute: a repeat may come. */
  readonly mayRepeat: boolean;
  /** Grows whenever another replica than the home finds the lane's history uncertain. */
  readonly foundUncertain: number;
  /** Whether this replica is the lane's home: the one that delivers and copies it. */
  readonly isHome: boolean;
}

/** A position is an integer below 2^53, ascending in time: a write's sequence times this, plus the index of its item. */
export const POSITIONS_PER_SEQUENCE = 2 ** 20;

export function positionOf(sequence: number, index = 0): number {
  return sequence * POSITIONS_PER_SEQUENCE + index;
}
