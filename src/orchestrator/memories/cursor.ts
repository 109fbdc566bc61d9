import { ValidationError } from '../../domain/errors.ts';

// Memories without a position are stored after all others, with one more than the largest safe integer.
const GREATEST_NUMBER = 2 ** 53;

type Key = readonly (string | number)[];
/** The types of the parts of a key. */
type Parts<K extends Key> = { readonly [I in keyof K]: K[I] extends string ? 'string' : 'number' };

/** Where a page ended, opaque to callers: the sort key of its last row. */
export function encodeCursor(key: Key): string {
  return Buffer.from(JSON.stringify(key)).toString('base64url');
}

/** @throws ValidationError for a text that is not from {@link encodeCursor} with these parts */
export function decodeCursor<K extends Key>(cursor: string, parts: Parts<K>): K {
  const key = parsed(cursor);
  if (!isKey(key, parts)) throw notOurs();
  return key;
}

function isKey<K extends Key>(key: unknown, parts: Parts<K>): key is K {
  return (
    Array.isArray(key) && key.length === parts.length && key.every((part, at) => isPart(part, parts[at]))
  );
}

/** The error for a cursor that is not from the orchestrator. */
export function notOurs(): ValidationError {
  return new ValidationError('invalid cursor: use next_cursor of the page before', {
    details: { field: 'cursor' },
  });
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
