import type { Cache } from './cache/create-cache.ts';
import type { Meaning } from './embeddings/meaning.ts';
import type { HealthFacts } from './health.ts';
import type { Gauges } from './observability/metrics.ts';
import type { Settings } from './settings.ts';
import type { Storage } from './database/storage.ts';

const SECOND_MS = 1_000;

/** The gauges for the metrics. The functions are called after all parts are created. */
export function gaugesOf(parts: { storage(): Storage; meaning(): Meaning }): Gauges {
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
export function healthFactsOf({ settings, version, storage, cache, meaning }: Reported): HealthFacts {
  return {
    version,
    poolSize: storage.database.kind === 'postgres' ? settings.storage.poolSize : 1,
    vectorProblem: () => meaning.problem(),
    details: () => ({ embeddings: meaning.details() }),
    cache: () => cache.condition(),
  };
}
