import { vector } from '@electric-sql/pglite-pgvector';
import type { Logger } from 'pino';
import { messageOf } from '../domain/errors.ts';
import {
  applySchema,
  createPgliteDatabase,
  createPostgresDatabase,
  type Database,
} from '../storage/database.ts';
import { createHealth } from './health.ts';
import { createHttpFront } from './http-front.ts';
import { createPurge, type PurgeSettings } from './purge.ts';
import { createService } from './service.ts';
import { createZmqFront } from './zmq-front.ts';

export type DatabaseSettings =
  | {
      readonly kind: 'postgres';
      readonly url: string;
      readonly poolSize?: number;
      readonly statementTimeoutMs?: number;
    }
  | {
      readonly kind: 'pglite';
      /** In memory without it. */
      readonly folder?: string;
    };

export interface OrchestratorSettings {
  readonly host: string;
  /** ZeroMQ. */
  readonly port: number;
  readonly httpPort: number;
  readonly database: DatabaseSettings;
  readonly purge?: PurgeSettings;
  readonly version: string;
  readonly log: Logger;
}

/** The new Memory Orchestrator: every part built once, started top to bottom and stopped bottom to top. */
export interface Orchestrator {
  /** @throws StorageError, or an Error that names the port or the folder that is taken */
  start(): Promise<void>;
  /** Answers what was accepted, then closes. */
  stop(): Promise<void>;
}

export function createOrchestrator(settings: OrchestratorSettings): Orchestrator {
  const { host, port, httpPort, version, log } = settings;
  const database = createDatabase(settings.database);
  let hasVector = false;
  const poolSize = settings.database.kind === 'postgres' ? (settings.database.poolSize ?? 10) : 1;
  const health = createHealth(database, { version, poolSize, hasVector: () => hasVector });
  const service = createService({ database, health, log });
  const purge = createPurge(database, settings.purge ?? {}, (error) =>
    log.error(`The purge failed: ${messageOf(error)}`),
  );
  const onLostReply = (error: unknown): void => log.warn(`A reply was lost: ${messageOf(error)}`);
  const zmq = createZmqFront(service, { host, port, onLostReply });
  const http = createHttpFront(service, { host, port: httpPort, health });
  const schema = {
    async start() {
      hasVector = await addVector(database);
      if (!hasVector) log.warn('pgvector is not installed in the database: semantic search is off');
      await applySchema(database, new URL('schema/', import.meta.url));
    },
    stop: () => database.close(),
  };
  const parts = [schema, purge, zmq, http];

  async function startParts(): Promise<void> {
    try {
      for (const part of parts) await part.start();
    } catch (error) {
      for (const part of parts.toReversed()) await part.stop();
      throw error;
    }
  }

  let starting: Promise<void> | undefined;
  return {
    start() {
      starting = startParts();
      return starting;
    },
    async stop() {
      // Told to stop in the middle of a start: what is half there could not be closed. A start that failed has cleaned up.
      await starting?.catch(() => {});
      // Both fronts stop taking in at the same time; neither closes before its replies are out.
      await Promise.all([http.stop(), zmq.stop(), purge.stop()]);
      await service.drained();
      await schema.stop();
    },
  };
}

function createDatabase(settings: DatabaseSettings): Database {
  if (settings.kind === 'postgres') return createPostgresDatabase(settings);
  return createPgliteDatabase({ folder: settings.folder, extensions: { vector } });
}

async function addVector(database: Database): Promise<boolean> {
  const [available] = await database.query(`select 1 from pg_available_extensions where name = 'vector'`);
  if (available === undefined) return false;
  // Lacking the right to create it, or another process creating it just now: what counts is whether it is there afterwards.
  await database.query('create extension if not exists vector').catch(() => []);
  return (await database.query(`select 1 from pg_extension where extname = 'vector'`)).length === 1;
}
