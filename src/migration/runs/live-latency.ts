import type { Listener, MigrationEvents } from '../events.ts';
import type { Clock } from '../ports.ts';

const BUCKET_MS = 250;
const WINDOW_BUCKETS = 4;
/** What is remembered to compare with: half a minute. */
const CALM_BUCKETS = 120;
/** Fewer operations prove nothing. */
const LEAST = 20;
const SAMPLES_PER_BUCKET = 500;

interface Bucket {
  readonly at: number;
  readonly durations: number[];
}

/** How long agents wait, from the engine's events, a quarter of a second at a time. */
export class LiveLatency {
  readonly #clock: Clock;
  readonly #buckets: Bucket[] = [];

  constructor(clock: Clock) {
    this.#clock = clock;
  }

  readonly listener: Listener = (name, event) => {
    if (name === 'operation:replied') this.#replied(event as MigrationEvents['operation:replied']);
  };

  #replied({ durationMs }: MigrationEvents['operation:replied']): void {
    const at = Math.floor(this.#clock.now() / BUCKET_MS);
    let bucket = this.#buckets.at(-1);
    if (bucket?.at !== at) {
      bucket = { at, durations: [] };
      this.#buckets.push(bucket);
      if (this.#buckets.length > CALM_BUCKETS) this.#buckets.shift();
    }
    if (bucket.durations.length < SAMPLES_PER_BUCKET) bucket.durations.push(durationMs);
  }

  /** p95 of the last second, milliseconds; undefined where too few operations ended in it. */
  lastSecond(): number | undefined {
    return this.#p95(Math.floor(this.#clock.now() / BUCKET_MS) - WINDOW_BUCKETS);
  }

  /** p95 of the last half minute. */
  lately(): number | undefined {
    return this.#p95(0);
  }

  #p95(after: number): number | undefined {
    const durations = this.#buckets.filter(({ at }) => at > after).flatMap((bucket) => bucket.durations);
    if (durations.length < LEAST) return undefined;
    return durations.sort((a, b) => a - b)[Math.floor(durations.length * 0.95)];
  }
}
