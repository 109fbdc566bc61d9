import type { LaneKey } from '../../domain/ids.ts';
import type { BaselineItem } from './lane-history.ts';

/** What is found at the start: see ../README.md, "Crash points". */
export interface Recovery {
  /** Lanes with an intent whose outcome is not durable, and lanes inside a copy. They are dirty now. */
  readonly dirty: readonly LaneKey[];
  /** Lanes with a write of unknown outcome that may still take effect: they are owed one more look. */
  readonly unclosed: readonly LaneKey[];
  /** Lanes with applied writes that are not on the secondary, each with the newest of these. */
  readonly pending: readonly { readonly lane: LaneKey; readonly newest: number }[];
}

export interface FinishedCopy {
  readonly generation: number;
  readonly sequence: number;
  readonly coverage: number;
  readonly exceptions: readonly CopyException[];
  /** What both sides hold behind it, to be compared with later. Absent where the secondary refused some of it. */
  readonly baseline?: readonly BaselineItem[];
  /** The primary was read so late that no write of unknown outcome up to the sequence can take effect any more. @defaultValue false */
  readonly closes?: boolean;
  /** A repair compares the lane once more before its finding is settled. Any other copy settles it. @defaultValue false */
  readonly isRepair?: boolean;
}

/** An item that the secondary refused of a copy. It names the item across copies, and holds nothing of its content. */
export interface CopyException {
  readonly item: string;
  readonly action: string;
  readonly code: string;
  readonly reason: string;
}

/** When a lane was written to, in milliseconds of the journal's own clock, because those of the replicas may be wrong. */
export interface LastApplied {
  readonly nowMs: number;
  /** When the first applied write of the lane was known to be applied; absent where the journal no longer holds all of the lane. */
  readonly firstAtMs?: number;
  /** When its newest applied write was known to be applied; absent where it holds none. */
  readonly atMs?: number;
}

/** How far the secondary is behind, all replicas together, lanes that wait for a copy or a person among them. */
export interface ReplicationLag {
  /** Writes of the lanes that are behind, above the last that reached the secondary; one under way on the primary is among them. */
  readonly writes: number;
  readonly lanes: number;
  /** Age of the oldest applied write that the secondary lacks; null where it lacks none. */
  readonly oldestSeconds: number | null;
}

export interface LaneCounts {
  readonly lanes: number;
  readonly seeded: number;
  readonly dirty: number;
  readonly copying: number;
  readonly stopped: number;
  /** Lanes of which the last copy had to leave something out, and nobody has accepted it. */
  readonly excepted: number;
  /** Lanes that reconciliations found unequal, neither repaired nor accepted. */
  readonly differs: number;
  readonly deadLetters: number;
  /** Writes whose outcome nobody knows yet. */
  readonly unknown: number;
  /** Items that legacy lost and nobody has decided about. */
  readonly lostItems: number;
}

/** The counts of a service that the journal has never heard of. */
export const NO_LANES: LaneCounts = {
  lanes: 0,
  seeded: 0,
  dirty: 0,
  copying: 0,
  stopped: 0,
  excepted: 0,
  differs: 0,
  deadLetters: 0,
  unknown: 0,
  lostItems: 0,
};
