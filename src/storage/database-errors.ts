import { CrossfadeError, type Effect, messageOf, StorageError } from '../domain/errors.ts';

/** Where a statement failed: before it had a connection, during its execution, inside an open transaction, or at its commit. */
export type Phase = 'connect' | 'statement' | 'transaction' | 'commit';

const SQLSTATE = /^[0-9A-Z]{5}$/;
// Connection exceptions, and a server shutdown while a statement runs. It is unknown whether the statement took effect.
const LOST = /^(?:08...|57P0[1-5]|40003)$/;
// The server cancelled a statement at its timeout.
const GAVE_UP = '57014';
// Data exceptions quote the refused value.
const QUOTES_VALUES = /^22/;
const PRINTABLE_FIELDS = ['constraint', 'table', 'column'] as const;

/**
 * Converts a driver's error to a {@link StorageError} that may be logged: it has no statement, parameters or row values.
 * `details.sqlstate` has the SQLSTATE if the server sent one.
 */
export function storageError(error: unknown, phase: Phase): CrossfadeError {
  if (error instanceof CrossfadeError) return error;
  const sqlstate = sqlstateOf(error);
  const effect = effectOf(sqlstate, phase);
  if (sqlstate === undefined) {
    const message = `The database cannot be reached (${phase}): ${messageOf(error)}`;
    return new StorageError(message, { effect, reason: 'unreachable', cause: withoutContent(error) });
  }
  const details: Record<string, string> = { sqlstate };
  for (const field of PRINTABLE_FIELDS) {
    const value = fieldOf(error, field);
    if (value !== undefined) details[field] = value;
  }
  const what = QUOTES_VALUES.test(sqlstate) ? 'a value was refused' : firstLine(messageOf(error));
  return new StorageError(`The database refused the statement (${sqlstate}): ${what}`, {
    effect,
    details,
    ...(sqlstate === GAVE_UP && { reason: 'timeout' }),
  });
}

/** The SQLSTATE of a {@link StorageError}, if the server sent one. */
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
  // Without a commit the server rolls back, whatever happens to the connection.
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
