import type { GuardCounts } from './guard-counts.ts';
import type { GuardLimits } from './guard-limits.ts';
import { LONGEST_WINDOW, QUARTER, SlidingTally, type WindowName } from './sliding-tally.ts';

/**
 * The share of a service's reads that could not be compared. The window is 15 minutes, because short races with writes are no
 * reason for an alert. If that window has too few reads, and there are still reads that cannot be compared, the window is six
 * hours.
 */
export class IncomparableReads {
  readonly #quarter = new SlidingTally(QUARTER);
  readonly #long = new SlidingTally(LONGEST_WINDOW);

  add(atMs: number, { comparable, notComparable }: GuardCounts): void {
    const tries = comparable + notComparable;
    if (tries === 0) return;
    for (const tally of [this.#quarter, this.#long]) tally.add(atMs, { hits: notComparable, tries });
  }

  setBack(nowMs: number): void {
    for (const tally of [this.#quarter, this.#long]) tally.setBack(nowMs);
  }

  /** The tally that is judged now. */
  windowAt(
    nowMs: number,
    { leastOperations, notComparableRate }: GuardLimits,
  ): { readonly name: WindowName; readonly tally: SlidingTally } {
    const [quarter, long] = [this.#quarter, this.#long];
    for (const tally of [quarter, long]) tally.advance(nowMs);
    const isGoingOn = quarter.hits > notComparableRate * quarter.tries;
    return isGoingOn && quarter.tries < leastOperations
      ? { name: LONGEST_WINDOW.name, tally: long }
      : { name: QUARTER.name, tally: quarter };
  }
}
