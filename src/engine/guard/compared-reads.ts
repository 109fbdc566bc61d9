import type { GuardCounts } from './guard-counts.ts';
import type { GuardLimits } from './guard-limits.ts';
import { LONGEST_WINDOW, QUARTER, SlidingTally } from './sliding-tally.ts';
import type { Judgement } from './triggers.ts';

const QUARTER_MS = QUARTER.slotMs * QUARTER.slots;

/**
 * Whether reads that have moved are still compared, for one action or for a service. Evidence that is not renewed loses its
 * value, because the orchestrator, its data or the sampling may have changed since.
 */
export class ComparedReads {
  readonly #quarter = new SlidingTally(QUARTER);
  readonly #long = new SlidingTally(LONGEST_WINDOW);
  /** Hits: reads that went to the orchestrator. Tries: comparisons that were dropped. */
  readonly #moved = new SlidingTally(LONGEST_WINDOW);
  #movedSinceMs = Infinity;

  add(atMs: number, { comparable, operations, orchestratorReads, dropped }: GuardCounts): void {
    this.#quarter.add(atMs, { hits: comparable, tries: operations });
    this.#long.add(atMs, { hits: comparable, tries: operations });
    this.#moved.add(atMs, { hits: orchestratorReads, tries: dropped });
    if (orchestratorReads > 0) this.#movedSinceMs = Math.min(this.#movedSinceMs, atMs);
  }

  setBack(nowMs: number): void {
    for (const tally of [this.#quarter, this.#long, this.#moved]) tally.setBack(nowMs);
  }

  /** An alert is sent and increases are blocked. No reads move back, because nothing wrong was found. */
  judge(nowMs: number, limits: GuardLimits): Judgement | undefined {
    const [quarter, long, moved] = [this.#quarter, this.#long, this.#moved];
    for (const tally of [quarter, long, moved]) tally.advance(nowMs);
    const isWatched = moved.hits > 0 && nowMs - this.#movedSinceMs >= QUARTER_MS;
    if (!isWatched || quarter.tries === 0 || quarter.hits > 0 || !this.#isMissed(limits)) return undefined;
    const numbers = { operations: quarter.tries, compared: 0, dropped: moved.tries };
    return { steps: ['alert', 'hold_ramp'], numbers };
  }

  /** Judged by the share of the last hours, so that 1 % sampling in a quiet night causes no alarm. */
  #isMissed({ leastHits, leastOperations }: GuardLimits): boolean {
    if (this.#long.hits === 0) return this.#long.tries >= leastOperations;
    return (this.#long.hits / this.#long.tries) * this.#quarter.tries >= leastHits;
  }
}
