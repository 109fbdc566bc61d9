import type { Clock } from '../../shared/clock.ts';
import type { Orchestrator } from '../ports/ports.ts';
import type { Listener, MigrationEvents } from '../ports/events.ts';
import { isJsonObject } from '../../domain/json.ts';

/** Agents wait longer if the increase exceeds both this share and `leastRiseMs`. Below that it is noise. */
const RISE = 1.2;
/** If more memories wait for an embedding, a backfill would only make the queue longer. */
const LONG_LINE = 5_000;
/** Normally 5 % of operations are slower than the p95. By chance alone, at most 1 look of 100 slows the run. */
const SLOW_SHARE = 0.05;
const LIKELY_CHANCE = 0.01;
const LOOK_EVERY_MS = 250;
const PAUSE_FIRST_MS = 25;
const PAUSE_LONGEST_MS = 1_000;
/** A reference that is too low would slow a run forever, so it rises by this factor per look. */
const GIVE_WAY = 1.0005;
/**
 * If agents wait although almost nothing of the run is under way, the run is not the cause. They become the reference after this
 * time.
 */
const GIVE_WAY_AT_REST = 1.02;

interface PaceParts {
  readonly clock: Clock;
  /** Maximum number of lanes under way together. */
  readonly most: number;
  /** An increase of the agents' waiting time up to this never slows the run, milliseconds. */
  readonly leastRiseMs: number;
  /** p95 of the agents' waiting time in the last second, milliseconds; undefined if too few operations ended in it. */
  readonly liveP95: () => number | undefined;
  /** Used in that case: how many of the newest operations took longer. */
  readonly slower: (thanMs: number) => Slower;
  /** p95 before the run began, if there was traffic. */
  readonly calmP95: number | undefined;
  /** p95 of the reference. Used if there was no traffic before the run. */
  readonly latelyP95: () => number | undefined;
  /** Memories that wait for an embedding. */
  readonly embeddingLine: () => number;
  /** Items per second of this replica. */
  readonly rate: number | undefined;
}

/** What slows a run now. */
export type Brake = 'agents_wait' | 'embeddings_wait';

/**
 * The speed of a run. It is halved within a second when agents wait 20 % longer than before the run, and raised again step by
 * step.
 */
export class Pace {
  readonly #parts: PaceParts;
  #width: number;
  #pauseMs = 0;
  #calmMs: number | undefined;
  #lookedAtMs = Number.NEGATIVE_INFINITY;
  #dueAtMs = 0;
  #brake: Brake | undefined;

  constructor(parts: PaceParts) {
    this.#parts = parts;
    this.#width = parts.most;
    this.#calmMs = parts.calmP95;
  }

  get brake(): Brake | undefined {
    this.#look();
    return this.#brake;
  }

  get width(): number {
    this.#look();
    return this.#width;
  }

  get #isAtRest(): boolean {
    return this.#width === 1 && this.#pauseMs === PAUSE_LONGEST_MS;
  }

  /** Waits as long as the rate and the brake require after this many items. */
  async after(items: () => Promise<number>): Promise<void> {
    const { clock, rate } = this.#parts;
    this.#look();
    const dueInMs = rate === undefined ? 0 : this.#dueIn(((await items()) / rate) * 1_000);
    const waitMs = Math.max(this.#pauseMs, dueInMs);
    if (waitMs > 0) await clock.sleep(waitMs);
  }

  #dueIn(costMs: number): number {
    const nowMs = this.#parts.clock.now();
    this.#dueAtMs = Math.max(this.#dueAtMs, nowMs) + costMs;
    return this.#dueAtMs - nowMs;
  }

  #look(): void {
    const nowMs = this.#parts.clock.now();
    if (nowMs - this.#lookedAtMs < LOOK_EVERY_MS) return;
    this.#lookedAtMs = nowMs;
    this.#brake = this.#judge();
    if (this.#brake === undefined) {
      this.#width = Math.min(this.#parts.most, this.#width + 1);
      this.#pauseMs = this.#pauseMs <= PAUSE_FIRST_MS ? 0 : this.#pauseMs / 2;
      return;
    }
    if (this.#brake === 'agents_wait' && this.#isAtRest && this.#calmMs !== undefined)
      this.#calmMs *= GIVE_WAY_AT_REST;
    if (this.#width === 1)
      this.#pauseMs = Math.min(PAUSE_LONGEST_MS, Math.max(PAUSE_FIRST_MS, this.#pauseMs * 2));
    this.#width = Math.max(1, Math.floor(this.#width / 2));
  }

  #judge(): Brake | undefined {
    if (this.#parts.embeddingLine() > LONG_LINE) return 'embeddings_wait';
    const p95 = this.#parts.liveP95();
    if (p95 === undefined) return this.#judgeFew();
    this.#calmMs = this.#calmMs === undefined ? p95 : Math.min(p95, this.#calmMs * GIVE_WAY);
    if (this.#parts.calmP95 !== undefined) this.#calmMs = Math.max(this.#calmMs, this.#parts.calmP95);
    return p95 > this.#limitOver(this.#calmMs) ? 'agents_wait' : undefined;
  }

  /**
   * Fewer than 20 operations per second have no useful p95. Two are enough if both are slower than 95 of 100 were. Of more
   * operations, the number of slower ones must make chance unlikely: 2 of 3, 3 of 4 to 9, 4 of 10 to 15.
   */
  #judgeFew(): Brake | undefined {
    this.#calmMs ??= this.#parts.latelyP95();
    if (this.#calmMs === undefined) return undefined;
    const { slower, of } = this.#parts.slower(this.#limitOver(this.#calmMs));
    if (chanceOf(slower, of) > LIKELY_CHANCE) return undefined;
    this.#calmMs *= GIVE_WAY;
    return 'agents_wait';
  }

  #limitOver(calmMs: number): number {
    return Math.max(calmMs * RISE, calmMs + this.#parts.leastRiseMs);
  }
}

/** The probability that this many of them, or more, are among the slowest 5 % by chance. */
function chanceOf(slower: number, of: number): number {
  let exactly = (1 - SLOW_SHARE) ** of;
  let fewer = 0;
  for (let some = 0; some < slower; some += 1) {
    fewer += exactly;
    exactly *= ((of - some) / (some + 1)) * (SLOW_SHARE / (1 - SLOW_SHARE));
  }
  return 1 - fewer;
}

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

/** The run and its pace look every quarter of a second, so a queue that grows slows a run within a second. */
const FRESH_MS = 250;
const TIMEOUT_MS = 1_000;

/** Number of memories that wait for an embedding, from the orchestrator's health; 0 if it does not report it. */
export function createEmbeddingLine(orchestrator: Orchestrator, clock: Clock): () => Promise<number> {
  let known = { atMs: Number.NEGATIVE_INFINITY, waiting: 0 };
  return async () => {
    const nowMs = clock.now();
    if (nowMs - known.atMs < FRESH_MS) return known.waiting;
    known = { atMs: nowMs, waiting: known.waiting };
    const answer = await orchestrator.read(
      { action: 'health', payload: {} },
      { purpose: 'probe', deadlineAtMs: nowMs + TIMEOUT_MS },
    );
    known = { atMs: nowMs, waiting: waitingIn(answer.data['details']) };
    return known.waiting;
  };
}

function waitingIn(details: unknown): number {
  const embeddings = isJsonObject(details) ? details['embeddings'] : undefined;
  const waiting = isJsonObject(embeddings) ? embeddings['waiting'] : undefined;
  return typeof waiting === 'number' ? waiting : 0;
}
