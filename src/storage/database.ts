import { chmodSync, mkdirSync } from 'node:fs';
import { join } from 'node:path';
import pg from 'pg';
import type { Extensions, PGlite } from '@electric-sql/pglite';
import { messageOf, StorageError } from '../domain/errors.ts';
import { sqlstateOf, storageError } from './database-errors.ts';
import { arrivedInTime, type DeadlineMs, type Session, type Work } from './sessions/session.ts';
import { lockFolder } from './folder-lock.ts';
import { pgliteSession, pgliteTransaction, Turns } from './sessions/pglite-session.ts';
import {
  isConnectionLost,
  type PostgresConnection,
  postgresSession,
  postgresTransaction,
  SILENCE_AFTER_MS,
  tellTimeout,
} from './sessions/postgres-session.ts';

export { sqlstateOf };
export type { Session };

/** The current load of a database. */
interface DatabaseLoad {
  /** Open connections: 1 on PGlite. */
  readonly connections: number;
  readonly idle: number;
  /** Callers that wait for a connection or for their turn. */
  readonly waiting: number;
}

/** A common interface of pg and PGlite. Opens nothing before the first use. */
export interface Database extends Session {
  readonly kind: 'postgres' | 'pglite';
  /**
   * Runs `work` in a transaction and commits; rolls back when it throws.
   * Inside, use only the given session, because another query of the same database would wait forever on PGlite.
   */
  transaction<T>(work: (session: Session) => Promise<T>): Promise<T>;
  /**
   * The same database for work that must end by an instant of `performance.now()`. Work that has not started by then fails with a
   * StorageError, not applied, reason `timeout`. PostgreSQL cancels a running statement; PGlite finishes it.
   */
  until(atMs: number): Database;
  load(): DatabaseLoad;
  close(): Promise<void>;
}

interface PostgresSettings {
  readonly url: string;
  /** @defaultValue 10 */
  readonly poolSize?: number;
  /** The server cancels a statement after this time. @defaultValue 10000 */
  readonly statementTimeoutMs?: number;
  /** @defaultValue 3000 */
  readonly connectTimeoutMs?: number;
  /** Set to false with a pooler that assigns connections per transaction. @defaultValue true */
  readonly prepares?: boolean | undefined;
  /** Every connection acts as this role; the user of the url must be a member of it. */
  readonly role?: string | undefined;
}

interface PgliteSettings {
  /** Without it the database is in memory. The folder is locked against a second process. */
  readonly folder?: string | undefined;
  readonly extensions?: Extensions;
}

const BYTEA = 17;
const INT8 = 20;
const INT8_ARRAY = 1016;
const NUMERIC = 1700;

function int8Array(text: string): (number | null)[] {
  return text
    .slice(1, -1)
    .split(',')
    .filter((item) => item !== '')
    .map((item) => (item === 'NULL' ? null : Number(item)));
}

function postgresParser(oid: number, format?: 'text' | 'binary'): (text: string) => unknown {
  if (oid === INT8 || oid === NUMERIC) return Number;
  if (oid === INT8_ARRAY) return int8Array;
  return pg.types.getTypeParser(oid, format === 'binary' ? 'text' : (format ?? 'text')) as (
    text: string,
  ) => unknown;
}

/** PostgreSQL through a connection pool. Creating it opens no connection. */
export function createPostgresDatabase(settings: PostgresSettings): Database {
  const {
    url,
    poolSize = 10,
    statementTimeoutMs = 10_000,
    connectTimeoutMs = 3_000,
    prepares = true,
    role,
  } = settings;
  const pool = new pg.Pool({
    connectionString: url,
    max: poolSize,
    statement_timeout: statementTimeoutMs,
    query_timeout: statementTimeoutMs + SILENCE_AFTER_MS,
    connectionTimeoutMillis: connectTimeoutMs,
    keepAlive: true,
    application_name: 'crossfade',
    types: { getTypeParser: postgresParser as typeof pg.types.getTypeParser },
    ...(role !== undefined && { options: `-c role=${role}` }),
  });
  // Without a listener, a connection that breaks while idle or between two statements would end the process. Its next use reports the error.
  pool.on('error', ignore);
  pool.on('connect', (client) => client.on('error', ignore));

  const withConnection = <T>(
    atMs: DeadlineMs,
    work: (connection: PostgresConnection) => Promise<T>,
  ): Promise<T> =>
    withClient(pool, atMs, async (client) => {
      const connection = { client, atMs, mostMs: statementTimeoutMs, prepares };
      await tellTimeout(connection);
      return work(connection);
    });

  const bounded = (atMs: DeadlineMs): Database => ({
    kind: 'postgres',
    query: (sql, params) =>
      withConnection(atMs, (connection) => postgresSession(connection, 'statement').query(sql, params)),
    script: (sql) =>
      withConnection(atMs, (connection) => postgresSession(connection, 'statement').script(sql)),
    transaction: (work) => withConnection(atMs, (connection) => postgresTransaction(connection, work)),
    until: bounded,
    load: () => ({ connections: pool.totalCount, idle: pool.idleCount, waiting: pool.waitingCount }),
    close: () => pool.end(),
  });
  return bounded(Infinity);
}

function ignore(): void {}

async function withClient<T>(
  pool: pg.Pool,
  atMs: DeadlineMs,
  work: (client: pg.PoolClient) => Promise<T>,
): Promise<T> {
  const connected = pool.connect().catch((error: unknown) => {
    throw isCrowded(pool, error) ? crowded() : storageError(error, 'connect');
  });
  const client = await arrivedInTime(connected, atMs, (late) => late.release());
  let lost = false;
  try {
    return await work(client);
  } catch (error) {
    lost = isConnectionLost(error);
    throw error;
  } finally {
    client.release(lost);
  }
}

// The pool's message if no connection was released in time. A connection that cannot be opened fails with another message.
const WAITED_IN_VAIN = 'timeout exceeded when trying to connect';

function isCrowded({ totalCount, options }: pg.Pool, error: unknown): boolean {
  return error instanceof Error && error.message === WAITED_IN_VAIN && totalCount >= options.max;
}

/** Not an outage: there is more work than connections. */
function crowded(): StorageError {
  return new StorageError('All connections to the database are in use', {
    effect: 'not_applied',
    reason: 'busy',
  });
}

const PGLITE_PARSERS = {
  [BYTEA]: (text: string) => Buffer.from(text.slice(2), 'hex'),
  [INT8]: Number,
  [NUMERIC]: Number,
};

/** The embedded database: one session in this process, which blocks the event loop while it works. The first use opens it and locks its folder. */
export function createPgliteDatabase(settings: PgliteSettings = {}): Database {
  const turns = new Turns();
  let opening: Promise<OpenPglite> | undefined;

  async function opened(): Promise<PGlite> {
    opening ??= openPglite(settings).catch((error: unknown) => {
      opening = undefined;
      throw error;
    });
    return (await opening).pglite;
  }
  const inTurn = async <T>(atMs: DeadlineMs, work: (pglite: PGlite) => Promise<T>): Promise<T> => {
    const pglite = await opened();
    return turns.take(() => work(pglite), atMs);
  };

  const bounded = (atMs: DeadlineMs): Database => ({
    kind: 'pglite',
    query: (sql, params) => inTurn(atMs, (pglite) => pgliteSession(pglite, 'statement').query(sql, params)),
    script: (sql) => inTurn(atMs, (pglite) => pgliteSession(pglite, 'statement').script(sql)),
    transaction: <T>(work: Work<T>) => inTurn(atMs, (pglite) => pgliteTransaction(pglite, work, atMs)),
    until: bounded,
    load: () => ({
      connections: 1,
      idle: turns.length === 0 ? 1 : 0,
      waiting: Math.max(0, turns.length - 1),
    }),
    async close() {
      const open = await opening?.catch(ignore);
      opening = undefined;
      if (open === undefined) return;
      await open.pglite.close();
      open.release();
    },
  });
  return bounded(Infinity);
}

interface OpenPglite {
  readonly pglite: PGlite;
  release(): void;
}

async function openPglite({ folder, extensions = {} }: PgliteSettings): Promise<OpenPglite> {
  const release = folder === undefined ? ignore : lockFolder(folder);
  try {
    const { PGlite } = await import('@electric-sql/pglite');
    const dataDir = folder === undefined ? 'memory://' : privateFolder(join(folder, 'data'));
    const pglite = await PGlite.create(dataDir, { extensions, parsers: PGLITE_PARSERS });
    return { pglite, release };
  } catch (error) {
    release();
    throw folder !== undefined && isAborted(error) ? damaged(folder, error) : storageError(error, 'connect');
  }
}

const OWNER_ONLY = 0o700;

/** PGlite makes its files readable and writable for everyone, whatever the umask, so only the owner may enter the folder. */
function privateFolder(path: string): string {
  mkdirSync(path, { recursive: true, mode: OWNER_ONLY });
  chmodSync(path, OWNER_ONLY);
  return path;
}

/** PostgreSQL failed to open its files. Inside PGlite that aborts WebAssembly, and only the log has PostgreSQL's own message. */
function isAborted(error: unknown): boolean {
  return /\bAborted\(|program exited|unreachable/i.test(messageOf(error));
}

function damaged(folder: string, cause: unknown): StorageError {
  const what = `The embedded database in ${folder} cannot be opened, because its files are damaged or incomplete (${messageOf(cause).split('\n', 1)[0]})`;
  const help =
    'Stop Crossfade, move the folder away, and restore a copy of it or a backup (crossfade backup --help)';
  return new StorageError(`${what}. ${help}`, { effect: 'not_applied', reason: 'damaged', cause });
}
