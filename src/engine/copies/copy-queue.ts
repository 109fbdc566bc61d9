import { messageOf } from '../../domain/errors.ts';
import type { ServiceName } from '../../domain/ids.ts';
import { CopyWishes, URGENT_REASONS, type CopyReason, type Wish } from './copy-wishes.ts';
import type { Emit } from '../ports/events.ts';
import type { Lane } from '../lane/lane.ts';
import type { Clock } from '../ports/ports.ts';

const RETRY_FIRST_MS = 250;
const RETRY_LONGEST_MS = 10_000;
const EXCLUSIVE_LOOK_MS = 5;
/** After this many failures, those who wait for a copy get its failure. A service that restarts is back by then. */
const WATCHED_ATTEMPTS = 4;

export interface CopyQueueParts {
  readonly clock: Clock;
  readonly emit: Emit;
  /** Lanes copied at the same time. Urgent lanes have the same number of places in addition, so that they do not wait. */
  readonly concurrency: number;
  copy(lane: Lane): Promise<void>;
  /** False while no copy of the service's lanes may begin. */
  mayCopy(service: ServiceName): boolean;
}

/** Lanes that must be copied, each once, urgent ones first. Failed copies are retried after growing pauses. */
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

  /** Whether the lane waits or is being copied. */
  holds(lane: Lane): boolean {
    return this.#wishes.has(lane) || this.#underWay.has(lane);
  }

  /** Requests a copy, not before `delayMs` from now. A request that exists already becomes as urgent as the new one. */
  add(lane: Lane, reason: CopyReason, delayMs = 0): void {
    const nowMs = this.#parts.clock.now();
    this.#wishes.add({ lane, reason, notBeforeMs: nowMs + delayMs, attempt: 0 }, nowMs);
    this.wake();
  }

  /**
   * Requests a copy, and resolves after it was tried: undefined if it succeeded, else why it failed several times. It is retried
   * in both cases.
   */
  untilCopied(lane: Lane, reason: CopyReason): Promise<string | undefined> {
    return new Promise((resolve) => {
      this.#watchers.set(lane, [...(this.#watchers.get(lane) ?? []), resolve]);
      this.add(lane, reason);
    });
  }

  /** Cancels the requests for a copy of the lane, because a person wants to keep its present state. */
  drop(lane: Lane): void {
    this.#wishes.drop(lane);
    this.#tell(lane, 'cancelled because a person wants to keep the lane as it is');
  }

  /** Runs an action on a lane while no copy of it runs. */
  async exclusively<Result>(lane: Lane, work: () => Promise<Result>): Promise<Result> {
    while (this.#underWay.has(lane)) await this.#parts.clock.sleep(EXCLUSIVE_LOOK_MS);
    if (this.#isStopped) throw new Error('the proxy is stopping');
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

  /** Starts the copies that may begin. */
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

  /** Drops everything that waits, because it belongs to other replicas now. */
  forget(): void {
    this.#wishes.clear();
    for (const lane of this.#watchers.keys()) this.#tell(lane, 'the lane belongs to another replica now');
  }

  async stop(): Promise<void> {
    this.#isStopped = true;
    clearTimeout(this.#timer);
    for (const lane of this.#watchers.keys()) this.#tell(lane, 'the proxy is stopping');
    while (this.#underWay.size > 0) await this.#parts.clock.sleep(1);
  }

  #next(reasons?: readonly CopyReason[]): Wish | undefined {
    return this.#wishes.next(
      (service) => this.#parts.mayCopy(service),
      (lane) => this.#underWay.has(lane) || lane.isSettling,
      reasons,
    );
  }

  /** Checks again the requests that wait for their time or for their service. */
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
