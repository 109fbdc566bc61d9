import type pg from 'pg';
import { StorageError } from '../../domain/errors.ts';
import { type Phase, sqlstateOf, storageError } from '../database-errors.ts';
import { type DeadlineMs, statementTimeoutMs } from './deadline.ts';
import { nameOfPrepared } from './prepared.ts';
import { runWork, type Session, type Work } from './session.ts';

// A server that has gone silent never sends its own timeout; the client gives up this much later.
export const SILENCE_AFTER_MS = 2_000;
const SILENCE_AFTER_DEADLINE_MS = 100;

/** A client of the pool, and what it holds for the server's own timeout. */
export interface PostgresConnection {
  readonly client: pg.PoolClient;
  readonly atMs: DeadlineMs;
  /** Most that a statement may take, whatever the deadline. */
  readonly mostMs: number;
  /** Whether the server may keep the plans of statements that are marked for it. */
  readonly prepares: boolean;
}

// The timeout that the server has been told, where it is not the one of the pool.
const told = new WeakMap<pg.PoolClient, number>();

/** Has the server give up no later than the deadline. One more statement, but only where the patience differs from the last caller's. */
export async function tellTimeout(connection: PostgresConnection): Promise<void> {
  const { client, atMs, mostMs } = connection;
  const timeoutMs = statementTimeoutMs(atMs, mostMs);
  if ((told.get(client) ?? mostMs) === timeoutMs) return;
  await plainSession(client, 'connect', atMs).script(`set statement_timeout = ${timeoutMs}`);
  told.set(client, timeoutMs);
}

/** Statements that give up on a silent server at the deadline. */
export function postgresSession(connection: PostgresConnection, phase: Phase): Session {
  return sessionOf(connection, phase);
}

function plainSession(client: pg.PoolClient, phase: Phase, atMs: DeadlineMs = Infinity): Session {
  return sessionOf({ client, atMs, prepares: false }, phase);
}

function sessionOf({ client, atMs, prepares }: Omit<PostgresConnection, 'mostMs'>, phase: Phase): Session {
  async function run<Row>(text: string, params?: readonly unknown[]): Promise<Row[]> {
    const patienceMs = atMs - performance.now() + SILENCE_AFTER_DEADLINE_MS;
    const name = prepares ? nameOfPrepared(text) : undefined;
    try {
      const result = await client.query({
        text,
        ...(name !== undefined && { name }),
        ...(params !== undefined && { values: [...params] }),
        ...(atMs !== Infinity && { query_timeout: Math.max(1, patienceMs) }),
      });
      return result.rows as Row[];
    } catch (error) {
      throw storageError(error, phase);
    }
  }
  return {
    query: (sql, params) => run(sql, params ?? []),
    script: async (sql) => void (await run(sql)),
  };
}

export async function postgresTransaction<T>(connection: PostgresConnection, work: Work<T>): Promise<T> {
  const { client, atMs, mostMs } = connection;
  const session = postgresSession(connection, 'transaction');
  const toldMs = told.get(client) ?? mostMs;
  // A statement that begins late gets what is left.
  async function shortened(): Promise<void> {
    const timeoutMs = statementTimeoutMs(atMs, mostMs);
    if (timeoutMs < toldMs) await session.script(`set local statement_timeout = ${timeoutMs}`);
  }
  const bounded: Session = {
    query: async (sql, params) => (await shortened(), session.query(sql, params)),
    script: async (sql) => (await shortened(), session.script(sql)),
  };
  await session.script('begin');
  let result: T;
  try {
    result = await runWork(atMs === Infinity ? session : bounded, work, atMs);
  } catch (error) {
    if (!isConnectionLost(error)) await plainSession(client, 'transaction').script('rollback');
    throw error;
  }
  await plainSession(client, 'commit', atMs).script('commit');
  return result;
}

// After a plain error from the server a connection can be used again; after silence or a shutdown it cannot.
export function isConnectionLost(error: unknown): boolean {
  if (!(error instanceof StorageError) || error.reason === 'timeout') return false;
  const sqlstate = sqlstateOf(error);
  return sqlstate === undefined || /^(?:08|57P)/.test(sqlstate);
}
