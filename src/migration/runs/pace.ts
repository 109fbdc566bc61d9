import type { Clock } from '../ports.ts';

/** Agents wait longer than they did: by this share, and by at least this much, below which it is noise. */
const RISE = 1.2;
const LEAST_RISE_MS = 1;
/** More memories than these wait to be embedded: a backfill would only make the line longer. */
const LONG_LINE = 5_000;
const LOOK_EVERY_MS = 250;
const PAUSE_FIRST_MS = 25;
const PAUSE_LONGEST_MS = 1_000;
/** A reference that is too low would slow a run for ever: it gives way by so much a look. */
const GIVE_WAY = 1.0005;

export interface PaceParts {
  readonly clock: Clock;
  /** Lanes under way together at most. */
  readonly most: number;
  /** p95 of what agents waited in the last second, milliseconds. */
  readonly liveP95: () => number | undefined;
  /** The same before the run began, where there was traffic. */
  readonly calmP95: number | undefined;
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
    if (this.#width === 1)
      this.#pauseMs = Math.min(PAUSE_LONGEST_MS, Math.max(PAUSE_FIRST_MS, this.#pauseMs * 2));
    this.#width = Math.max(1, Math.floor(this.#width / 2));
  }

  #judge(): Brake | undefined {
    if (this.#parts.embeddingLine() > LONG_LINE) return 'embeddings_wait';
    const p95 = this.#parts.liveP95();
    if (p95 === undefined) return undefined;
    this.#calmMs = this.#calmMs === undefined ? p95 : Math.min(p95, this.#calmMs * GIVE_WAY);
    if (this.#parts.calmP95 !== undefined) this.#calmMs = Math.max(this.#calmMs, this.#parts.calmP95);
    return p95 > this.#calmMs * RISE && p95 - this.#calmMs > LEAST_RISE_MS ? 'agents_wait' : undefined;
  }
}
