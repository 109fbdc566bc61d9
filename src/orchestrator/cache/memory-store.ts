import { LRUCache } from 'lru-cache';
import type { AnswerStore, KeptAnswer } from './answer-store.ts';
import type { CacheSettings } from './settings.ts';

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
