import { readdir, readFile } from 'node:fs/promises';
import { basename, dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';
import type { Extensions, PGlite, Transaction } from '@electric-sql/pglite';
import pg from 'pg';
import { StorageError } from '../domain/errors.ts';
import { sqlstateOf, storageError } from './database-errors.ts';
import { lockFolder } from './folder-lock.ts';

export { sqlstateOf };

/** Statements within one session. A jsonb parameter is a JSON string; bigint and numeric come back as number, bytea as Buffer. */
export interface Session {
  /** One statement. @throws StorageError */
  query<Row extends object>(sql: string, params?: readonly unknown[]): Promise<Row[]>;
  /** Several statements, without parameters. @throws StorageError */
  script(sql: string): Promise<void>;
}

/** The one small port over pg and PGlite. Nothing is opened before the first use. */
export interface Database extends Session {
  readonly kind: 'postgres' | 'pglite';
  /**
   * Runs `work` in a transaction and commits; rolls back when it throws.
   * Inside, use only the session it is given: another query of the same database would wait for ever on PGlite.
   */
  transaction<T>(work: (session: Session) => Promise<T>): Promise<T>;
  close(): Promise<void>;
}

export interface PostgresSettings {
  readonly url: string;
  /** @defaultValue 10 */
  readonly poolSize?: number;
  /** The server gives up on a statement after this time. @defaultValue 10000 */
  readonly statementTimeoutMs?: number;
  /** @defaultValue 3000 */
  readonly connectTimeoutMs?: number;
}

export interface PgliteSettings {
  /** In memory without it. Locked against a second process. */
  readonly folder?: string | undefined;
  readonly extensions?: Extensions;
}

const BYTEA = 17;
const INT8 = 20;
const INT8_ARRAY = 1016;
const NUMERIC = 1700;
// A server that has gone silent never sends its own timeout; the client gives up this much later.
const SILENCE_AFTER_MS = 2_000;

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

/** PostgreSQL through a pool. Making it opens no connection. */
export function createPostgresDatabase(settings: PostgresSettings): Database {
  const { url, poolSize = 10, statementTimeoutMs = 10_000, connectTimeoutMs = 3_000 } = settings;
  const pool = new pg.Pool({
    connectionString: url,
    max: poolSize,
    statement_timeout: statementTimeoutMs,
    query_timeout: statementTimeoutMs + SILENCE_AFTER_MS,
    connectionTimeoutMillis: connectTimeoutMs,
    keepAlive: true,
    application_name: 'crossfade',
    types: { getTypeParser: postgresParser as typeof pg.types.getTypeParser },
  });
  // Without a listener a connection that breaks while idle, or between two statements, ends the process. The next use of it reports.
  pool.on('error', ignore);
  pool.on('connect', (client) => client.on('error', ignore));

  async function withClient<T>(work: (client: pg.PoolClient) => Promise<T>): Promise<T> {
    const client = await pool.connect().catch((error: unknown) => {
      throw storageError(error, 'connect');
    });
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

  return {
    kind: 'postgres',
    query: (sql, params) => withClient((client) => postgresSession(client, 'statement').query(sql, params)),
    script: (sql) => withClient((client) => postgresSession(client, 'statement').script(sql)),
    transaction: (work) => withClient((client) => postgresTransaction(client, work)),
    close: () => pool.end(),
  };
}

function ignore(): void {}

// After a plain error from the server a connection can be used again; after silence or a shutdown it cannot.
function isConnectionLost(error: unknown): boolean {
  if (!(error instanceof StorageError)) return false;
  const sqlstate = sqlstateOf(error);
  return sqlstate === undefined || /^(?:08|57P)/.test(sqlstate);
}

function postgresSession(client: pg.PoolClient, phase: 'statement' | 'transaction'): Session {
  async function run<Row>(sql: string, params?: readonly unknown[]): Promise<Row[]> {
    try {
      const result = await (params === undefined ? client.query(sql) : client.query(sql, [...params]));
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

async function postgresTransaction<T>(client: pg.PoolClient, work: Work<T>): Promise<T> {
  const session = postgresSession(client, 'transaction');
  await session.script('begin');
  let result: T;
  try {
    result = await runWork(session, work);
  } catch (error) {
    if (!isConnectionLost(error)) await session.script('rollback');
    throw error;
  }
  await client.query('commit').catch((error: unknown) => {
    throw storageError(error, 'commit');
  });
  return result;
}

type Work<T> = (session: Session) => Promise<T>;

/** Refuses to commit what the server has already given up: both drivers report such a commit as a success. */
async function runWork<T>(session: Session, work: Work<T>): Promise<T> {
  let failed = false;
  async function watched<R>(statement: Promise<R>): Promise<R> {
    try {
      return await statement;
    } catch (error) {
      failed = true;
      throw error;
    }
  }
  const result = await work({
    query: (sql, params) => watched(session.query(sql, params)),
    script: (sql) => watched(session.script(sql)),
  });
  if (failed) await session.query('select 1');
  return result;
}

const PGLITE_PARSERS = {
  [BYTEA]: (text: string) => Buffer.from(text.slice(2), 'hex'),
  [INT8]: Number,
  [NUMERIC]: Number,
};

/** The embedded database: one session in this process, blocking the event loop while it works. Opened, and its folder locked, at the first use. */
export function createPgliteDatabase(settings: PgliteSettings = {}): Database {
  let opening: Promise<OpenPglite> | undefined;

  async function opened(): Promise<PGlite> {
    opening ??= openPglite(settings).catch((error: unknown) => {
      opening = undefined;
      throw error;
    });
    return (await opening).pglite;
  }

  return {
    kind: 'pglite',
    query: async (sql, params) => pgliteSession(await opened(), 'statement').query(sql, params),
    script: async (sql) => pgliteSession(await opened(), 'statement').script(sql),
    transaction: async (work) => pgliteTransaction(await opened(), work),
    async close() {
      const open = await opening?.catch(ignore);
      opening = undefined;
      if (open === undefined) return;
      await open.pglite.close();
      open.release();
    },
  };
}

interface OpenPglite {
  readonly pglite: PGlite;
  release(): void;
}

async function openPglite({ folder, extensions = {} }: PgliteSettings): Promise<OpenPglite> {
  const release = folder === undefined ? ignore : lockFolder(folder);
  try {
    const { PGlite } = await import('@electric-sql/pglite');
    const dataDir = folder === undefined ? 'memory://' : join(folder, 'data');
    const pglite = await PGlite.create(dataDir, { extensions, parsers: PGLITE_PARSERS });
    return { pglite, release };
  } catch (error) {
    release();
    throw storageError(error, 'connect');
  }
}

function pgliteSession(pglite: PGlite | Transaction, phase: 'statement' | 'transaction'): Session {
  return {
    async query<Row extends object>(sql: string, params: readonly unknown[] = []): Promise<Row[]> {
      try {
        const { rows } = await pglite.query<Row>(
          sql,
          params.map((value) => value ?? null),
        );
        return rows;
      } catch (error) {
        throw storageError(error, phase);
      }
    },
    async script(sql) {
      try {
        await pglite.exec(sql);
      } catch (error) {
        throw storageError(error, phase);
      }
    },
  };
}

async function pgliteTransaction<T>(pglite: PGlite, work: Work<T>): Promise<T> {
  let refusal: { readonly error: unknown } | undefined;
  try {
    return await pglite.transaction(async (transaction) => {
      try {
        return await runWork(pgliteSession(transaction, 'transaction'), work);
      } catch (error) {
        refusal = { error };
        throw error;
      }
    });
  } catch (error) {
    if (refusal !== undefined) throw refusal.error;
    throw storageError(error, 'commit');
  }
}

// Any number that no other program on the same server is likely to lock.
const SCHEMA_LOCK = 727_436_110;

/**
 * Applies the `*.sql` steps of a folder in name order, each once: in one transaction, under an advisory lock, recorded in `schema_steps`.
 * Safe when repeated and when two processes start at once. Steps are known by the part that owns the folder (`src/<part>/schema`).
 */
export async function applySchema(database: Database, folder: URL): Promise<void> {
  const path = fileURLToPath(folder).replace(/\/$/, '');
  const part = basename(dirname(path));
  const names = (await readdir(path)).filter((name) => name.endsWith('.sql')).sort();
  const steps = await Promise.all(
    names.map(async (name) => ({ name, sql: await readFile(join(path, name), 'utf8') })),
  );
  await database.transaction(async (session) => {
    if (database.kind === 'postgres') await session.script('set local statement_timeout = 0');
    await session.query('select pg_advisory_xact_lock($1)', [SCHEMA_LOCK]);
    await session.script(
      `create table if not exists schema_steps (
         part text not null, name text not null, applied_at timestamptz not null default now(), primary key (part, name))`,
    );
    const applied = await session.query<{ name: string }>('select name from schema_steps where part = $1', [
      part,
    ]);
    const known = new Set(applied.map(({ name }) => name));
    for (const { name, sql } of steps) {
      if (known.has(name)) continue;
      await session.script(sql);
      await session.query('insert into schema_steps (part, name) values ($1, $2)', [part, name]);
    }
  });
}
