import { ValidationError } from '../domain/errors.ts';

/** Where a page ended, opaque to callers: the sort key of its last row. */
export function encodeCursor(key: readonly (string | number)[]): string {
  return Buffer.from(JSON.stringify(key)).toString('base64url');
}

/** @throws ValidationError for anything that {@link encodeCursor} did not make */
export function decodeCursor(cursor: string): (string | number)[] {
  try {
    const key: unknown = JSON.parse(Buffer.from(cursor, 'base64url').toString('utf8'));
    if (Array.isArray(key) && key.every((part) => typeof part === 'string' || typeof part === 'number'))
      return key;
  } catch {
    // Not base64 of JSON: refused below.
  }
  throw new ValidationError('cursor is not one of ours', { details: { field: 'cursor' } });
}
