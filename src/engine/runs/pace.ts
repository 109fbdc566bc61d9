import type { Clock } from '../ports/ports.ts';
import type { Slower } from './live-latency.ts';

/** Agents wait longer than they did: by this share, and by at least this much, below which it is noise. */
const RISE = 1.2;
const LEAST_RISE_MS = 1;
/** More memories than these wait to be embedded: a backfill would only make the line longer. */
const LONG_LINE = 5_000;
/** While agents wait as they did, 5 % of their operations are slower than the p95, and chance alone brakes in at most 1 look of 100. */
const SLOW_SHARE = 0.05;
const LIKELY_CHANCE = 0.01;
const LOOK_EVERY_MS = 250;
const PAUSE_FIRST_MS = 25;
const PAUSE_LONGEST_MS = 1_000;
/** A reference that is too low would slow a run for ever: it gives way by so much a look. */
const GIVE_WAY = 1.0005;
/** Where agents wait although next to nothing of the run is under way, it is not the run that they wait for: they are judged by that soon. */
const GIVE_WAY_AT_REST = 1.02;

export interface PaceParts {
  readonly clock: Clock;
  /** Lanes under way together at most. */
  readonly most: number;
  /** p95 of what agents waited in the last second, milliseconds; undefined where too few operations ended in it. */
  readonly liveP95: () => number | undefined;
  /** What is judged by there: how many of the newest operations took longer. */
  readonly slower: (thanMs: number) => Slower;
  /** p95 before the run began, where there was traffic. */
  readonly calmP95: number | undefined;
  /** p95 of what is remembered: what a run is judged by where there was no traffic before it. */
  readonly latelyP95: () => number | undefined;
  /** Memories that wait to be embedded. */
  readonly embeddingLine: () => number;
  /** Items a second of this replica. */
  readonly rate: number | undefined;
}

/** What slows a run at this moment. */
export type Brake = 'agents_wait' | 'embeddings_wait';

/** How fast a run may go: halved within a second when agents wait 20 % longer than before it, and given back step by step. */
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

  /** Waits as long as the rate and the brake ask for after so many items. */
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
    return p95 > limitOver(this.#calmMs) ? 'agents_wait' : undefined;
  }

  /**
   * Fewer than 20 operations a second have no p95 worth the name. Two are enough to judge by where both are slower than 95 of 100 were;
   * of more, so many must be that chance does not explain it: 2 of 3, 3 of 4 to 9, 4 of 10 to 15.
   */
  #judgeFew(): Brake | undefined {
    this.#calmMs ??= this.#parts.latelyP95();
    if (this.#calmMs === undefined) return undefined;
    const { slower, of } = this.#parts.slower(limitOver(this.#calmMs));
    if (chanceOf(slower, of) > LIKELY_CHANCE) return undefined;
    this.#calmMs *= GIVE_WAY;
    return 'agents_wait';
  }
}

function limitOver(calmMs: number): number {
  return Math.max(calmMs * RISE, calmMs + LEAST_RISE_MS);
}

/** How likely it is that so many of these, or more, are among the slowest 5 % by chance. */
function chanceOf(slower: number, of: number): number {
  let exactly = (1 - SLOW_SHARE) ** of;
  let fewer = 0;
  for (let some = 0; some < slower; some += 1) {
    fewer += exactly;
    exactly *= ((of - some) / (some + 1)) * (SLOW_SHARE / (1 - SLOW_SHARE));
  }
  return 1 - fewer;
}
