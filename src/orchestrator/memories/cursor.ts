import { ValidationError } from '../../domain/errors.ts';

// What has no position is stored behind all that have one: one more than a safe integer.
const GREATEST_NUMBER = 2 ** 53;

type Key = readonly (string | number)[];
/** What a key is made of, part by part. */
type Parts<K extends Key> = { readonly [I in keyof K]: K[I] extends string ? 'string' : 'number' };

/** Where a page ended, opaque to callers: the sort key of its last row. */
export function encodeCursor(key: Key): string {
  return Buffer.from(JSON.stringify(key)).toString('base64url');
}

/** @throws ValidationError for anything that {@link encodeCursor} did not make of such parts */
export function decodeCursor<K extends Key>(cursor: string, parts: Parts<K>): K {
  const key = parsed(cursor);
  if (!Array.isArray(key) || key.length !== parts.length || !key.every((part, at) => isPart(part, parts[at])))
    throw notOurs();
  return key as unknown as K;
}

/** The cursor is none that the orchestrator gave. */
export function notOurs(): ValidationError {
  return new ValidationError('invalid cursor: use next_cursor of the page before', { details: { field: 'cursor' } });
}

function parsed(cursor: string): unknown {
  try {
    return JSON.parse(Buffer.from(cursor, 'base64url').toString('utf8'));
  } catch {
    // Not base64 of JSON.
    return undefined;
  }
}

function isPart(part: unknown, type: 'string' | 'number' | undefined): boolean {
  if (type === 'number') return Number.isInteger(part) && Math.abs(Number(part)) <= GREATEST_NUMBER;
  return typeof part === 'string' && !part.includes('\0') && part.isWellFormed();
}
