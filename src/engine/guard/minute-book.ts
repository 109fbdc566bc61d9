import type { ReplicaId, ServiceName } from '../../domain/ids.ts';
import { addCounts, isNothing, noCounts, type GuardCounts } from './guard-counts.ts';
import type { MinuteRow, StoredMinute } from './guard-ports.ts';

const MINUTE_MS = 60_000;
/** Rows of other replicas that are older no longer change. */
const SETTLED_AFTER_MS = 5 * MINUTE_MS;

const keyOf = (service: ServiceName, action: string, minuteMs: number): string =>
  `${service} ${action} ${minuteMs}`;

/** The minutes of this replica on their way to the database, and those that other replicas have written. */
export class MinuteBook {
  readonly #own = new Map<string, MinuteRow>();
  readonly #unwritten = new Set<string>();
  readonly #others = new Map<string, { readonly minuteMs: number; readonly counts: GuardCounts }>();

  add(service: ServiceName, action: string, { atMs, counts }: { atMs: number; counts: GuardCounts }): void {
    const minuteMs = Math.floor(atMs / MINUTE_MS) * MINUTE_MS;
    const key = keyOf(service, action, minuteMs);
    let row = this.#own.get(key);
    if (row === undefined) this.#own.set(key, (row = { service, action, minuteMs, counts: noCounts() }));
    addCounts(row.counts, counts);
    this.#unwritten.add(key);
  }

  /** Rows that changed since they were last written. They count as changed until {@link written}. */
  changed(): readonly MinuteRow[] {
    return [...this.#unwritten].flatMap((key) => this.#own.get(key) ?? []);
  }

  written(rows: readonly MinuteRow[], nowMs: number): void {
    for (const { service, action, minuteMs } of rows)
      this.#unwritten.delete(keyOf(service, action, minuteMs));
    for (const [key, { minuteMs }] of this.#own) {
      if (minuteMs < nowMs - SETTLED_AFTER_MS && !this.#unwritten.has(key)) this.#own.delete(key);
    }
  }

  /** What is new in rows of other replicas since the last call. */
  news(rows: readonly StoredMinute[], own: ReplicaId, nowMs: number): MinuteRow[] {
    const news = rows
      .filter(({ replica }) => replica !== own)
      .map((row) => ({ ...row, counts: this.#newIn(row) }))
      .filter(({ counts }) => !isNothing(counts));
    for (const [key, { minuteMs }] of this.#others) {
      if (minuteMs < nowMs - SETTLED_AFTER_MS) this.#others.delete(key);
    }
    return news;
  }

  #newIn({ service, action, minuteMs, replica, counts }: StoredMinute): GuardCounts {
    const key = `${replica} ${keyOf(service, action, minuteMs)}`;
    const fresh = noCounts();
    addCounts(fresh, counts);
    const known = this.#others.get(key);
    if (known !== undefined) addCounts(fresh, known.counts, -1);
    this.#others.set(key, { minuteMs, counts });
    return fresh;
  }
}
