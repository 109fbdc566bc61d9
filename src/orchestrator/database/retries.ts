import { setTimeout as sleep } from 'node:timers/promises';
import { CrossfadeError } from '../../domain/errors.ts';
import { sqlstateOf } from '../../storage/database.ts';
import { backoffMs } from '../../shared/backoff.ts';

const MAX_TRIES = 6;
// A conflict ends when the other transaction commits; a connection needs longer to recover. 310 ms in total.
const RETRY = { firstMs: 10 };

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
      if (treatment.isOutage) await sleep(backoffMs(tries, RETRY));
    }
  }
}

function effectOf(error: unknown): string | undefined {
  return error instanceof CrossfadeError ? error.effect : undefined;
}

/** How to handle a database failure. */
interface Treatment {
  /** The work may be repeated if it was certainly not applied. */
  readonly isRetried: boolean;
  /** The failure concerns the database, not the statement, so it counts for the circuit breaker. */
  readonly isOutage: boolean;
}

/** The table of SQLSTATEs; the first match counts. Other states are final errors of the statement. */
const TREATMENTS: readonly (readonly [sqlstate: RegExp, treatment: Treatment])[] = [
  // Deadlock or serialization failure: the transaction was rolled back and can be repeated.
  [/^40(?:P01|001)$/, { isRetried: true, isOutage: false }],
  // A lock was not available; a schema step may hold it.
  [/^55P03$/, { isRetried: true, isOutage: false }],
  // The connection broke, or was refused.
  [/^08/, { isRetried: true, isOutage: true }],
  // The server is ending or not up yet.
  [/^57P0[1-5]$/, { isRetried: true, isOutage: true }],
  // Out of connections, memory, disk.
  [/^53/, { isRetried: false, isOutage: true }],
  // A file of the server cannot be read or written.
  [/^58/, { isRetried: false, isOutage: true }],
];

const FINAL: Treatment = { isRetried: false, isOutage: false };
const OUT_OF_REACH: Treatment = { isRetried: true, isOutage: true };
// Failures without a SQLSTATE, by their reason. Busy connections are no outage, because an open circuit breaker would
// not help.
const BY_REASON: Readonly<Record<string, Treatment>> = {
  unreachable: OUT_OF_REACH,
  busy: { isRetried: true, isOutage: false },
};

export function treatmentOf(error: unknown): Treatment {
  if (!(error instanceof CrossfadeError)) return FINAL;
  const sqlstate = sqlstateOf(error);
  if (sqlstate === undefined) return BY_REASON[error.reason ?? ''] ?? FINAL;
  return TREATMENTS.find(([pattern]) => pattern.test(sqlstate))?.[1] ?? FINAL;
}
