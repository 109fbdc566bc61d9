import type { Listener, MigrationEvents } from '../ports/events.ts';
import type { Clock } from '../ports/ports.ts';

const BUCKET_MS = 250;
const SECOND = 4;
/** If fewer than two operations ended in the last second, the last five seconds are used. */
const FIVE_SECONDS = 20;
/** The reference: half a minute, or as many minutes as it takes to have enough operations. */
const CALM = 120;
const LONGEST = 2_400;
/** A p95 of fewer operations is meaningless, so they are counted instead: see `slower`. */
const LEAST = 20;
/** A single slow operation proves nothing. */
const LEAST_COUNTED = 2;
const SAMPLES_PER_BUCKET = 500;

interface Bucket {
  readonly at: number;
  readonly durations: number[];
}

/** How many of the newest operations took longer than the given time. */
export interface Slower {
  readonly slower: number;
  readonly of: number;
}

/** How long agents wait, from the engine's events, in steps of a quarter of a second. */
export class LiveLatency {
  readonly #clock: Clock;
  readonly #buckets: Bucket[] = [];
  #operations = 0;

  constructor(clock: Clock) {
    this.#clock = clock;
  }

  readonly listener: Listener = (name, event) => {
    if (name === 'operation:replied') this.#replied(event as MigrationEvents['operation:replied']);
  };

  #replied({ durationMs }: MigrationEvents['operation:replied']): void {
    const at = this.#now();
    let bucket = this.#buckets.at(-1);
    if (bucket?.at !== at) {
      bucket = { at, durations: [] };
      this.#buckets.push(bucket);
      this.#forget(at);
    }
    if (bucket.durations.length >= SAMPLES_PER_BUCKET) return;
    bucket.durations.push(durationMs);
    this.#operations += 1;
  }

  /** Data older than half a minute is kept while newer data is too little for a comparison. */
  #forget(now: number): void {
    const kept = this.#buckets.findIndex(({ at, durations }) => {
      const age = now - at;
      const isSpare = age > CALM && this.#operations - durations.length >= LEAST;
      if (!isSpare && age <= LONGEST) return true;
      this.#operations -= durations.length;
      return false;
    });
    this.#buckets.splice(0, kept);
  }

  /** p95 of the last second, milliseconds; undefined if too few operations ended in it. */
  lastSecond(): number | undefined {
    return p95Of(this.#within(SECOND));
  }

  /** p95 of the last half minute, or of the last operations that are enough, up to ten minutes back. */
  lately(): number | undefined {
    return p95Of(this.#within(LONGEST));
  }

  /** For those that ended in the last second, or, if these are fewer than two, in the last five. */
  slower(thanMs: number): Slower {
    const second = this.#within(SECOND);
    const newest = second.length >= LEAST_COUNTED ? second : this.#within(FIVE_SECONDS);
    return { slower: newest.filter((duration) => duration > thanMs).length, of: newest.length };
  }

  #within(buckets: number): number[] {
    const after = this.#now() - buckets;
    return this.#buckets.filter(({ at }) => at > after).flatMap(({ durations }) => durations);
  }

  #now(): number {
    return Math.floor(this.#clock.now() / BUCKET_MS);
  }
}

function p95Of(durations: number[]): number | undefined {
  if (durations.length < LEAST) return undefined;
  return durations.sort((a, b) => a - b)[Math.floor(durations.length * 0.95)];
}
