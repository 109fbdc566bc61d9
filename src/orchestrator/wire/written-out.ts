import { ValidationError } from '../../domain/errors.ts';
import { LIMITS } from './limits.ts';

// PostgreSQL spells numbers without an exponent: the eight bytes of 1e100000 become 100,000 digits wherever a content is read.
// Only where a value begins: every sixth UUID has a digit, an e and three digits somewhere.
const FAR_EXPONENT = /[[:,\s]-?\d+(?:\.\d+)?[eE][+-]?\d{3}/;
const STRING_OR_FAR_EXPONENT = /"(?:[^"\\]+|\\.)*"|\d[eE][+-]?(\d{3,})/g;

/** A quick look at a whole message: false means that nothing in it grows. */
export function mayGrow(text: string): boolean {
  return FAR_EXPONENT.test(text);
}

/** What the exponents of a JSON text would add to it stays below what a content may have. @throws ValidationError naming the field */
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
