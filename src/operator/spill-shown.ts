import type { SpillStatus } from '../engine/spill/spill.ts';

/** Writes that are not in the journal yet. */
export interface SpillShown {
  /** Whether the journal is away, or some of them are not in it yet. */
  readonly spilling: boolean;
  readonly seconds: number;
  readonly writes: number;
  readonly bytes: number;
  readonly limit_bytes: number;
  /** ISO-8601 UTC, when the oldest of them was accepted. Null if none waits. */
  readonly oldest_at: string | null;
}

export function spillShown(status: SpillStatus | undefined): SpillShown | null {
  if (status === undefined) return null;
  const { isSpilling, ageMs, writes, bytes, limitBytes, oldestAtMs } = status;
  return {
    spilling: isSpilling,
    seconds: Math.round(ageMs / 1_000),
    writes,
    bytes,
    limit_bytes: limitBytes,
    oldest_at: oldestAtMs === undefined ? null : new Date(oldestAtMs).toISOString(),
  };
}
