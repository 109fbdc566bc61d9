import type { LaneKey } from '../../domain/ids.ts';
import type { Lane } from '../lane/lane.ts';
import type { LegacyTail } from './legacy-tail.ts';

/** Lanes whose tails are kept in memory. The tail of another lane is read from legacy before its next send. */
const MOST = 10_000;

/** A tail, as it is after the writes up to a sequence. */
interface KnownTail {
  readonly tail: LegacyTail;
  readonly through: number;
}

/** Legacy's tails of lanes, as this replica last knew them. */
export class KnownTails {
  readonly #tails = new Map<LaneKey, KnownTail>();

  /** Undefined as soon as another replica, or a person, has taken the lane further. */
  of({ key, delivered }: Lane): LegacyTail | undefined {
    const known = this.#tails.get(key);
    return known?.through === delivered ? known.tail : undefined;
  }

  /**
   * What legacy shows now. When it made an owner that it shows no more stays known, because that tells why.
   */
  read(lane: Lane, shown: LegacyTail): void {
    const { madeAtMs } = this.#tails.get(lane.key)?.tail ?? {};
    const isGone = shown.exists === false && madeAtMs !== undefined;
    this.keep(lane, isGone ? { ...shown, madeAtMs } : shown, lane.delivered);
  }

  /** @param tail undefined if only legacy can show it */
  keep({ key }: Lane, tail: LegacyTail | undefined, through: number): void {
    this.#tails.delete(key);
    if (tail === undefined) return;
    this.#tails.set(key, { tail, through });
    const [oldest] = this.#tails.keys();
    if (this.#tails.size > MOST && oldest !== undefined) this.#tails.delete(oldest);
  }

  /** For one lane, or for all. */
  forget(lane?: Lane): void {
    if (lane === undefined) this.#tails.clear();
    else this.#tails.delete(lane.key);
  }
}
