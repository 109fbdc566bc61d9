import { messageOf } from '../domain/errors.ts';
import type { Database } from '../storage/database.ts';

const RECENT_ERRORS = 5;
// Health must report an outage soon.
const PATIENCE_MS = 2_000;

interface RecentError {
  readonly at: string;
  readonly code: string;
  readonly message: string;
}

interface HealthReport {
  readonly status: 'healthy' | 'degraded' | 'unhealthy';
  readonly [field: string]: unknown;
}

export interface Health {
  /** Records a failure that the caller did not cause. The message must not contain content. */
  failed(code: string, message: string): void;
  report(): Promise<HealthReport>;
}

/** The states of the parts. */
export interface HealthFacts {
  readonly version: string;
  readonly poolSize: number;
  /** Why semantic search is not available; undefined if it is. Called for every report. */
  readonly vectorProblem: () => string | undefined;
  /** Undefined if the cache is off. */
  readonly cache: () => Promise<{ readonly isUp: boolean; readonly latencyMs?: number } | undefined>;
  /** Further members of `details`. */
  readonly details?: () => Readonly<Record<string, unknown>>;
}

/** `unhealthy`: the database does not answer. `degraded`: a configured feature is missing, but everything else works. */
export function createHealth(database: Database, facts: HealthFacts): Health {
  const recent: RecentError[] = [];
  let errorCount = 0;
  const count = new ItemCount();
  let items = 0;

  async function databaseCondition(): Promise<DatabaseCondition> {
    const started = performance.now();
    const bounded = database.until(started + PATIENCE_MS);
    try {
      await bounded.query('select 1');
      const latencyMs = rounded(performance.now() - started);
      items = await count.read(bounded);
      return { latencyMs, items };
    } catch (error) {
      return { latencyMs: null, items, outage: messageOf(error) };
    }
  }

  return {
    failed(code, message) {
      errorCount += 1;
      recent.push({ at: new Date().toISOString(), code, message });
      if (recent.length > RECENT_ERRORS) recent.shift();
    },
    async report() {
      const observed = { errorCount, recent: [...recent], facts };
      const [condition, cache] = await Promise.all([databaseCondition(), facts.cache()]);
      return render(observed, condition, cache);
    },
  };
}

interface DatabaseCondition {
  readonly latencyMs: number | null;
  readonly items: number;
  /** Why the database does not answer. */
  readonly outage?: string;
}

interface Observed {
  readonly errorCount: number;
  readonly recent: readonly RecentError[];
  readonly facts: HealthFacts;
}

type CacheCondition = Awaited<ReturnType<HealthFacts['cache']>>;

function render(
  { errorCount, recent, facts }: Observed,
  { latencyMs, items, outage }: DatabaseCondition,
  cache: CacheCondition,
): HealthReport {
  const vectorProblem = facts.vectorProblem();
  const reason = outage ?? vectorProblem ?? (cache?.isUp === false ? 'the cache does not answer' : undefined);
  return {
    status: statusOf(outage, reason),
    postgres: outage === undefined,
    cache: cache?.isUp ?? false,
    vector: vectorProblem === undefined,
    error_count: errorCount,
    last_error: recent.at(-1)?.message,
    details: {
      postgres_latency_ms: latencyMs,
      cache_latency_ms: rounded(cache?.latencyMs),
      reason,
      recent_errors: recent,
      connection_pool_size: facts.poolSize,
      version: facts.version,
      item_count: items,
      ...facts.details?.(),
    },
  };
}

function statusOf(outage: string | undefined, reason: string | undefined): HealthReport['status'] {
  if (outage !== undefined) return 'unhealthy';
  return reason === undefined ? 'healthy' : 'degraded';
}

function rounded<Ms extends number | undefined>(ms: Ms): Ms | number {
  return ms === undefined ? ms : Math.round(ms * 1000) / 1000;
}

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
