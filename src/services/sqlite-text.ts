import { spellExponent } from './python-spelling.ts';

const INTEGER = /^-?\d+$/;
const INT64_MAX = 2n ** 63n - 1n;
const DIGITS = 15;

/**
 * The content of a TEXT column of SQLite after Python's driver has bound this JSON value; null for NULL (NaN becomes NULL too).
 * Undefined for values that the driver refuses: lists, objects, integers beyond 64 bits.
 */
export function boundText(raw: string): string | null | undefined {
  const first = raw[0];
  if (first === '"') return JSON.parse(raw) as string;
  if (first === '[' || first === '{') return undefined;
  if (INTEGER.test(raw)) return integerText(BigInt(raw));
  return WORDS.has(raw) ? WORDS.get(raw) : realText(Number(raw));
}

// Python's True is the integer 1.
const WORDS: ReadonlyMap<string, string | null> = new Map([
  ['null', null],
  ['NaN', null],
  ['true', '1'],
  ['false', '0'],
]);

function integerText(value: bigint): string | undefined {
  return value > INT64_MAX || value < -INT64_MAX - 1n ? undefined : value.toString();
}

/** SQLite's `%!.15g` (up to 3.4x; newer versions write 17 digits): an exponent below 1e-4 and from 1e15, and always a point. */
function realText(value: number): string {
  if (value === 0) return '0.0';
  if (!Number.isFinite(value)) return value > 0 ? 'Inf' : '-Inf';
  const [digits = '', power = '0'] = value.toExponential(DIGITS - 1).split('e');
  const exponent = Number(power);
  if (exponent >= -4 && exponent < DIGITS) {
    return withPoint(value.toFixed(DIGITS - 1 - exponent));
  }
  return withPoint(digits) + spellExponent(exponent);
}

/** Removes zeros at the end, except one after the point. */
function withPoint(digits: string): string {
  const short = digits.includes('.') ? digits.replace(/\.?0+$/, '') : digits;
  return short.includes('.') ? short : `${short}.0`;
}
