import type { AnswerStore, KeptAnswer } from './answer-store.ts';
import { RedisConnection, type RedisOptions } from './redis-connection.ts';

/** Answers shared by all processes. While Redis does not answer, nothing is cached and no request waits. */
export function createRedisStore(options: RedisOptions): AnswerStore {
  const { redisPrefix: prefix } = options.settings;
  const connection = new RedisConnection(options);
  return {
    async get(key) {
      const text = await connection.ask((client) => client.get(prefix + key)).catch(() => null);
      return text === null ? undefined : decode(text);
    },
    async set(key, answer, ttlMs) {
      const expiration = { type: 'PX', value: ttlMs } as const;
      await connection
        .ask((client) => client.set(prefix + key, encode(answer), { expiration }))
        .catch(() => undefined);
    },
    isUp: () => connection.isUp,
    async ping() {
      const startedMs = performance.now();
      await connection.ask((client) => client.ping());
      return performance.now() - startedMs;
    },
    start: () => connection.start(),
    stop: () => connection.stop(),
  };
}

const VERSION_LENGTH = 36;

/** The version and the optional time on one line each, then the text. */
function encode({ version, expiresAtMs, text }: KeptAnswer): string {
  return `${version}\n${expiresAtMs ?? ''}\n${text}`;
}

function decode(kept: string): KeptAnswer | undefined {
  const end = kept.indexOf('\n', VERSION_LENGTH + 1);
  if (end < 0) return undefined;
  const time = kept.slice(VERSION_LENGTH + 1, end);
  return {
    version: kept.slice(0, VERSION_LENGTH),
    expiresAtMs: time === '' ? null : Number(time),
    text: kept.slice(end + 1),
  };
}
