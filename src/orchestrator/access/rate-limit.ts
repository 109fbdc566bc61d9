import { BurstyRateLimiter, RateLimiterMemory, RateLimiterRes } from 'rate-limiter-flexible';
import type { Identity } from './identity.ts';
import { tooFast } from './refusals.ts';

export interface RateSettings {
  /** Of one key, on this replica. A key may have a rate of its own. */
  readonly requestsPerSecond: number;
  /** Requests above the rate that a key has to spend in ten seconds. */
  readonly burst: number;
}

export interface RateLimit {
  /** Counts one request. @throws OperationError `rate_limit_exceeded` */
  spend(identity: Identity): Promise<void>;
}

const BURST_SECONDS = 10;
// A caller that came just before the window ends would be told 0.
const SHORTEST_WAIT_MS = 1;

/**
 * The rate of each key, counted in this process. The role `migration` has none unless its key says so: the proxy asks for all
 * its agents with one key.
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
