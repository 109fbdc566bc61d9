import { Type, type Static } from 'typebox';
import { whole, wholeBytes, wholeSeconds } from '../whole-number.ts';

const MEBIBYTE = 1024 * 1024;

/** The cache of read answers, in this process, or in Redis if an address is set. */
export const CacheSettings = Type.Object(
  {
    enabled: Type.Boolean({ default: true }),
    maxBytes: wholeBytes(1_024, 32 * MEBIBYTE),
    maxEntryBytes: wholeBytes(1, MEBIBYTE),
    memoryTtlSeconds: wholeSeconds(1, 300),
    historyTtlSeconds: wholeSeconds(1, 60),
    redisUrl: Type.Optional(Type.String({ pattern: '^rediss?://.+' })),
    redisPrefix: Type.String({ minLength: 1, default: 'crossfade:' }),
    redisTimeoutMs: whole(1, 50),
    redisRestMs: whole(1, 1_000),
  },
  { additionalProperties: false },
);

export type CacheSettings = Static<typeof CacheSettings>;
