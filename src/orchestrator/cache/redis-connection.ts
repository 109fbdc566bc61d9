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
import type { CacheSettings } from './settings.ts';

export interface RedisOptions {
  readonly url: string;
  readonly settings: Pick<CacheSettings, 'redisPrefix' | 'redisTimeoutMs' | 'redisRestMs'>;
  /** Called once when Redis stops answering, and once when it answers again. */
  readonly onChange: (isUp: boolean, reason: string) => void;
}

// Consecutive failures after which Redis is not used for a while.
const FAILURES = 3;

/** A connection that reconnects by itself, with a short timeout and a circuit breaker, so that requests do not wait for a missing Redis. */
export class RedisConnection {
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
