import { ValidationError } from '../../domain/errors.ts';
import { LIMITS } from './limits.ts';

// PostgreSQL writes numbers without an exponent, so the eight bytes of 1e100000 become 100,000 digits whenever a content is read.
// It matches only at the start of a value, because every sixth UUID contains a digit, an e and three digits.
const FAR_EXPONENT = /[[:,\s]-?\d+(?:\.\d+)?[eE][+-]?\d{3}/;
const STRING_OR_FAR_EXPONENT = /"(?:[^"\\]+|\\.)*"|\d[eE][+-]?(\d{3,})/g;

/** A quick check of a whole message. False means that no number in it grows. */
export function mayGrow(text: string): boolean {
  return FAR_EXPONENT.test(text);
}

/** Refuses JSON text whose exponents would exceed the size limit of a content. @throws ValidationError with the field */
export function refuseGrowth(text: string, field: string): void {
  if (!mayGrow(text)) return;
  let added = 0;
  for (const [, exponent] of text.matchAll(STRING_OR_FAR_EXPONENT)) added += Number(exponent ?? 0);
  if (added > LIMITS.contentBytes)
    throw new ValidationError(
      `${field} must not contain numbers whose exponents stand for more than ${LIMITS.contentBytes} digits`,
      { details: { field, limit: LIMITS.contentBytes } },
    );
}
