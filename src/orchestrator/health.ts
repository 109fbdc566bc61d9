import { messageOf } from '../domain/errors.ts';
import type { Database } from '../storage/database.ts';

const RECENT_ERRORS = 5;
// Counting a large table takes a while and nobody needs it to the row.
const COUNT_FRESH_MS = 10_000;

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
  /** Notes a failure that was not the caller's. The message must be free of content. */
  failed(code: string, message: string): void;
  report(): Promise<HealthReport>;
}

export interface HealthFacts {
  readonly version: string;
  readonly poolSize: number;
  /** Whether the database has pgvector; asked once at the start. */
  hasVector(): boolean;
}

export function createHealth(database: Database, facts: HealthFacts): Health {
  const recent: RecentError[] = [];
  let errorCount = 0;
  let count = { items: 0, at: -Infinity };

  async function itemCount(): Promise<number> {
    if (performance.now() - count.at < COUNT_FRESH_MS) return count.items;
    const [row] = await database.query<{ items: number }>(
      'select count(*) as items from memory_entries where is_active',
    );
    count = { items: row?.items ?? 0, at: performance.now() };
    return count.items;
  }

  return {
    failed(code, message) {
      errorCount += 1;
      recent.push({ at: new Date().toISOString(), code, message });
      if (recent.length > RECENT_ERRORS) recent.shift();
    },
    async report() {
      const observed = { errorCount, recent: [...recent], facts };
      try {
        const started = performance.now();
        await database.query('select 1');
        const latencyMs = Math.round((performance.now() - started) * 1000) / 1000;
        return render({ ...observed, latencyMs, items: await itemCount() });
      } catch (error) {
        return render({ ...observed, latencyMs: null, items: count.items, outage: messageOf(error) });
      }
    },
  };
}

interface Observed {
  readonly errorCount: number;
  readonly recent: readonly RecentError[];
  readonly facts: HealthFacts;
  readonly latencyMs: number | null;
  readonly items: number;
  /** Why the database does not answer. */
  readonly outage?: string;
}

function render({ errorCount, recent, facts, latencyMs, items, outage }: Observed): HealthReport {
  const vector = facts.hasVector();
  const limitation = vector ? undefined : 'pgvector is not installed: no semantic search';
  const up = vector ? 'healthy' : 'degraded';
  return {
    status: outage === undefined ? up : 'unhealthy',
    postgres: outage === undefined,
    cache: false,
    vector,
    error_count: errorCount,
    last_error: recent.at(-1)?.message,
    details: {
      postgres_latency_ms: latencyMs,
      reason: outage ?? limitation,
      recent_errors: recent,
      connection_pool_size: facts.poolSize,
      version: facts.version,
      item_count: items,
    },
  };
}
