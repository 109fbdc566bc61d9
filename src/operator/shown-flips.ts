import type { FlipFact } from '../engine/flips/eligibility.ts';
import type { FlipCounts } from '../engine/flips/flipper.ts';
import type { FirstLane } from '../engine/ports/flip-ports.ts';
import type { LaneCounts, ShownFlipFact, ShownFlips } from './api/flips.ts';

export function shownCounts(counts: FlipCounts): LaneCounts {
  const { eligible, moving, moved, waiting, stuck, isWhole, countedAtMs } = counts;
  const countedAt = new Date(countedAtMs).toISOString();
  return { eligible, moving, moved, waiting, stuck, whole: isWhole, counted_at: countedAt };
}

export function shownFirst(first: FirstLane | undefined): ShownFlips['goes_first'] {
  if (first === undefined) return null;
  const { lane, person, reason, atMs } = first;
  return { lane, person, reason, at: new Date(atMs).toISOString() };
}

export function shownFact({ fact, reason, have, need }: FlipFact): ShownFlipFact {
  return {
    fact,
    holds: reason === undefined,
    ...(reason !== undefined && { reason }),
    ...(have !== undefined && { have }),
    ...(need !== undefined && { need }),
  };
}

/** The facts that do not hold. */
export function blockersOf(facts: readonly FlipFact[]): ShownFlipFact[] {
  return facts.filter(({ reason }) => reason !== undefined).map(shownFact);
}
