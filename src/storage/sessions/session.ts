import { checkDeadline, type DeadlineMs } from './deadline.ts';

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
