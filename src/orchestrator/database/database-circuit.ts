import { circuitBreaker, CircuitState, ConsecutiveBreaker, handleWhen } from 'cockatiel';
import { StorageError } from '../../domain/errors.ts';
import { treatmentOf } from './sqlstates.ts';
import type { StorageSettings } from './storage-settings.ts';

type CircuitSettings = Pick<StorageSettings, 'breakerFailures' | 'breakerRestMs'>;

export interface DatabaseCircuit {
  readonly isOpen: boolean;
  /** @throws StorageError, not applied, reason `breaker_open`, while the database rests */
  run<T>(work: () => Promise<T>): Promise<T>;
}

/** Why a caller was refused without the database being asked. */
export const BREAKER_OPEN = 'breaker_open';

/**
 * Leaves a database alone that does not answer: callers are refused at once, and one at a time tries again. `onChange` is told once
 * that it is left alone, and once that it answers again.
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
  // Every trial that fails breaks it anew.
  policy.onBreak(() => {
    restsUntilMs = performance.now() + settings.breakerRestMs;
    if (!isOut) onChange((isOut = true));
  });
  policy.onReset(() => onChange((isOut = false)));
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
        throw new StorageError('Query not sent, because the circuit breaker of the database is open', {
          effect: 'not_applied',
          reason: BREAKER_OPEN,
        });
      return policy.execute(work);
    },
  };
}
