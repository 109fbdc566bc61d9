export interface GatheredCallParts<Entry, Result> {
  /** One call for all of them. The results stand in the order of the entries. */
  send(entries: readonly Entry[]): Promise<readonly Result[]>;
  /** Whether one more finds room in the call. One alone always does. */
  fits(entries: readonly Entry[], next: Entry): boolean;
  /** Whether one entry may be to blame for what happened to all: then each is sent by itself. */
  isOnesFault(error: unknown): boolean;
}

interface Waiting<Entry, Result> {
  readonly entry: Entry;
  readonly resolve: (result: Result) => void;
  readonly reject: (error: unknown) => void;
}

/**
 * What several copies want at the same time, in one call. While it is answered the next one gathers: two under way would each be half
 * as large, and a call costs more than what is in it.
 */
export class GatheredCalls<Entry, Result> {
  readonly #parts: GatheredCallParts<Entry, Result>;
  readonly #waiting: Waiting<Entry, Result>[] = [];
  #isUnderWay = false;
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

  /** In the next turn: those that one answer of the journal has set free come one after the other. */
  #schedule(): void {
    if (this.#isScheduled || this.#isUnderWay || this.#waiting.length === 0) return;
    this.#isScheduled = true;
    setImmediate(() => {
      this.#isScheduled = false;
      void this.#call(this.#take());
    });
  }

  #take(): Waiting<Entry, Result>[] {
    const entries: Entry[] = [];
    for (const { entry } of this.#waiting) {
      if (entries.length > 0 && !this.#parts.fits(entries, entry)) break;
      entries.push(entry);
    }
    return this.#waiting.splice(0, entries.length);
  }

  async #call(waiting: readonly Waiting<Entry, Result>[]): Promise<void> {
    this.#isUnderWay = true;
    await this.#send(waiting);
    this.#isUnderWay = false;
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
