/** Number of time gaps that are kept. Their median is the offset. */
const WINDOW = 201;
/** Fewer gaps are too few for an offset. */
const LEAST = 20;
/** Clocks of servers differ by less than this. A gap of an hour is a time zone, and a defect. */
const LARGEST_SECONDS = 120;
/** If the middle half of the gaps spreads more than this, they do not come from a clock offset. */
const WIDEST_SPREAD_SECONDS = 2;
const SORT_EVERY = 16;

export interface ClockOffsetReport {
  /** How far legacy's clock is ahead. It is subtracted from legacy's times; 0 until it is known. */
  readonly seconds: number;
  /** Number of gaps from which the offset was computed. */
  readonly measuredFrom: number;
  /** Why the median gap is not subtracted. */
  readonly refused?: 'too_large' | 'scattered';
}

/**
 * The clock offset of a service: the median gap between the times that both backends gave the same write. An item that a copy
 * wrote has legacy's own time and gives no information, so gaps of exactly 0 are left out.
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

const MS_PER_MINUTE = 60_000;

interface KnownOffset {
  readonly minute: number;
  readonly seconds: number;
}

const known = new Map<string, KnownOffset>();

/** A time as a clock in `timeZone` shows it, in seconds since 1970, as if that were UTC. */
export function naiveSecondsOf(atMs: number, timeZone: string): number {
  const minute = Math.floor(atMs / MS_PER_MINUTE);
  const before = known.get(timeZone);
  if (before?.minute === minute) return atMs / 1_000 + before.seconds;
  const parts = new Intl.DateTimeFormat('en-GB', { timeZone, timeZoneName: 'longOffset' }).formatToParts(
    atMs,
  );
  const name = parts.find(({ type }) => type === 'timeZoneName')?.value ?? 'GMT';
  const seconds = offsetSeconds(name);
  known.set(timeZone, { minute, seconds });
  return atMs / 1_000 + seconds;
}

/** `GMT`, `GMT+05:30`. */
function offsetSeconds(name: string): number {
  const match = /([+-])(\d\d):(\d\d)/.exec(name);
  if (match === null) return 0;
  const [, sign, hours, minutes] = match;
  const size = Number(hours) * 3_600 + Number(minutes) * 60;
  return sign === '-' ? -size : size;
}
