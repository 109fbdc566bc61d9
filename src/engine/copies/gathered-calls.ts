export interface GatheredCallParts<Entry, Result> {
  /** Makes one call for all entries. The results have the order of the entries. */
  send(entries: readonly Entry[]): Promise<readonly Result[]>;
  /** Whether one more entry fits into the call. A single entry always fits. */
  fits(entries: readonly Entry[], next: Entry): boolean;
  /** Full calls under way together. */
  readonly atOnce: number;
  /** Whether a single entry may have caused the failure of all. Then each is sent by itself. */
  isOnesFault(error: unknown): boolean;
}

interface Waiting<Entry, Result> {
  readonly entry: Entry;
  readonly resolve: (result: Result) => void;
  readonly reject: (error: unknown) => void;
}

/**
 * Joins what several copies want at the same time into one call. While it is answered, the next call gathers entries. It is sent
 * when it is full, or when no call is under way. Two half calls cost more than one full call.
 */
export class GatheredCalls<Entry, Result> {
  readonly #parts: GatheredCallParts<Entry, Result>;
  readonly #waiting: Waiting<Entry, Result>[] = [];
  #underWay = 0;
  #isScheduled = false;

  constructor(parts: GatheredCallParts<Entry, Result>) {
    this.#parts = parts;
  }

  add(entry: Entry): Promise<Result> {
    return new Promise((resolve, reject) => {
      this.#waiting.push({ entry, resolve, reject });
      this.#schedule();
    });
  }

  /** In the next turn, because entries that one answer of the journal released come in quick succession. */
  #schedule(): void {
    if (this.#isScheduled || this.#underWay === this.#parts.atOnce || this.#waiting.length === 0) return;
    this.#isScheduled = true;
    setImmediate(() => {
      this.#isScheduled = false;
      this.#begin();
    });
  }

  #begin(): void {
    while (this.#waiting.length > 0 && this.#underWay < this.#parts.atOnce) {
      const fitting = this.#fitting();
      const isFull = fitting < this.#waiting.length;
      if (this.#underWay > 0 && !isFull) return;
      void this.#call(this.#waiting.splice(0, fitting));
    }
  }

  /** How many of the waiting entries fit into one call. */
  #fitting(): number {
    const entries: Entry[] = [];
    for (const { entry } of this.#waiting) {
      if (entries.length > 0 && !this.#parts.fits(entries, entry)) break;
      entries.push(entry);
    }
    return entries.length;
  }

  async #call(waiting: readonly Waiting<Entry, Result>[]): Promise<void> {
    this.#underWay += 1;
    await this.#send(waiting);
    this.#underWay -= 1;
    this.#schedule();
  }

  async #send(waiting: readonly Waiting<Entry, Result>[]): Promise<void> {
    try {
      const results = await this.#parts.send(waiting.map(({ entry }) => entry));
      waiting.forEach(({ resolve }, index) => resolve(results[index] as Result));
    } catch (error) {
      if (waiting.length > 1 && this.#parts.isOnesFault(error))
        for (const one of waiting) await this.#send([one]);
      else for (const { reject } of waiting) reject(error);
    }
  }
}
