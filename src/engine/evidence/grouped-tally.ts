import type { LaneKey } from '../../domain/ids.ts';

/** Lanes are assigned to this many groups at random. Enough for an interval, in constant memory. */
export const GROUPS = 64;

const FNV_OFFSET = 0x811c9dc5;
const FNV_PRIME = 0x01000193;

/** The group of a lane, 0 to 63. It never changes. */
export function groupOf(lane: LaneKey): number {
  let hash = FNV_OFFSET;
  for (let index = 0; index < lane.length; index += 1)
    hash = Math.imul(hash ^ lane.charCodeAt(index), FNV_PRIME);
  return (hash ^ (hash >>> 15)) & (GROUPS - 1);
}

/** A mean with its standard error. */
export interface Estimate {
  readonly count: number;
  readonly mean: number;
  /** Standard deviation of the mean. */
  readonly error: number;
  /** Number of groups with values. Fewer than five prove nothing. */
  readonly groups: number;
}

/** A tally as stored: per group the number of values and their sum. Empty if all are zero. */
export interface TallyCounts {
  readonly counts: readonly number[];
  readonly sums: readonly number[];
}

/** Logarithm of a duration below any that is measured. */
const STORED_DIGITS = 1e6;

/**
 * Values by group of lanes. The operations of one lane are correlated, so a thousand of them are not a thousand proofs. The error
 * of the mean is therefore estimated from how the groups differ ("random groups"), and never from how operations differ.
 */
export class GroupedTally {
  readonly #counts = new Float64Array(GROUPS);
  readonly #sums = new Float64Array(GROUPS);

  add(group: number, value: number): void {
    this.#counts[group] = (this.#counts[group] ?? 0) + 1;
    this.#sums[group] = (this.#sums[group] ?? 0) + value;
  }

  counts(): TallyCounts {
    const sums = [...this.#sums].map((sum) => Math.round(sum * STORED_DIGITS) / STORED_DIGITS);
    return { counts: unlessZero([...this.#counts]), sums: unlessZero(sums) };
  }

  addCounts({ counts, sums }: TallyCounts): void {
    for (let group = 0; group < GROUPS; group += 1) {
      this.#counts[group] = (this.#counts[group] ?? 0) + (counts[group] ?? 0);
      this.#sums[group] = (this.#sums[group] ?? 0) + (sums[group] ?? 0);
    }
  }

  estimate(): Estimate {
    const count = this.#counts.reduce((all, one) => all + one, 0);
    const groups = this.#counts.reduce((seen, one) => seen + (one > 0 ? 1 : 0), 0);
    if (count === 0) return { count, mean: 0, error: 0, groups };
    const mean = this.#sums.reduce((all, one) => all + one, 0) / count;
    let squares = 0;
    this.#counts.forEach((tries, group) => (squares += ((this.#sums[group] ?? 0) - mean * tries) ** 2));
    const error = groups < 2 ? 0 : Math.sqrt((groups / (groups - 1)) * squares) / count;
    return { count, mean, error, groups };
  }
}

function unlessZero(numbers: readonly number[]): readonly number[] {
  return numbers.every((number) => number === 0) ? [] : numbers;
}
