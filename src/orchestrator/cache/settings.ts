import { Type, type Static } from 'typebox';

const MEBIBYTE = 1024 * 1024;

/** The cache of read answers, in this process, or in Redis if an address is set. */
export const CacheSettings = Type.Object(
  {
    enabled: Type.Boolean({ default: true }),
    maxBytes: Type.Integer({ minimum: 1_024, default: 32 * MEBIBYTE }),
    maxEntryBytes: Type.Integer({ minimum: 1, default: MEBIBYTE }),
    memoryTtlSeconds: Type.Integer({ minimum: 1, default: 300 }),
    historyTtlSeconds: Type.Integer({ minimum: 1, default: 60 }),
    redisUrl: Type.Optional(Type.String({ pattern: '^rediss?://.+' })),
    redisPrefix: Type.String({ minLength: 1, default: 'crossfade:' }),
    redisTimeoutMs: Type.Integer({ minimum: 1, default: 50 }),
    redisRestMs: Type.Integer({ minimum: 1, default: 1_000 }),
  },
  { additionalProperties: false },
);

export type CacheSettings = Static<typeof CacheSettings>;
