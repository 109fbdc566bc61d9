import { messageOf } from '../domain/errors.ts';
import type { Emit } from './events.ts';
import type { Lane } from './lanes.ts';
import type { Clock } from './ports.ts';

const RETRY_FIRST_MS = 250;
const RETRY_LONGEST_MS = 10_000;

/** Why a lane is copied, the most urgent first. */
const URGENCY = { dirty: 0, unseeded: 1, backfill: 2 } as const;

export type CopyReason = keyof typeof URGENCY;

interface Wish {
  readonly lane: Lane;
  reason: CopyReason;
  notBeforeMs: number;
  attempt: number;
}

export interface CopyQueueParts {
  readonly clock: Clock;
  readonly emit: Emit;
  /** Lanes copied at the same time. */
  readonly concurrency: number;
  copy(lane: Lane): Promise<void>;
  /** False while copies of the lane's service are not allowed to begin. */
  mayCopy(lane: Lane): boolean;
}

/** Lanes that must be copied, each once, urgent ones first. What fails is tried again, later and later. */
export class CopyQueue {
  readonly #parts: CopyQueueParts;
  readonly #wishes = new Map<Lane, Wish>();
  readonly #underWay = new Set<Lane>();
  #timer: NodeJS.Timeout | undefined;
  #isStopped = false;

  constructor(parts: CopyQueueParts) {
    this.#parts = parts;
  }

  /** Lanes that wait or are being copied. */
  get size(): number {
    return this.#wishes.size + this.#underWay.size;
  }

  /** Asks for a copy, not before `delayMs` from now. A wish that stands already becomes as urgent as the new one. */
  add(lane: Lane, reason: CopyReason, delayMs = 0): void {
    const notBeforeMs = this.#parts.clock.now() + delayMs;
    const known = this.#wishes.get(lane);
    if (known === undefined) this.#wishes.set(lane, { lane, reason, notBeforeMs, attempt: 0 });
    else {
      if (URGENCY[reason] < URGENCY[known.reason]) known.reason = reason;
      known.notBeforeMs = Math.max(known.notBeforeMs, notBeforeMs);
    }
    this.wake();
  }

  /** Begins what may begin. */
  wake(): void {
    if (this.#isStopped) return;
    while (this.#underWay.size < this.#parts.concurrency) {
      const next = this.#next();
      if (next === undefined) break;
      this.#wishes.delete(next.lane);
      this.#underWay.add(next.lane);
      void this.#run(next);
    }
    this.#wakeLater();
  }

  async stop(): Promise<void> {
    this.#isStopped = true;
    clearTimeout(this.#timer);
    while (this.#underWay.size > 0) await this.#parts.clock.sleep(1);
  }

  #next(): Wish | undefined {
    const now = this.#parts.clock.now();
    let best: Wish | undefined;
    for (const wish of this.#wishes.values()) {
      const mayBegin =
        wish.notBeforeMs <= now && !this.#underWay.has(wish.lane) && this.#parts.mayCopy(wish.lane);
      if (mayBegin && (best === undefined || URGENCY[wish.reason] < URGENCY[best.reason])) best = wish;
      if (best?.reason === 'dirty') break;
    }
    return best;
  }

  /** Wishes that wait for their time, or for their service, are looked at again. */
  #wakeLater(): void {
    if (this.#wishes.size === 0 || this.#timer !== undefined) return;
    this.#timer = setTimeout(() => {
      this.#timer = undefined;
      this.wake();
    }, 50);
  }

  async #run(wish: Wish): Promise<void> {
    const { lane } = wish;
    try {
      await this.#parts.copy(lane);
    } catch (error) {
      const attempt = wish.attempt + 1;
      const retryInMs = Math.min(RETRY_LONGEST_MS, RETRY_FIRST_MS * 2 ** wish.attempt);
      this.#parts.emit('lane:copy_failed', {
        service: lane.service,
        lane: lane.key,
        reason: messageOf(error),
        attempt,
        retryInMs,
      });
      const notBeforeMs = this.#parts.clock.now() + retryInMs;
      this.#wishes.set(lane, { lane, reason: wish.reason, notBeforeMs, attempt });
    } finally {
      this.#underWay.delete(lane);
    }
    this.wake();
  }
}
