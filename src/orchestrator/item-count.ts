import type { Database } from '../storage/database.ts';

const FRESH_MS = 10_000;
/** A count that took long is good for so many times as long: at most one hundredth of a connection's time goes into counting. */
const FRESH_TIMES = 100;
/** Up to here rows are counted; of a larger table PostgreSQL's statistics tell how many there are. */
const COUNTED_BYTES = 32 * 1024 * 1024;

// A subquery that nobody needs is not run. A table of which there are no statistics yet is counted whatever its size.
const ITEMS = `
select case when sum(pg_relation_size(c.oid)) <= ${COUNTED_BYTES} or bool_or(c.reltuples < 0)
    then (select count(*) from memory_entries where is_active) else sum(c.reltuples)::bigint end as items
from pg_class c where c.relkind = 'r' and (c.oid = 'memory_entries'::regclass
  or c.oid in (select inhrelid from pg_inherits where inhparent = 'memory_entries'::regclass))`;

/** How many memories there are. Whoever asks while it is found out gets the same answer, and soon after that the last one. */
export class ItemCount {
  #items = 0;
  #freshUntilMs = -Infinity;
  #underWay: Promise<number> | undefined;

  /** The last number that is known where the table takes longer to count than the database is given. */
  read(bounded: Database): Promise<number> {
    if (performance.now() < this.#freshUntilMs) return Promise.resolve(this.#items);
    this.#underWay ??= this.#count(bounded).finally(() => (this.#underWay = undefined));
    return this.#underWay;
  }

  async #count(bounded: Database): Promise<number> {
    const startedAtMs = performance.now();
    try {
      const [row] = await bounded.query<{ items: number }>(ITEMS);
      this.#items = row?.items ?? 0;
    } catch {
      // A table that takes too long to count is no outage, and would take as long at the next report.
    }
    const endedAtMs = performance.now();
    this.#freshUntilMs = endedAtMs + Math.max(FRESH_MS, FRESH_TIMES * (endedAtMs - startedAtMs));
    return this.#items;
  }
}
