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
  /** Number of consecutive connection failures and timeouts that open it. */
  readonly failures: number;
  /** Time before a trial call, milliseconds. @defaultValue 1000 */
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
 * A circuit breaker without cost while it is closed: calls bypass the policy, which gets only the outcomes that change something (a
 * failure, the first success after one). Only trial calls run inside the policy, one at a time.
 */
export class Circuit {
  readonly #name: string;
  readonly #settings: BreakerSettings;
  #policy: CircuitBreakerPolicy;
  #hasFailures = false;
  #isTrying = false;
  /** Whether the last failure was a timeout, which means that the server exists but is too busy. */
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

  /** Counts the outcome of a call that bypassed the policy. */
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

  /** Closes the circuit, because a new connection may reach a new server. */
  reset(): void {
    if (!this.#hasFailures) return;
    this.#hasFailures = false;
    this.#policy = this.#closed();
  }

  async #try(call: LegacyCall, send: Send): Promise<Reply> {
    // The policy would make every further caller wait for the end of the trial.
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
    return new ConnectionError(
      `${this.#name}: call not sent, because its circuit breaker is open after repeated failures`,
      {
        effect: 'not_applied',
        reason: 'breaker_open',
        ...(this.#isSlow && { details: { after: 'timeout' } }),
        cause,
      },
    );
  }
}
