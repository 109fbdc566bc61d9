import type { Logger } from 'pino';
import { messageOf } from '../domain/errors.ts';
import type { Database } from '../storage/database.ts';
import { createAccess } from './access/access.ts';
import { accessProblems, type Settings, spaceOf } from './settings.ts';
import type { Lookup } from './cache/answer-cache.ts';
import { type Cache, createCache } from './cache/create-cache.ts';
import { createMeaning, type Meaning } from './embeddings/meaning.ts';
import { createEncryption } from './encryption/encryption.ts';
import { createFronts } from './fronts/fronts.ts';
import { createHealth, type HealthFacts } from './health.ts';
import { createObservability } from './observability/observability.ts';
import { type Part, startInOrder, stopInOrder } from './part.ts';
import { createPurge } from './database/purge.ts';
import { createService } from './service.ts';
import { createStorage, type Storage } from './database/storage.ts';
import { createSummarizer } from './summaries/summarizer.ts';
import { prepareVectors } from './vectors/pgvector.ts';
import type { Gauges } from './observability/metrics.ts';

interface OrchestratorOptions {
  readonly settings: Settings;
  readonly version: string;
  readonly log: Logger;
}

/** The Memory Orchestrator. Its parts are created once, started in order, and stopped in reverse order. */
interface Orchestrator {
  /** @throws StorageError, or an Error with the port or folder that is in use */
  start(): Promise<void>;
  /** Answers accepted requests, then closes. */
  stop(): Promise<void>;
}

export function createOrchestrator(options: OrchestratorOptions): Orchestrator {
  const parts = partsOf(options);
  let starting: Promise<void> | undefined;
  let stopping: Promise<void> | undefined;
  return {
    start() {
      starting = startInOrder(parts);
      return starting;
    },
    stop() {
      // A stop during a start waits for the start, because half-started parts cannot be closed. A failed start has cleaned up.
      stopping ??= Promise.resolve(starting).then(
        () => stopInOrder(parts),
        () => undefined,
      );
      return stopping;
    },
  };
}

/** All parts in start order. A part is stopped after those that use it. */
function partsOf({ settings, version, log }: OrchestratorOptions): readonly Part[] {
  const { storage: stored } = settings;
  const problems = accessProblems(settings.listen.host, settings.access);
  if (problems.length > 0) throw new Error(problems.join('\n'));
  const observability = createObservability({
    settings: settings.telemetry,
    log,
    gauges: gaugesOf({ storage: () => storage, meaning: () => meaning }),
  });
  const { metrics, onStatement } = observability;
  const prepare = (owner: Database) => prepareVectors(owner, spaceOf(settings.embeddings));
  const storage = createStorage({ settings: stored, log, onStatement, prepare });
  const encryption = createEncryption(settings.encryption, { database: storage.database, log });
  const { database } = encryption;
  const access = createAccess(settings.access, { database, log });
  const { embeddings, search } = settings;
  const meaning = createMeaning({ database, hasVector: storage.hasVector, embeddings, search, log });
  const onLookup = (lookup: Lookup): void => metrics.count('cacheLookups', lookup);
  const cache = createCache({ settings: settings.cache, log, onLookup, cover: encryption.cover });
  const health = createHealth(database, healthFactsOf({ settings, version, storage, cache, meaning }));
  const summarizer = createSummarizer(settings.summaries, log);
  const service = createService({
    database,
    access,
    cache,
    health,
    summarizer,
    meaning,
    observer: observability,
    log,
  });
  const purge = createPurge(database, stored, (error) =>
    log.error(`Purging expired rows failed: ${messageOf(error)}`),
  );
  const fronts = createFronts({ settings, service, access, health, metrics, version, log });
  return [observability, storage, encryption, access, cache, summarizer, meaning, purge, fronts];
}

const SECOND_MS = 1_000;

/** The gauges for the metrics. The functions are called after all parts are created. */
function gaugesOf(parts: { storage(): Storage; meaning(): Meaning }): Gauges {
  const load = () => parts.storage().database.load();
  return {
    connections: () => {
      const { connections, idle } = load();
      return { idle, busy: connections - idle };
    },
    waitingForDatabase: () => load().waiting,
    databaseCircuit: () => Number(parts.storage().isResting()),
    embeddingQueue: () => parts.meaning().backlog().length,
    embeddingQueueAge: () => parts.meaning().backlog().oldestMs / SECOND_MS,
  };
}

interface Reported {
  readonly settings: Settings;
  readonly version: string;
  readonly storage: Storage;
  readonly cache: Cache;
  readonly meaning: Meaning;
}

/** The facts for the health report. */
function healthFactsOf({ settings, version, storage, cache, meaning }: Reported): HealthFacts {
  return {
    version,
    poolSize: storage.database.kind === 'postgres' ? settings.storage.poolSize : 1,
    vectorProblem: () => meaning.problem(),
    details: () => ({ embeddings: meaning.details() }),
    cache: () => cache.condition(),
  };
}
