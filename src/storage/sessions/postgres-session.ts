import type pg from 'pg';
import { StorageError } from '../../domain/errors.ts';
import { type Phase, sqlstateOf, storageError } from '../database-errors.ts';
import {
  type DeadlineMs,
  nameOfPrepared,
  runWork,
  type Session,
  statementTimeoutMs,
  type Work,
} from './session.ts';

// A silent server never sends its own timeout, so the client aborts this much later.
export const SILENCE_AFTER_MS = 2_000;
const SILENCE_AFTER_DEADLINE_MS = 100;

/** A client of the pool, with its limits. */
export interface PostgresConnection {
  readonly client: pg.PoolClient;
  readonly atMs: DeadlineMs;
  /** Longest duration of a statement, whatever the deadline. */
  readonly mostMs: number;
  /** Whether the server may keep the plans of marked statements. */
  readonly prepares: boolean;
}

// The timeout that the server currently uses, if it differs from the pool's.
const told = new WeakMap<pg.PoolClient, number>();

/** Sets the server's timeout to the deadline. This takes one more statement, but only if the timeout differs from the last caller's. */
export async function tellTimeout(connection: PostgresConnection): Promise<void> {
  const { client, atMs, mostMs } = connection;
  const timeoutMs = statementTimeoutMs(atMs, mostMs);
  if ((told.get(client) ?? mostMs) === timeoutMs) return;
  await plainSession(client, 'connect', atMs).script(`set statement_timeout = ${timeoutMs}`);
  told.set(client, timeoutMs);
}

/** A session whose statements abort at the deadline if the server is silent. */
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
  // A statement that starts late gets the remaining time.
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

// After an ordinary server error a connection can be used again; after silence or a shutdown it cannot.
export function isConnectionLost(error: unknown): boolean {
  if (!(error instanceof StorageError) || error.reason === 'timeout') return false;
  const sqlstate = sqlstateOf(error);
  return sqlstate === undefined || /^(?:08|57P)/.test(sqlstate);
}
