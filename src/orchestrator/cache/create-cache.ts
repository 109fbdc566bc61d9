import type { Logger } from 'pino';
import { type AnswerCache, type Cover, createAnswerCache, type Lookup } from './answer-cache.ts';
import type { AnswerStore } from './answer-store.ts';
import { createMemoryStore } from './memory-store.ts';
import { createRedisStore } from './redis-store.ts';
import type { CacheSettings } from './settings.ts';

export interface Cache extends AnswerCache {
  /** For the health report: whether the store is reachable, and its latency. Undefined if the cache is off. */
  condition(): Promise<{ readonly isUp: boolean; readonly latencyMs?: number } | undefined>;
  start(): Promise<void>;
  stop(): Promise<void>;
}

export interface CacheParts {
  readonly settings: CacheSettings;
  readonly log: Logger;
  readonly onLookup: (lookup: Lookup) => void;
  /** If contents are sealed in the database, they are also sealed in Redis. */
  readonly cover?: Cover | undefined;
}

/** Uses Redis if an address is configured, otherwise the memory of this process, which contains contents anyway. */
export function createCache({ settings, log, onLookup, cover }: CacheParts): Cache {
  const { redisUrl } = settings;
  const store: AnswerStore =
    redisUrl === undefined
      ? createMemoryStore(settings)
      : createRedisStore({ url: redisUrl, settings, onChange: (isUp, reason) => told(log, isUp, reason) });
  const answers = createAnswerCache({
    settings,
    store,
    onLookup,
    // Reading the session's version costs more than reading one memory. With Redis it still avoids reading the content from the database.
    keepsMemories: redisUrl !== undefined,
    cover: redisUrl === undefined ? undefined : cover,
  });
  return {
    through: (call, read) => answers.through(call, read),
    async condition() {
      if (!settings.enabled) return undefined;
      try {
        return { isUp: true, latencyMs: await store.ping() };
      } catch {
        return { isUp: false };
      }
    },
    start: async () => (settings.enabled ? store.start() : undefined),
    stop: async () => (settings.enabled ? store.stop() : undefined),
  };
}

function told(log: Logger, isUp: boolean, reason: string): void {
  if (isUp) log.info('Redis answers again');
  else log.warn({ reason }, 'Redis does not answer; answers are read from the database');
}
