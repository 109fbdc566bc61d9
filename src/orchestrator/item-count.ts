import type { Database } from '../storage/database.ts';

const FRESH_MS = 10_000;
/** A count is reused for this multiple of its duration, so counting takes at most one hundredth of a connection's time. */
const FRESH_TIMES = 100;
/** Up to this table size rows are counted; larger tables use PostgreSQL's statistics. */
const COUNTED_BYTES = 32 * 1024 * 1024;

// An unused subquery does not run. A table without statistics is counted at any size.
const ITEMS = `
select case when sum(pg_relation_size(c.oid)) <= ${COUNTED_BYTES} or bool_or(c.reltuples < 0)
    then (select count(*) from memory_entries where is_active) else sum(c.reltuples)::bigint end as items
from pg_class c where c.relkind = 'r' and (c.oid = 'memory_entries'::regclass
  or c.oid in (select inhrelid from pg_inherits where inhparent = 'memory_entries'::regclass))`;

/** The number of memories. Concurrent calls share one query, and calls soon after it get its result. */
export class ItemCount {
  #items = 0;
  #freshUntilMs = -Infinity;
  #underWay: Promise<number> | undefined;

  /** The number of memories; the last known number if counting takes too long. */
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
      // A slow count is not an outage, and would take as long at the next report.
    }
    const endedAtMs = performance.now();
    this.#freshUntilMs = endedAtMs + Math.max(FRESH_MS, FRESH_TIMES * (endedAtMs - startedAtMs));
    return this.#items;
  }
}
