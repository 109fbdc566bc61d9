import { setTimeout as sleep } from 'node:timers/promises';
import { CrossfadeError } from '../../domain/errors.ts';
import { treatmentOf } from './sqlstates.ts';

const MAX_TRIES = 6;
// A conflict ends when the other transaction commits; a connection needs longer to recover. 310 ms in total.
const FIRST_PAUSE_MS = 10;

/** Repeats work that was not applied for a temporary reason. `causeOf` extracts the database failure from the error. */
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
