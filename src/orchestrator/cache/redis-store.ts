import {
  circuitBreaker,
  type CircuitBreakerPolicy,
  CircuitState,
  ConsecutiveBreaker,
  handleAll,
  type IPolicy,
  timeout,
  TimeoutStrategy,
  wrap,
} from 'cockatiel';
import type { RedisClientType } from 'redis';
import { messageOf } from '../../domain/errors.ts';
import type { CacheSettings } from '../settings.ts';
import type { AnswerStore, KeptAnswer } from './answer-cache.ts';

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

interface RedisOptions {
  readonly url: string;
  readonly settings: Pick<CacheSettings, 'redisPrefix' | 'redisTimeoutMs' | 'redisRestMs'>;
  /** Called once when Redis stops answering, and once when it answers again. */
  readonly onChange: (isUp: boolean, reason: string) => void;
}

// Consecutive failures after which Redis is not used for a while.
const FAILURES = 3;

/** A connection that reconnects by itself, with a short timeout and a circuit breaker, so that requests do not wait for a missing Redis. */
class RedisConnection {
  readonly #options: RedisOptions;
  readonly #breaker: CircuitBreakerPolicy;
  readonly #policy: IPolicy;
  #client: RedisClientType | undefined;
  #lastError = 'never connected';
  #restsUntilMs = 0;
  #isOut = false;

  constructor(options: RedisOptions) {
    const { redisTimeoutMs, redisRestMs: halfOpenAfter } = options.settings;
    this.#options = options;
    this.#breaker = circuitBreaker(handleAll, { halfOpenAfter, breaker: new ConsecutiveBreaker(FAILURES) });
    this.#breaker.onBreak(() => this.#broke());
    this.#breaker.onReset(() => this.#recovered());
    // Aggressive, because a sent command cannot be cancelled; its answer is discarded.
    this.#policy = wrap(this.#breaker, timeout(redisTimeoutMs, TimeoutStrategy.Aggressive));
  }

  /** After the pause one request tries Redis. The others continue without it until the trial ends. */
  get isUp(): boolean {
    const { state } = this.#breaker;
    return (
      state === CircuitState.Closed ||
      (state === CircuitState.Open && performance.now() >= this.#restsUntilMs)
    );
  }

  /** @throws if Redis does not answer in time, or the breaker is open */
  async ask<T>(command: (client: RedisClientType) => Promise<T>): Promise<T> {
    try {
      return await this.#policy.execute(() => {
        if (this.#client?.isReady !== true) throw new Error(this.#lastError);
        return command(this.#client);
      });
    } catch (error) {
      this.#lastError = messageOf(error);
      throw error;
    }
  }

  /** Starts to connect in the background, so that the start does not wait for Redis. */
  async start(): Promise<void> {
    // Loaded on use, because it takes longer than everything else at the start.
    const { createClient } = await import('redis');
    const { url, settings } = this.#options;
    const client: RedisClientType = createClient({
      url,
      // Commands without a connection fail at once.
      disableOfflineQueue: true,
      socket: { connectTimeout: settings.redisRestMs, reconnectStrategy: settings.redisRestMs },
    });
    client.on('error', (error: unknown) => (this.#lastError = messageOf(error)));
    client.connect().catch((error: unknown) => (this.#lastError = messageOf(error)));
    this.#client = client;
  }

  async stop(): Promise<void> {
    if (this.#client?.isOpen === true) this.#client.destroy();
  }

  #broke(): void {
    this.#restsUntilMs = performance.now() + this.#options.settings.redisRestMs;
    if (!this.#isOut) this.#options.onChange(false, this.#lastError);
    this.#isOut = true;
  }

  #recovered(): void {
    this.#isOut = false;
    this.#options.onChange(true, '');
  }
}
