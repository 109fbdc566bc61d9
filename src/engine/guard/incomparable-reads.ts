import type { GuardCounts } from './guard-counts.ts';
import type { GuardLimits } from './guard-limits.ts';
import { LONGEST_WINDOW, QUARTER, SlidingTally, type WindowName } from './sliding-tally.ts';

/**
 * Which share of a service's reads could not be compared. Over a quarter of an hour: what cannot be compared for a moment, because
 * agents write just then, is no reason to call anybody. Where that shows too few reads to tell, over six hours, while it goes on.
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

  /** What is judged at this instant. */
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
