/** An entry to write, and the promise of its caller. */
interface Waiting<Entry, Result> {
  readonly entry: Entry;
  /** Ascending in the order of arrival. */
  readonly number: number;
  readonly resolve: (result: Result) => void;
  readonly reject: (error: unknown) => void;
}

/** Limit of a batch. A batch becomes the parameters of one statement and exists in memory up to three times. It can have two requests of 4 MiB. */
const BATCH_BYTES = 8 * 1024 * 1024;

export interface GroupCommitSettings<Entry, Result> {
  /** Writes a batch durably. The results are in the entries' order. */
  flush(batch: readonly Entry[]): Promise<readonly Result[]>;
  /** Entries with the same key never share a batch; undefined can be in any batch. */
  readonly keyOf: (entry: Entry) => string | undefined;
  /** Urgent entries start a flush at once. The others join a flush, at the latest after `lingerMs`. */
  isUrgent(entry: Entry): boolean;
  readonly lingerMs: number;
  /** @defaultValue 1000 */
  readonly batchLimit?: number;
  /** The size of an entry, counted against {@link BATCH_BYTES}. @defaultValue 0 */
  sizeOf?(entry: Entry): number;
}

/**
 * Group commit with natural batching: a flush takes all entries that arrived during the previous one. No timer delays a commit, because
 * a fixed window was measured to be worse at every load.
 */
export class GroupCommit<Entry, Result> {
  readonly #settings: GroupCommitSettings<Entry, Result>;
  #waiting: Waiting<Entry, Result>[] = [];
  #flushing: readonly Waiting<Entry, Result>[] = [];
  #isFlushing = false;
  #added = 0;
  #linger: NodeJS.Timeout | undefined;

  constructor(settings: GroupCommitSettings<Entry, Result>) {
    this.#settings = settings;
  }

  add(entry: Entry): Promise<Result> {
    return new Promise((resolve, reject) => {
      this.#added += 1;
      this.#waiting.push({ entry, number: this.#added, resolve, reject });
      this.#schedule(this.#settings.isUrgent(entry));
    });
  }

  /** Resolves when no entry waits. */
  async drain(): Promise<void> {
    while (this.#isFlushing || this.#waiting.length > 0) {
      this.#schedule(true);
      await new Promise((resolve) => setTimeout(resolve, 1));
    }
  }

  /** Resolves when all entries so far are flushed. Under a steady load some entry always waits. */
  async flushed(): Promise<void> {
    const through = this.#added;
    const isDue = ([first]: readonly Waiting<Entry, Result>[]): boolean =>
      (first?.number ?? Infinity) <= through;
    while (isDue(this.#flushing) || isDue(this.#waiting)) {
      this.#schedule(true);
      await new Promise((resolve) => setTimeout(resolve, 1));
    }
  }

  #schedule(isUrgent: boolean): void {
    if (this.#isFlushing || this.#waiting.length === 0) return;
    if (isUrgent) {
      clearTimeout(this.#linger);
      this.#linger = undefined;
      this.#isFlushing = true;
      // Entries that result from one answer arrive one after the other in this turn.
      queueMicrotask(() => void this.#flush());
      return;
    }
    this.#linger ??= setTimeout(() => {
      this.#linger = undefined;
      this.#schedule(true);
    }, this.#settings.lingerMs);
  }

  async #flush(): Promise<void> {
    const batch = this.#takeBatch();
    this.#flushing = batch;
    try {
      const results = await this.#settings.flush(batch.map(({ entry }) => entry));
      batch.forEach(({ resolve }, index) => resolve(results[index] as Result));
    } catch (error) {
      for (const { reject } of batch) reject(error);
    }
    this.#flushing = [];
    this.#isFlushing = false;
    this.#schedule(this.#waiting.some(({ entry }) => this.#settings.isUrgent(entry)));
  }

  #takeBatch(): Waiting<Entry, Result>[] {
    const { keyOf, batchLimit = 1_000 } = this.#settings;
    const keys = new Set<string>();
    const batch: Waiting<Entry, Result>[] = [];
    const later: Waiting<Entry, Result>[] = [];
    let room = BATCH_BYTES;
    for (const waiting of this.#waiting) {
      const key = keyOf(waiting.entry);
      const size = this.#sizeOf(waiting.entry);
      const hasRoom = batch.length === 0 || (batch.length < batchLimit && size <= room);
      const fits = hasRoom && !(key !== undefined && keys.has(key));
      if (key !== undefined) keys.add(key);
      room -= fits ? size : 0;
      (fits ? batch : later).push(waiting);
    }
    this.#waiting = later;
    return batch;
  }

  #sizeOf(entry: Entry): number {
    return this.#settings.sizeOf?.(entry) ?? 0;
  }
}
