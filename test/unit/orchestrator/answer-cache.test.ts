import { expect, test } from 'vitest';
import {
  createAnswerCache,
  type CachedCall,
  type Lookup,
} from '../../../src/orchestrator/cache/answer-cache.ts';
import { createMemoryStore } from '../../../src/orchestrator/cache/create-cache.ts';

/** A cache before a database that holds one session, with the statements that each read costs. */
function cacheUnderTest() {
  let version = 1;
  let statements = 0;
  const lookups: Lookup[] = [];
  const database = {
    async query(sql: string) {
      statements += 1;
      return sql.includes('session_versions')
        ? [{ version: String(version), nowMs: 0 }]
        : [{ expiresAtMs: null }];
    },
  };
  const settings = {
    enabled: true,
    memoryTtlSeconds: 60,
    historyTtlSeconds: 60,
    maxEntryBytes: 1_000,
    maxBytes: 100_000,
  };
  const cache = createAnswerCache({
    settings: settings as Parameters<typeof createAnswerCache>[0]['settings'],
    store: createMemoryStore(settings),
    onLookup: (lookup) => lookups.push(lookup),
    keepsMemories: false,
  });
  const request = { action: 'batch_read', sessionId: 's', payload: {}, raw: {} };
  const call = { request, caller: { id: 'agent' }, database } as unknown as CachedCall;
  return {
    write: () => (version += 1),
    /** Statements of one read beside the read itself. */
    read: async (): Promise<number> => {
      statements = 0;
      await cache.through(call, async () => ({ version }));
      return statements;
    },
    lookups,
  };
}

test('a session that is written before each read causes no lookups', async () => {
  const { write, read, lookups } = cacheUnderTest();
  await read();
  write();
  await read();
  for (let turn = 0; turn < 10; turn += 1) {
    write();
    expect(await read()).toBe(0);
  }
  expect(lookups).toEqual(['miss', 'stale', ...Array.from({ length: 10 }, () => 'skipped')]);
});

test('a session that is only read is answered from the cache again', async () => {
  const { write, read, lookups } = cacheUnderTest();
  await read();
  write();
  for (let turn = 0; turn < 20; turn += 1) await read();
  expect(lookups.slice(-2)).toEqual(['hit', 'hit']);
});

test('a used answer is cached again after a write', async () => {
  const { write, read, lookups } = cacheUnderTest();
  await read();
  await read();
  write();
  await read();
  await read();
  expect(lookups).toEqual(['miss', 'hit', 'stale', 'hit']);
});
