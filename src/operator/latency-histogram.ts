import type { Quantiles } from './api/status.ts';

/** Everything at or below it is one bucket. */
const LEAST_MS = 0.01;
/** Everything above it is one bucket. */
const MOST_MS = 60_000;
/** Ratio of a bucket's end to its start. The largest relative error of a quantile is this ratio minus one. */
const GROWTH = 1.1;

const LOG_GROWTH = Math.log(GROWTH);
const BUCKETS = Math.ceil(Math.log(MOST_MS / LEAST_MS) / LOG_GROWTH) + 1;

/** Upper end of bucket `index`; bucket 0 begins at 0. */
function endOf(index: number): number {
  return LEAST_MS * GROWTH ** index;
}

function roundedMs(value: number): number {
  return Math.round(value * 1_000) / 1_000;
}

/**
 * Durations in a fixed number of log-spaced buckets (165, from 10 µs to 60 s), so that memory is constant. A quantile is
 * interpolated within its bucket, so between those ends its error is at most 10 %.
 */
export class LatencyHistogram {
  readonly #counts = new Float64Array(BUCKETS);
  #count = 0;

  /** A negative duration counts as zero, because readings of two clocks may come out of order. */
  record(durationMs: number): void {
    const index = durationMs <= LEAST_MS ? 0 : Math.ceil(Math.log(durationMs / LEAST_MS) / LOG_GROWTH);
    const bucket = Math.min(index, BUCKETS - 1);
    this.#counts[bucket] = (this.#counts[bucket] ?? 0) + 1;
    this.#count += 1;
  }

  /** The counts by bucket. */
  counts(): readonly (readonly [bucket: number, count: number])[] {
    return [...this.#counts.entries()].filter(([, count]) => count > 0);
  }

  addCounts(counts: readonly (readonly [bucket: number, count: number])[]): void {
    for (const [bucket, count] of counts) {
      const index = Math.min(bucket, BUCKETS - 1);
      this.#counts[index] = (this.#counts[index] ?? 0) + count;
      this.#count += count;
    }
  }

  /** `share` is 0–1. Null while nothing was recorded. */
  quantileMs(share: number): number | null {
    if (this.#count === 0) return null;
    const rank = share * this.#count;
    let below = 0;
    for (const [index, count] of this.#counts.entries()) {
      if (count > 0 && below + count >= rank) return interpolated(index, (rank - below) / count);
      below += count;
    }
    return roundedMs(endOf(BUCKETS - 1));
  }

  /**
   * A quantile with both ends of its confidence interval, from the ranks of the recorded values, so any distribution is allowed.
   * Null if too little was recorded for an upper end.
   * @param z quantile of the normal distribution for the interval
   */
  quantileInterval(share: number, z: number): readonly [value: number, lower: number, upper: number] | null {
    const spread = z * Math.sqrt(share * (1 - share) * this.#count);
    const [lower, upper] = [share * this.#count - spread, share * this.#count + spread];
    if (this.#count === 0 || upper > this.#count) return null;
    const at = (rank: number): number => this.quantileMs(Math.max(0, rank) / this.#count) ?? 0;
    return [at(share * this.#count), at(lower), at(upper)];
  }

  quantiles(): Quantiles {
    return {
      p50: this.quantileMs(0.5),
      p95: this.quantileMs(0.95),
      p99: this.quantileMs(0.99),
      count: this.#count,
    };
  }
}

function interpolated(index: number, share: number): number {
  const begin = index === 0 ? 0 : endOf(index - 1);
  return roundedMs(begin + (endOf(index) - begin) * share);
}
