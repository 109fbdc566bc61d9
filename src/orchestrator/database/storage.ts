import { vector } from '@electric-sql/pglite-pgvector';
import type { Logger } from 'pino';
import { messageOf } from '../../domain/errors.ts';
import { applySchema } from '../../storage/apply-schema.ts';
import { createPgliteDatabase, createPostgresDatabase, type Database } from '../../storage/database.ts';
import { createDatabaseCircuit } from './database-circuit.ts';
import type { Part } from '../part.ts';
import { createMonths, createMonthsAsOwner, partitionedSchema } from './partitions.ts';
import { prepareRoles } from './roles.ts';
import type { StorageSettings } from './storage-settings.ts';
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
      // The embedded database has a single session. From here on it cannot change tables.
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
