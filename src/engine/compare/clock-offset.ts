/** Gaps between times that are kept; the middle one is the offset. */
const WINDOW = 201;
/** Fewer say nothing. */
const LEAST = 20;
/** Clocks of servers are not further apart; a gap of an hour is a time zone, and a defect. */
const LARGEST_SECONDS = 120;
/** Where the middle half of the gaps is wider than this, they are no offset of a clock. */
const WIDEST_SPREAD_SECONDS = 2;
const SORT_EVERY = 16;

export interface ClockOffsetReport {
  /** What legacy's clock is ahead by, and what is subtracted from its times; 0 until it is known. */
  readonly seconds: number;
  /** Gaps it was measured from. */
  readonly measuredFrom: number;
  /** Why the middle gap is not subtracted. */
  readonly refused?: 'too_large' | 'scattered';
}

/**
 * The offset of a service's clock, measured where both sides stamped the same write: the median gap. What a copy has written carries
 * legacy's own time, and says nothing: gaps of exactly 0 are left out.
 */
export class ClockOffset {
  readonly #gaps: number[] = [];
  #next = 0;
  #added = 0;
  #report: ClockOffsetReport = { seconds: 0, measuredFrom: 0 };

  add(gapsSeconds: readonly number[]): void {
    for (const gap of gapsSeconds) {
      if (gap === 0) continue;
      this.#gaps[this.#next] = gap;
      this.#next = (this.#next + 1) % WINDOW;
      this.#added += 1;
      if (this.#added % SORT_EVERY === 0) this.#report = this.#measure();
    }
  }

  get seconds(): number {
    return this.#report.seconds;
  }

  report(): ClockOffsetReport {
    return this.#report;
  }

  #measure(): ClockOffsetReport {
    const sorted = this.#gaps.toSorted((a, b) => a - b);
    const measuredFrom = sorted.length;
    if (measuredFrom < LEAST) return { seconds: 0, measuredFrom };
    const at = (share: number): number => sorted[Math.floor(measuredFrom * share)] ?? 0;
    const seconds = at(0.5);
    if (at(0.75) - at(0.25) > WIDEST_SPREAD_SECONDS)
      return { seconds: 0, measuredFrom, refused: 'scattered' };
    if (Math.abs(seconds) > LARGEST_SECONDS) return { seconds: 0, measuredFrom, refused: 'too_large' };
    return { seconds, measuredFrom };
  }
}
