import { vector } from '@electric-sql/pglite-pgvector';
import type { Logger } from 'pino';
import { messageOf } from '../../domain/errors.ts';
import { applySchema } from '../../storage/apply-schema.ts';
import {
  createPgliteDatabase,
  createPostgresDatabase,
  type Database,
  type Session,
  sqlstateOf,
} from '../../storage/database.ts';
import type { Part } from '../part.ts';
import type { StorageSettings } from '../settings.ts';
import { createDatabaseCircuit } from './database-circuit.ts';
import { createUpkeep } from './upkeep.ts';
import { type StatementFacts, watchedDatabase } from './watched-database.ts';

/** The database with the orchestrator's schema in it. */
export interface Storage extends Part {
  readonly database: Database;
  /** Whether the database has pgvector. Known after the start. */
  readonly hasVector: () => boolean;
  /** Whether the database does not answer and its circuit breaker is open. */
  readonly isResting: () => boolean;
}

export interface StorageParts {
  readonly settings: StorageSettings;
  readonly log: Logger;
  /** Called for every statement after the start. */
  readonly onStatement: (statement: StatementFacts) => void;
  /** Schema changes that depend on other settings; runs as the owner, after the steps. */
  readonly prepare?: (database: Database) => Promise<void>;
}

/** With this folder name nothing is stored on disk; for tests. */
const IN_MEMORY = ':memory:';
const DAY_MS = 86_400_000;

/** Uses PostgreSQL if a URL is configured, otherwise an embedded database in its folder. */
export function createStorage({ settings, log, onStatement, prepare }: StorageParts): Storage {
  const database = createDatabase(settings);
  const circuit = createDatabaseCircuit(settings, (isOpen) => report(log, isOpen));
  const upkeep = createUpkeep(database, (problem) => log.warn({ problem }, 'Table maintenance failed'));
  let hasVector = false;
  let months: NodeJS.Timeout | undefined;

  async function prepareAll(owner: Database): Promise<void> {
    hasVector = await addVector(owner);
    if (!hasVector) log.warn('pgvector is not installed in the database; semantic search is off');
    await applySchema(owner, new URL('../schema/', import.meta.url), {
      render: (sql) => partitionedSchema(sql, settings),
      async afterwards(session) {
        if (settings.partitioned) await createMonths(session, new Date());
        const problem = await prepareRoles(session, settings);
        if (problem !== undefined) log.warn({ problem }, 'The roles of the database could not be prepared');
      },
    });
    await prepare?.(owner);
  }

  return {
    database: watchedDatabase(database, { circuit, onStatement }),
    hasVector: () => hasVector,
    isResting: () => circuit.isOpen,
    async start() {
      await withOwner(settings, database, prepareAll);
      // The embedded database has a single session. It can no longer change tables.
      if (database.kind === 'pglite') {
        await upkeep.start();
        await database.script(
          `grant maintain on all tables in schema public to ${settings.applicationRole};
           set role ${settings.applicationRole}`,
        );
      }
      if (!settings.partitioned) return;
      const onError = (error: unknown): void =>
        log.error(`Creating new partitions failed: ${messageOf(error)}`);
      months = setInterval(() => void createMonthsAsOwner(database, new Date()).catch(onError), DAY_MS);
      months.unref();
    },
    async stop() {
      clearInterval(months);
      await upkeep.stop();
      await database.close();
    },
  };
}

function report(log: Logger, isResting: boolean): void {
  if (isResting) log.error('The database does not answer; requests are refused until it does');
  else log.info('The database answers again');
}

function createDatabase(settings: StorageSettings): Database {
  const {
    databaseUrl: url,
    folder,
    poolSize,
    statementTimeoutMs,
    connectTimeoutMs,
    preparedStatements,
  } = settings;
  if (url === undefined)
    return createPgliteDatabase({
      folder: folder === IN_MEMORY ? undefined : folder,
      extensions: { vector },
    });
  const role = settings.actAsApplicationRole ? settings.applicationRole : undefined;
  const prepares = preparedStatements;
  return createPostgresDatabase({ url, poolSize, statementTimeoutMs, connectTimeoutMs, prepares, role });
}

/** Connects as the owner, because the pool's role may lack the right to change the schema, or may not exist yet. */
async function withOwner(
  { databaseUrl: url, actAsApplicationRole, connectTimeoutMs }: StorageSettings,
  database: Database,
  work: (owner: Database) => Promise<void>,
): Promise<void> {
  if (url === undefined || !actAsApplicationRole) return work(database);
  const owner = createPostgresDatabase({ url, poolSize: 2, connectTimeoutMs });
  try {
    await work(owner);
  } finally {
    await owner.close();
  }
}

async function addVector(database: Database): Promise<boolean> {
  const [available] = await database.query(`select 1 from pg_available_extensions where name = 'vector'`);
  if (available === undefined) return false;
  // The right may be missing, or another process may create it now. Only its existence afterwards counts.
  await database.query('create extension if not exists vector').catch(() => []);
  return (await database.query(`select 1 from pg_extension where extname = 'vector'`)).length === 1;
}

// `create table x (…) with (…) /*hash column*/;` or `/*month column*/`: the comment says how the table may be partitioned.
const PARTITIONABLE =
  /create table (?<table>\w+) \((?<body>(?:(?!create table)[\s\S])*?)\)(?<options> with \([^)]*\))? \/\*(?<how>hash|month) (?<column>\w+)\*\/;/g;

type Partitionable = Readonly<Record<'table' | 'body' | 'how' | 'column', string>> & {
  readonly options?: string;
};

/**
 * A step of the schema for this installation. Each table that may be partitioned becomes a partitioned or a plain
 * table.
 */
export function partitionedSchema(sql: string, settings: StorageSettings): string {
  if (!settings.partitioned) return sql;
  return sql.replaceAll(PARTITIONABLE, (...found) => {
    const { table, body, options = '', how, column } = found.at(-1) as Partitionable;
    const parent = (kind: string) => `create table ${table} (${body}) partition by ${kind} (${column});`;
    // PostgreSQL takes storage options of partitions only.
    const child = (name: string, bound: string) =>
      `create table ${table}_${name} partition of ${table} ${bound}${options};`;
    if (how === 'month') return [parent('range'), child('other', 'default')].join('\n');
    const children = Array.from({ length: settings.partitions }, (_, remainder) =>
      child(`${remainder}`, `for values with (modulus ${settings.partitions}, remainder ${remainder})`),
    );
    return [parent('hash'), ...children].join('\n');
  });
}

// Created in advance, so that rows do not go to the default partition if the creation fails for some time.
const MONTHS_AHEAD = 3;

const MONTHLY_TABLES = `
select c.relname as table from pg_partitioned_table p join pg_class c on c.oid = p.partrelid
where p.partstrat = 'r' and c.relnamespace = current_schema()::regnamespace`;

/** Creates the missing partitions of this month and the next ones. Needs the right to create tables. */
export async function createMonths(session: Session, now: Date): Promise<void> {
  const tables = await session.query<{ table: string }>(MONTHLY_TABLES);
  for (const { table } of tables)
    for (let ahead = 0; ahead <= MONTHS_AHEAD; ahead += 1) await session.script(monthOf(table, now, ahead));
}

function monthOf(table: string, now: Date, ahead: number): string {
  const first = (months: number) => new Date(Date.UTC(now.getUTCFullYear(), now.getUTCMonth() + months));
  const from = first(ahead).toISOString();
  const name = `${table}_${from.slice(0, 7).replace('-', '_')}`;
  return `create table if not exists ${name} partition of ${table}
    for values from ('${from}') to ('${first(ahead + 1).toISOString()}')`;
}

/** The same in a running process, as the owner of the tables instead of the application role. */
export async function createMonthsAsOwner(database: Database, now: Date): Promise<void> {
  await database.transaction(async (session) => {
    await session.script('set local role none');
    await createMonths(session, now);
  });
}

export type RoleNames = Pick<StorageSettings, 'applicationRole' | 'readOnlyRole'>;

// Roles belong to the whole server, so another database may create the same role at the same moment.
const EXISTS_ALREADY = new Set(['42710', '23505']);

// Only our own tables, because a grant on another owner's table would fail as a whole.
const TABLES = `
select string_agg(format('%I', relname), ', ') as all, string_agg(format('%I', relname), ', ') filter (where relname <> 'schema_steps') as written
from pg_class where relnamespace = current_schema()::regnamespace and relkind in ('r', 'p')
  and pg_has_role(relowner, 'usage')
  and not exists (select from pg_depend where objid = pg_class.oid and deptype = 'e')`;

/**
 * Creates the application role, which cannot change tables, and the read-only role. Neither can log in; grant them to users. Runs after
 * the schema steps, in their transaction.
 * @returns the problem, if the connecting user lacks the rights
 */
export async function prepareRoles(session: Session, names: RoleNames): Promise<string | undefined> {
  const { applicationRole, readOnlyRole } = names;
  await session.script('savepoint roles');
  try {
    for (const name of [applicationRole, readOnlyRole]) await createRole(session, name);
    const [tables] = await session.query<{ all: string; written: string }>(TABLES);
    const { schema } = (
      await session.query<{ schema: string }>(`select format('%I', current_schema()) as schema`)
    )[0] ?? { schema: 'public' };
    if (tables === undefined) return undefined;
    await session.script(`
      grant usage on schema ${schema} to ${applicationRole}, ${readOnlyRole};
      grant select on ${tables.all} to ${applicationRole}, ${readOnlyRole};
      grant insert, update, delete on ${tables.written} to ${applicationRole}`);
    await session.script('release savepoint roles');
    return undefined;
  } catch (error) {
    if (sqlstateOf(error) === undefined) throw error;
    await session.script('rollback to savepoint roles');
    return messageOf(error);
  }
}

async function createRole(session: Session, name: string): Promise<void> {
  const known = await session.query('select from pg_roles where rolname = $1', [name]);
  if (known.length > 0) return;
  await session.script('savepoint role');
  try {
    // The creator becomes a member that may act as the role.
    await session.script(`create role ${name} nologin`);
    const [creator] = await session.query<{ member: boolean }>(
      `select pg_has_role(current_user, $1::name, 'set') as member`,
      [name],
    );
    if (creator?.member === false) await session.script(`grant ${name} to current_user with set true`);
  } catch (error) {
    if (!EXISTS_ALREADY.has(sqlstateOf(error) ?? '')) throw error;
    await session.script('rollback to savepoint role');
  }
}
