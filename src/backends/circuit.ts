import {
  BrokenCircuitError,
  circuitBreaker,
  CircuitState,
  ConsecutiveBreaker,
  handleType,
  type CircuitBreakerPolicy,
} from 'cockatiel';
import { ConnectionError } from '../domain/errors.ts';
import type { BackendLoad, LegacyCall, Reply } from '../engine/ports/ports.ts';
import type { CallOutcome } from './pending-call.ts';

export interface BreakerSettings {
  /** Connection failures and timeouts in a row that open it. */
  readonly failures: number;
  /** Rest before one trial call, milliseconds. @defaultValue 1000 */
  readonly halfOpenAfterMs?: number;
}

type Send = (call: LegacyCall) => Promise<Reply>;

const STATES = {
  [CircuitState.Closed]: 'closed',
  [CircuitState.Open]: 'open',
  [CircuitState.HalfOpen]: 'half_open',
  [CircuitState.Isolated]: 'open',
} as const satisfies Record<CircuitState, BackendLoad['breaker']>;

/**
 * A circuit breaker that costs a closed circuit nothing: calls go straight through, and the policy is told of the outcomes
 * that change something (a failure, the first success after one). Only trial calls run inside it, one at a time.
 */
export class Circuit {
  readonly #name: string;
  readonly #settings: BreakerSettings;
  #policy: CircuitBreakerPolicy;
  #hasFailures = false;
  #isTrying = false;
  /** Whether the last failure was an answer that did not come in time: then it is there, and too busy. */
  #isSlow = false;

  constructor(name: string, settings: BreakerSettings) {
    this.#name = name;
    this.#settings = settings;
    this.#policy = this.#closed();
  }

  get state(): BackendLoad['breaker'] {
    return STATES[this.#policy.state];
  }

  send(call: LegacyCall, send: Send): Promise<Reply> {
    return this.#policy.state === CircuitState.Closed ? send(call) : this.#try(call, send);
  }

  /** Counts the outcome of a call that went straight through. */
  count(outcome: CallOutcome): void {
    if (this.#policy.state !== CircuitState.Closed) return;
    if (outcome !== 'answered') {
      this.#hasFailures = true;
      this.#isSlow = outcome === 'timeout';
      this.#policy.execute(() => Promise.reject(this.#refusal())).catch(() => undefined);
    } else if (this.#hasFailures) {
      this.#hasFailures = false;
      void this.#policy.execute(() => undefined);
    }
  }

  /** A new connection is a new server: nothing is held against it. */
  reset(): void {
    if (!this.#hasFailures) return;
    this.#hasFailures = false;
    this.#policy = this.#closed();
  }

  async #try(call: LegacyCall, send: Send): Promise<Reply> {
    // The policy would let every further caller wait for the trial's end.
    if (this.#isTrying) throw this.#refusal();
    this.#isTrying = true;
    try {
      return await this.#policy.execute(() => send(call));
    } catch (error) {
      if (error instanceof BrokenCircuitError) throw this.#refusal(error);
      this.#isSlow = error instanceof ConnectionError && error.reason === 'timeout';
      throw error;
    } finally {
      this.#isTrying = false;
    }
  }

  #closed(): CircuitBreakerPolicy {
    return circuitBreaker(handleType(ConnectionError), {
      halfOpenAfter: this.#settings.halfOpenAfterMs ?? 1_000,
      breaker: new ConsecutiveBreaker(this.#settings.failures),
    });
  }

  #refusal(cause?: unknown): ConnectionError {
    return new ConnectionError(`${this.#name} is not called: its circuit breaker is open`, {
      effect: 'not_applied',
      reason: 'breaker_open',
      ...(this.#isSlow && { details: { after: 'timeout' } }),
      cause,
    });
  }
}
