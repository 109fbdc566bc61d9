import { StorageError } from '../../domain/errors.ts';
import { within } from '../../shared/within.ts';

/** Statements within one session. A jsonb parameter is a JSON string; bigint and numeric are returned as number, bytea as Buffer. */
export interface Session {
  /** One statement. @throws StorageError */
  query<Row extends object>(sql: string, params?: readonly unknown[]): Promise<Row[]>;
  /** Several statements, without parameters. @throws StorageError */
  script(sql: string): Promise<void>;
}

export type Work<T> = (session: Session) => Promise<T>;

/**
 * Runs the work of a transaction. No statement starts after the deadline. An already failed transaction is never committed, because both
 * drivers would report that commit as a success.
 */
export async function runWork<T>(session: Session, work: Work<T>, atMs: DeadlineMs): Promise<T> {
  let failed = false;
  async function watched<R>(statement: () => Promise<R>): Promise<R> {
    try {
      checkDeadline(atMs);
      return await statement();
    } catch (error) {
      failed = true;
      throw error;
    }
  }
  const result = await work({
    query: (sql, params) => watched(() => session.query(sql, params)),
    script: (sql) => watched(() => session.script(sql)),
  });
  if (failed) await session.query('select 1');
  return result;
}

/** Statements that PostgreSQL plans once per connection, by text. Their names are valid only in this process. */
const names = new Map<string, string>();

/** Limit, because every connection keeps each of them for its whole life. */
const MOST = 256;

/**
 * Marks a frequent statement whose planning costs about as much as its execution. Use it for fixed texts, or texts built from a few parts:
 * beyond 256 texts, further ones are planned each time.
 */
export function prepared(sql: string): string {
  if (!names.has(sql) && names.size < MOST) names.set(sql, `crossfade_${names.size + 1}`);
  return sql;
}

export function nameOfPrepared(sql: string): string | undefined {
  return names.get(sql);
}

/** The end of the available time, as an instant of `performance.now()`. Infinity: no deadline. */
export type DeadlineMs = number;

function tooLate(): StorageError {
  return new StorageError('The deadline passed before the query was sent', {
    effect: 'not_applied',
    reason: 'timeout',
  });
}

/** @throws StorageError when it has passed */
export function checkDeadline(atMs: DeadlineMs): void {
  if (performance.now() >= atMs) throw tooLate();
}

// Changing the server's timeout takes one more statement, so callers with similar deadlines share one value.
const STEPS_MS = [5, 10, 25, 50, 100, 250, 500, 1_000, 2_500, 5_000, 10_000, 30_000, 60_000];

// A caller that waits about as long as the default timeout needs no own value.
const ABOUT = 0.9;

/** The longest step that ends before the deadline, at most `mostMs`. */
export function statementTimeoutMs(atMs: DeadlineMs, mostMs: number): number {
  const leftMs = atMs - performance.now();
  if (leftMs >= mostMs * ABOUT) return mostMs;
  return STEPS_MS.findLast((step) => step <= leftMs) ?? 1;
}

/** The result of `waiting`, or an error at the deadline. `lateArrival` gets a result that comes later. */
export function arrivedInTime<T>(
  waiting: Promise<T>,
  atMs: DeadlineMs,
  lateArrival: (value: T) => void,
): Promise<T> {
  if (atMs === Infinity) return waiting;
  return within(waiting, atMs - performance.now(), { what: tooLate, onLate: lateArrival });
}
