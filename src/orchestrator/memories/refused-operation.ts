import { CrossfadeError, StorageError, ValidationError } from '../../domain/errors.ts';
import { sqlstateOf } from '../../storage/database.ts';

// Data exceptions and program limits: the value can never be stored.
const UNSTORABLE_VALUE = /^(?:22|54)/;

/** One of several operations was refused: its index from 0, and the reason. */
export class RefusedOperation extends Error {
  readonly index: number;
  readonly refusal: CrossfadeError;

  constructor(index: number, refusal: CrossfadeError) {
    super(`Operation ${index} was refused: ${refusal.message}`, { cause: refusal });
    this.index = index;
    this.refusal = refusal;
  }
}

/** The error for the caller: the refusal with the index of the operation. */
export function namedRefusal(refused: RefusedOperation): CrossfadeError {
  const { index, refusal } = refused;
  const { code, effect, reason, details } = refusal;
  return new CrossfadeError(`Operation ${index}: ${refusal.message}`, {
    code,
    effect,
    ...(reason === undefined ? {} : { reason }),
    details: { ...details, operation: index },
    cause: refusal,
  });
}

/** Adds the index of the operation to a refusal; other errors stay unchanged. */
export function refusedAt(index: number, error: unknown): unknown {
  return error instanceof CrossfadeError && error.effect === 'rejected'
    ? new RefusedOperation(index, error)
    : error;
}

/** The refusal for a database error about a value that cannot be stored, such as a number of 200,000 digits. */
export function refusedValue(error: unknown): ValidationError | undefined {
  const sqlstate = error instanceof StorageError ? sqlstateOf(error) : undefined;
  if (sqlstate === undefined || !UNSTORABLE_VALUE.test(sqlstate)) return undefined;
  return new ValidationError('The database cannot store a value, because it is too large', {
    reason: 'unstorable_value',
    details: { sqlstate },
    cause: error,
  });
}

/** The error if `if_version` does not match: another version, or no object. */
export function versionConflict(what: string, details: Readonly<Record<string, unknown>>): ValidationError {
  return new ValidationError(`${what} has another version`, {
    reason: 'version_conflict',
    details: { ...details, field: 'if_version' },
  });
}
