import { hashText } from './digest.ts';

/** After this time the stores may have changed by themselves, so another look proves something again. */
const SAME_FOR_MS = 15 * 60_000;
/** Looks that are remembered. If there are more, the oldest count again. */
const LIMIT = 100_000;

/**
 * What was compared lately. An unchanged lane that gets the same request shows the same answer, so repeats count as one proof.
 * Kept in the memory of this replica, so each replica may count it once.
 */
export class RepeatedLooks {
  /** By hash, oldest first: when it was counted. */
  readonly #countedAtMs = new Map<number, number>();

  /**
   * @param what identifies the lane, its position, and the request. @returns false if it is new. It is remembered from then on
   */
  isRepeat(what: string, nowMs: number): boolean {
    const key = hashText(what);
    const atMs = this.#countedAtMs.get(key);
    if (atMs !== undefined && nowMs - atMs < SAME_FOR_MS) return true;
    this.#countedAtMs.delete(key);
    this.#countedAtMs.set(key, nowMs);
    const [oldest] = this.#countedAtMs.keys();
    if (this.#countedAtMs.size > LIMIT && oldest !== undefined) this.#countedAtMs.delete(oldest);
    return false;
  }
}
