import type { Logger } from 'pino';
import { type AnswerCache, type Cover, createAnswerCache, type Lookup } from './answer-cache.ts';
import type { AnswerStore } from './answer-store.ts';
import { createMemoryStore } from './memory-store.ts';
import { createRedisStore } from './redis-store.ts';
import type { CacheSettings } from './settings.ts';

export interface Cache extends AnswerCache {
  /** What the health report says: whether answers can be kept, and how far away they are. Undefined when switched off. */
  condition(): Promise<{ readonly isUp: boolean; readonly latencyMs?: number } | undefined>;
  start(): Promise<void>;
  stop(): Promise<void>;
}

export interface CacheParts {
  readonly settings: CacheSettings;
  readonly log: Logger;
  readonly onLookup: (lookup: Lookup) => void;
  /** Where contents are sealed in the database, they are in Redis. */
  readonly cover?: Cover | undefined;
}

/** In Redis when it has an address, otherwise in this process, whose memory holds contents anyway. */
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
    // Asking for the version of the session costs more than reading one memory; in Redis it spares the database the content.
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
