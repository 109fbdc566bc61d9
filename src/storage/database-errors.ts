import { CrossfadeError, type Effect, messageOf, StorageError } from '../domain/errors.ts';

/** Where a statement failed: before it had a connection, while the database worked on it, inside an open transaction, or at its commit. */
export type Phase = 'connect' | 'statement' | 'transaction' | 'commit';

const SQLSTATE = /^[0-9A-Z]{5}$/;
// Connection exceptions, and the server leaving while a statement runs: whether the statement took effect cannot be told.
const LOST = /^(?:08...|57P0[1-5]|40003)$/;
// The server ended a statement at its timeout.
const GAVE_UP = '57014';
// Data exceptions quote the value that was refused.
const QUOTES_VALUES = /^22/;
const PRINTABLE_FIELDS = ['constraint', 'table', 'column'] as const;

/**
 * What a driver threw as a {@link StorageError} that may be logged: neither statement, parameters nor row values.
 * `details.sqlstate` holds the SQLSTATE where the server gave one.
 */
export function storageError(error: unknown, phase: Phase): CrossfadeError {
  if (error instanceof CrossfadeError) return error;
  const sqlstate = sqlstateOf(error);
  const effect = effectOf(sqlstate, phase);
  if (sqlstate === undefined) {
    const message = `The database is out of reach (${phase}): ${messageOf(error)}`;
    return new StorageError(message, { effect, reason: 'unreachable', cause: withoutContent(error) });
  }
  const details: Record<string, string> = { sqlstate };
  for (const field of PRINTABLE_FIELDS) {
    const value = fieldOf(error, field);
    if (value !== undefined) details[field] = value;
  }
  const what = QUOTES_VALUES.test(sqlstate) ? 'a value was refused' : firstLine(messageOf(error));
  return new StorageError(`The database refused (${sqlstate}): ${what}`, {
    effect,
    details,
    ...(sqlstate === GAVE_UP && { reason: 'timeout' }),
  });
}

/** The SQLSTATE of a {@link StorageError}, if the server gave one. */
export function sqlstateOf(error: unknown): string | undefined {
  if (error instanceof CrossfadeError) {
    const known = error.details['sqlstate'];
    return typeof known === 'string' ? known : undefined;
  }
  const code = fieldOf(error, 'code');
  // Node's own codes are longer or lower case ("EPIPE" is five capitals, but carries an errno).
  return code !== undefined && SQLSTATE.test(code) && !hasErrno(error) ? code : undefined;
}

function effectOf(sqlstate: string | undefined, phase: Phase): Exclude<Effect, 'rejected'> {
  // Without a commit the server rolls back, whatever became of the connection.
  if (phase === 'connect' || phase === 'transaction') return 'not_applied';
  return sqlstate === undefined || LOST.test(sqlstate) ? 'unknown' : 'not_applied';
}

function fieldOf(error: unknown, field: string): string | undefined {
  if (typeof error !== 'object' || error === null) return undefined;
  const value: unknown = Reflect.get(error, field);
  return typeof value === 'string' ? value : undefined;
}

function hasErrno(error: unknown): boolean {
  return typeof error === 'object' && error !== null && 'errno' in error;
}

function firstLine(message: string): string {
  return message.split('\n', 1)[0] ?? message;
}

function withoutContent(error: unknown): unknown {
  return typeof error === 'object' && error !== null && ('query' in error || 'params' in error)
    ? new Error(messageOf(error))
    : error;
}
