import { hashText } from './digest.ts';

/** After so long the stores may have come to differ by themselves, and looking again says something. */
const SAME_FOR_MS = 15 * 60_000;
/** Looks that are remembered; of more than these, the oldest count again. */
const LIMIT = 100_000;

/**
 * What was compared lately. A lane that stands still and is asked the same again and again shows the same again and again: one proof,
 * not thousands. In memory of this replica: each may count it once.
 */
export class RepeatedLooks {
  /** By hash, oldest first, when it counted. */
  readonly #countedAtMs = new Map<number, number>();

  /** @param what names lane, its place, and what was asked. @returns false where it is new: from now on it is not */
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
