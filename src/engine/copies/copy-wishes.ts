import type { ServiceName } from '../../domain/ids.ts';
import type { Lane } from '../lane/lane.ts';

/** Why a lane is copied, in order of urgency. */
const COPY_REASONS = ['dirty', 'unseeded', 'backfill'] as const;

export type CopyReason = (typeof COPY_REASONS)[number];

/** Agents use these lanes, and their reads stay on legacy until the copy. */
export const URGENT_REASONS: readonly CopyReason[] = ['dirty', 'unseeded'];

/** A lane that is to be copied. */
export interface Wish {
  readonly lane: Lane;
  readonly reason: CopyReason;
  /** The copy must not begin before this instant. */
  readonly notBeforeMs: number;
  /** Number of failed copies of the lane. */
  readonly attempt: number;
}

type Ready = Map<ServiceName, Map<Lane, Wish>>;

/** Lanes that wait for a copy, each once. Those that may begin are ordered by urgency and service, first come first served. */
export class CopyWishes {
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
