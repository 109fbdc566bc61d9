import { circuitBreaker, CircuitState, ConsecutiveBreaker, handleWhen } from 'cockatiel';
import { StorageError } from '../../domain/errors.ts';
import type { StorageSettings } from '../settings.ts';
import { treatmentOf } from './retries.ts';

type CircuitSettings = Pick<StorageSettings, 'breakerFailures' | 'breakerRestMs'>;

export interface DatabaseCircuit {
  readonly isOpen: boolean;
  /** @throws StorageError, not applied, reason `breaker_open`, while the circuit breaker is open */
  run<T>(work: () => Promise<T>): Promise<T>;
}

/** The reason of errors for queries that were not sent. */
export const BREAKER_OPEN = 'breaker_open';

/**
 * A circuit breaker for a database that does not answer: callers are refused at once, and one trial at a time checks the database.
 * `onChange` is called once when the breaker opens, and once when the database answers again.
 */
export function createDatabaseCircuit(
  settings: CircuitSettings,
  onChange: (isOpen: boolean) => void = () => undefined,
): DatabaseCircuit {
  const policy = circuitBreaker(
    handleWhen((error) => treatmentOf(error).isOutage),
    {
      halfOpenAfter: settings.breakerRestMs,
      breaker: new ConsecutiveBreaker(settings.breakerFailures),
    },
  );
  let restsUntilMs = 0;
  let isOut = false;
  // Every failed trial triggers this event again.
  policy.onBreak(() => {
    restsUntilMs = performance.now() + settings.breakerRestMs;
    if (!isOut) onChange((isOut = true));
  });
  policy.onReset(() => onChange((isOut = false)));
  // The policy would make every caller wait for the end of a trial.
  const isResting = (): boolean =>
    policy.state === CircuitState.HalfOpen ||
    (policy.state === CircuitState.Open && performance.now() < restsUntilMs);
  return {
    get isOpen() {
      return policy.state !== CircuitState.Closed;
    },
    async run(work) {
      if (isResting())
        throw new StorageError('Query not sent, because the circuit breaker of the database is open', {
          effect: 'not_applied',
          reason: BREAKER_OPEN,
        });
      return policy.execute(work);
    },
  };
}
