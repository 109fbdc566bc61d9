import { circuitBreaker, CircuitState, ConsecutiveBreaker, handleWhen } from 'cockatiel';
import { StorageError } from '../domain/errors.ts';
import { treatmentOf } from './sqlstates.ts';
import type { StorageSettings } from './storage-settings.ts';

type CircuitSettings = Pick<StorageSettings, 'breakerFailures' | 'breakerRestMs'>;

export interface DatabaseCircuit {
  readonly isOpen: boolean;
  /** @throws StorageError, not applied, reason `breaker_open`, while the database rests */
  run<T>(work: () => Promise<T>): Promise<T>;
}

/** Leaves a database alone that does not answer: callers are refused at once, and one at a time tries again. */
export function createDatabaseCircuit(settings: CircuitSettings): DatabaseCircuit {
  const policy = circuitBreaker(
    handleWhen((error) => treatmentOf(error).isOutage),
    {
      halfOpenAfter: settings.breakerRestMs,
      breaker: new ConsecutiveBreaker(settings.breakerFailures),
    },
  );
  let restsUntilMs = 0;
  policy.onBreak(() => (restsUntilMs = performance.now() + settings.breakerRestMs));
  // The policy would let everybody wait for the end of a trial.
  const isResting = (): boolean =>
    policy.state === CircuitState.HalfOpen ||
    (policy.state === CircuitState.Open && performance.now() < restsUntilMs);
  return {
    get isOpen() {
      return policy.state !== CircuitState.Closed;
    },
    async run(work) {
      if (isResting())
        throw new StorageError('The database is not asked: its circuit breaker is open', {
          effect: 'not_applied',
          reason: 'breaker_open',
        });
      return policy.execute(work);
    },
  };
}
