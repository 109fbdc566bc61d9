import { messageOf } from '../../domain/errors.ts';
import type { ServiceName } from '../../domain/ids.ts';
import type { Emit } from '../ports/events.ts';
import type { Lane } from '../lane/lane.ts';
import type { Clock } from '../../shared/clock.ts';
import { backoffMs } from '../../shared/backoff.ts';

const RETRY = { firstMs: 250, longestMs: 10_000 };
const EXCLUSIVE_LOOK_MS = 5;
/**
 * After this many failures, callers that wait for a copy get its failure. A service that restarts is available again
 * before that.
 */
const WATCHED_ATTEMPTS = 4;

interface CopyQueueParts {
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
      const retryInMs = backoffMs(attempt, RETRY);
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

/** Why a lane is copied, in order of urgency. */
const COPY_REASONS = ['dirty', 'unseeded', 'backfill'] as const;

export type CopyReason = (typeof COPY_REASONS)[number];

/** Agents use these lanes, and their reads stay on legacy until the copy. */
const URGENT_REASONS: readonly CopyReason[] = ['dirty', 'unseeded'];

/** A lane that is to be copied. */
interface Wish {
  readonly lane: Lane;
  readonly reason: CopyReason;
  /** The copy must not begin before this instant. */
  readonly notBeforeMs: number;
  /** Number of failed copies of the lane. */
  readonly attempt: number;
}

type Ready = Map<ServiceName, Map<Lane, Wish>>;

/** Lanes that wait for a copy, each once. Those that may begin are ordered by urgency and service, first come first served. */
class CopyWishes {
  readonly #ready: Readonly<Record<CopyReason, Ready>> = {
    dirty: new Map(),
    unseeded: new Map(),
    backfill: new Map(),
  };
  readonly #delayed = new Map<Lane, Wish>();
  readonly #all = new Map<Lane, Wish>();

  get size(): number {
    return this.#all.size;
  }

  has(lane: Lane): boolean {
    return this.#all.has(lane);
  }

  /**
   * Adds a request. If the lane waits already, it takes the higher urgency and the later time, and keeps its place if possible.
   */
  add(wish: Wish, nowMs: number): void {
    const known = this.#all.get(wish.lane);
    const merged = known === undefined ? wish : merge(known, wish);
    const isDelayed = merged.notBeforeMs > nowMs;
    if (known !== undefined && (isDelayed || known.reason !== merged.reason)) this.delete(known);
    this.#delayed.delete(merged.lane);
    this.#all.set(merged.lane, merged);
    if (isDelayed) this.#delayed.set(merged.lane, merged);
    else this.#bucketOf(merged).set(merged.lane, merged);
  }

  clear(): void {
    this.#all.clear();
    this.#delayed.clear();
    for (const ready of Object.values(this.#ready)) ready.clear();
  }

  drop(lane: Lane): void {
    const known = this.#all.get(lane);
    if (known !== undefined) this.delete(known);
  }

  delete(wish: Wish): void {
    this.#all.delete(wish.lane);
    this.#delayed.delete(wish.lane);
    this.#bucketOf(wish).delete(wish.lane);
  }

  /** Releases the lanes whose time has come. */
  ripen(nowMs: number): void {
    for (const wish of this.#delayed.values()) {
      if (wish.notBeforeMs > nowMs) continue;
      this.#delayed.delete(wish.lane);
      this.#bucketOf(wish).set(wish.lane, wish);
    }
  }

  /** The most urgent lane that may begin; among equals, the first. */
  next(
    mayCopy: (service: ServiceName) => boolean,
    isUnderWay: (lane: Lane) => boolean,
    reasons: readonly CopyReason[] = COPY_REASONS,
  ): Wish | undefined {
    for (const reason of reasons) {
      for (const [service, wishes] of this.#ready[reason]) {
        if (wishes.size === 0 || !mayCopy(service)) continue;
        for (const wish of wishes.values()) if (!isUnderWay(wish.lane)) return wish;
      }
    }
    return undefined;
  }

  #bucketOf({ lane, reason }: Wish): Map<Lane, Wish> {
    const ready = this.#ready[reason];
    const known = ready.get(lane.service);
    if (known !== undefined) return known;
    const made = new Map<Lane, Wish>();
    ready.set(lane.service, made);
    return made;
  }
}

function merge(known: Wish, asked: Wish): Wish {
  const isMoreUrgent = COPY_REASONS.indexOf(asked.reason) < COPY_REASONS.indexOf(known.reason);
  return {
    ...known,
    reason: isMoreUrgent ? asked.reason : known.reason,
    notBeforeMs: Math.max(known.notBeforeMs, asked.notBeforeMs),
  };
}
