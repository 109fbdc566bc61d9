import { messageOf } from '../../domain/errors.ts';
import type { ServiceName } from '../../domain/ids.ts';
import { CopyWishes, URGENT_REASONS, type CopyReason, type Wish } from './copy-wishes.ts';
import type { Emit } from '../ports/events.ts';
import type { Lane } from '../lane/lane.ts';
import type { Clock } from '../ports/ports.ts';

const RETRY_FIRST_MS = 250;
const RETRY_LONGEST_MS = 10_000;
const EXCLUSIVE_LOOK_MS = 5;
/** Who waits for a copy is told of its failure after so many: a service that restarts is back by then. */
const WATCHED_ATTEMPTS = 4;

export interface CopyQueueParts {
  readonly clock: Clock;
  readonly emit: Emit;
  /** Lanes copied at the same time; urgent ones have as many places more, so that they do not wait for others to end. */
  readonly concurrency: number;
  copy(lane: Lane): Promise<void>;
  /** False while copies of the service's lanes are not allowed to begin. */
  mayCopy(service: ServiceName): boolean;
}

/** Lanes that must be copied, each once, urgent ones first. What fails is tried again, later and later. */
export class CopyQueue {
  readonly #parts: CopyQueueParts;
  readonly #wishes = new CopyWishes();
  readonly #underWay = new Set<Lane>();
  readonly #watchers = new Map<Lane, ((failure: string | undefined) => void)[]>();
  #timer: NodeJS.Timeout | undefined;
  #isStopped = false;

  constructor(parts: CopyQueueParts) {
    this.#parts = parts;
  }

  /** Lanes that wait or are being copied. */
  get size(): number {
    return this.#wishes.size + this.#underWay.size;
  }

  /** Whether it waits, or is worked on. */
  holds(lane: Lane): boolean {
    return this.#wishes.has(lane) || this.#underWay.has(lane);
  }

  /** Asks for a copy, not before `delayMs` from now. A wish that stands already becomes as urgent as the new one. */
  add(lane: Lane, reason: CopyReason, delayMs = 0): void {
    const nowMs = this.#parts.clock.now();
    this.#wishes.add({ lane, reason, notBeforeMs: nowMs + delayMs, attempt: 0 }, nowMs);
    this.wake();
  }

  /**
   * Asks for a copy and resolves when it was tried: undefined where it came to its end, else why it failed so often that it is not
   * waited for any more. It is tried again all the same.
   */
  untilCopied(lane: Lane, reason: CopyReason): Promise<string | undefined> {
    return new Promise((resolve) => {
      this.#watchers.set(lane, [...(this.#watchers.get(lane) ?? []), resolve]);
      this.add(lane, reason);
    });
  }

  /** A person wants the lane as it is now: what asked for a copy of it before counts no more. */
  drop(lane: Lane): void {
    this.#wishes.drop(lane);
    this.#tell(lane, 'a person wants the lane as it is');
  }

  /** Does something to a lane while nothing copies it. */
  async exclusively<Result>(lane: Lane, work: () => Promise<Result>): Promise<Result> {
    while (this.#underWay.has(lane)) await this.#parts.clock.sleep(EXCLUSIVE_LOOK_MS);
    if (this.#isStopped) throw new Error('the proxy stops');
    this.#underWay.add(lane);
    try {
      return await work();
    } finally {
      this.#underWay.delete(lane);
      this.wake();
    }
  }

  #tell(lane: Lane, failure: string | undefined): void {
    for (const resolve of this.#watchers.get(lane) ?? []) resolve(failure);
    this.#watchers.delete(lane);
  }

  /** Begins what may begin. */
  wake(): void {
    if (this.#isStopped) return;
    const { concurrency } = this.#parts;
    while (this.#underWay.size < 2 * concurrency) {
      const next = this.#next(this.#underWay.size < concurrency ? undefined : URGENT_REASONS);
      if (next === undefined) break;
      this.#wishes.delete(next);
      this.#underWay.add(next.lane);
      void this.#run(next);
    }
    this.#wakeLater();
  }

  /** Nothing of what waits is this replica's any more. */
  forget(): void {
    this.#wishes.clear();
    for (const lane of this.#watchers.keys()) this.#tell(lane, "the lane is another replica's now");
  }

  async stop(): Promise<void> {
    this.#isStopped = true;
    clearTimeout(this.#timer);
    for (const lane of this.#watchers.keys()) this.#tell(lane, 'the proxy stops');
    while (this.#underWay.size > 0) await this.#parts.clock.sleep(1);
  }

  #next(reasons?: readonly CopyReason[]): Wish | undefined {
    return this.#wishes.next(
      (service) => this.#parts.mayCopy(service),
      (lane) => this.#underWay.has(lane) || lane.isSettling,
      reasons,
    );
  }

  /** Wishes that wait for their time, or for their service, are looked at again. */
  #wakeLater(): void {
    if (this.#wishes.size === 0 || this.#timer !== undefined) return;
    this.#timer = setTimeout(() => {
      this.#timer = undefined;
      this.#wishes.ripen(this.#parts.clock.now());
      this.wake();
    }, 50);
  }

  async #run(wish: Wish): Promise<void> {
    const { lane } = wish;
    try {
      await this.#parts.copy(lane);
      this.#tell(lane, undefined);
    } catch (error) {
      const attempt = wish.attempt + 1;
      if (attempt >= WATCHED_ATTEMPTS) this.#tell(lane, messageOf(error));
      const retryInMs = Math.min(RETRY_LONGEST_MS, RETRY_FIRST_MS * 2 ** wish.attempt);
      this.#parts.emit('lane:copy_failed', {
        service: lane.service,
        lane: lane.key,
        reason: messageOf(error),
        attempt,
        retryInMs,
      });
      const nowMs = this.#parts.clock.now();
      this.#wishes.add({ lane, reason: wish.reason, notBeforeMs: nowMs + retryInMs, attempt }, nowMs);
    } finally {
      this.#underWay.delete(lane);
    }
    this.wake();
  }
}
