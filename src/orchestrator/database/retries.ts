import { setTimeout as sleep } from 'node:timers/promises';
import { CrossfadeError } from '../../domain/errors.ts';
import { treatmentOf } from './sqlstates.ts';

const MAX_TRIES = 6;
// A conflict is over when the other one has committed; a connection takes longer to come back. 310 ms in all.
const FIRST_PAUSE_MS = 10;

/** Does work again that was not applied, for a reason that passes. `causeOf` finds the failure of the database in what was thrown. */
export async function retried<T>(
  work: () => Promise<T>,
  causeOf: (error: unknown) => unknown = (error) => error,
): Promise<T> {
  for (let tries = 1; ; tries += 1) {
    try {
      return await work();
    } catch (error) {
      const cause = causeOf(error);
      const treatment = treatmentOf(cause);
      if (tries >= MAX_TRIES || !treatment.isRetried || effectOf(cause) !== 'not_applied') throw error;
      if (treatment.isOutage) await sleep(FIRST_PAUSE_MS * 2 ** (tries - 1));
    }
  }
}

function effectOf(error: unknown): string | undefined {
  return error instanceof CrossfadeError ? error.effect : undefined;
}
