import { BurstyRateLimiter, RateLimiterMemory, RateLimiterRes } from 'rate-limiter-flexible';
import type { Identity } from './identity.ts';
import { tooFast } from './refusals.ts';

export interface RateSettings {
  /** Rate of one key on this replica. A key may override it. */
  readonly requestsPerSecond: number;
  /** Additional requests of a key in ten seconds. */
  readonly burst: number;
}

export interface RateLimit {
  /** Counts one request. @throws OperationError `rate_limit_exceeded` */
  spend(identity: Identity): Promise<void>;
}

const BURST_SECONDS = 10;
// Otherwise a request just before the end of the window would get a wait of 0.
const SHORTEST_WAIT_MS = 1;

/**
 * The rate limit of each key, counted in this process. The role `migration` has no limit unless its key has one, because the proxy sends
 * the requests of all its agents with one key.
 */
export function createRateLimit({ requestsPerSecond, burst }: RateSettings): RateLimit {
  const limiters = new Map<number, BurstyRateLimiter>();

  function limiterOf(rate: number): BurstyRateLimiter {
    let limiter = limiters.get(rate);
    if (limiter === undefined) {
      limiter = new BurstyRateLimiter(
        new RateLimiterMemory({ keyPrefix: 'rate', points: rate, duration: 1 }),
        new RateLimiterMemory({ keyPrefix: 'burst', points: burst, duration: BURST_SECONDS }),
      );
      limiters.set(rate, limiter);
    }
    return limiter;
  }

  return {
    async spend({ keyId, role, requestsPerSecond: own }) {
      if (role === 'migration' && own === null) return;
      try {
        await limiterOf(own ?? requestsPerSecond).consume(keyId);
      } catch (refusal) {
        if (!(refusal instanceof RateLimiterRes)) throw refusal;
        throw tooFast(Math.max(Math.ceil(refusal.msBeforeNext), SHORTEST_WAIT_MS));
      }
    },
  };
}
