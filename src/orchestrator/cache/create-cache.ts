import type { Logger } from 'pino';
import { LRUCache } from 'lru-cache';
import type { CacheSettings } from '../settings.ts';
import {
  type AnswerCache,
  type AnswerStore,
  type Cover,
  createAnswerCache,
  type KeptAnswer,
  type Lookup,
} from './answer-cache.ts';
import { createRedisStore } from './redis-store.ts';

export interface Cache extends AnswerCache {
  /** For the health report: whether the store is reachable, and its latency. Undefined if the cache is off. */
  condition(): Promise<{ readonly isUp: boolean; readonly latencyMs?: number } | undefined>;
  start(): Promise<void>;
  stop(): Promise<void>;
}

interface CacheParts {
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

// A character takes one or two bytes in V8. Keys, versions and the entry's objects are added.
const BYTES_PER_CHARACTER = 2;
const BYTES_PER_ENTRY = 400;

/** Stores answers in this process. The least recently used are removed first. */
export function createMemoryStore({
  maxBytes,
}: Pick<CacheSettings, 'maxBytes'>): AnswerStore & { bytes(): number } {
  const answers = new LRUCache<string, KeptAnswer>({
    maxSize: maxBytes,
    sizeCalculation: ({ text }) => BYTES_PER_CHARACTER * text.length + BYTES_PER_ENTRY,
  });
  return {
    get: async (key) => answers.get(key),
    async set(key, answer, ttlMs) {
      answers.set(key, answer, { ttl: ttlMs });
    },
    isUp: () => true,
    ping: async () => 0,
    bytes: () => answers.calculatedSize,
    start: async () => undefined,
    async stop() {
      answers.clear();
    },
  };
}
