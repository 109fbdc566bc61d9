import { digestOf } from './digest.ts';

/** Integers with fewer digits are safe. */
const UNSAFE_DIGITS = 16;
const INTEGER = /^-?\d+$/;
const STRING = String.raw`"[^"\\]*(?:\\.[^"\\]*)*"`;
// Matches a possible float without a fraction: `1.0`, `1e+16`. Cheap. It also matches inside strings, which the second check
// excludes.
const MAYBE_WHOLE_FLOAT = /(?:\.0+|\d[eE][+-]?\d+)(?=[\s,\]}]|$)/;
const STRING_OR_NUMBER = new RegExp(`${STRING}|-?\\d[\\d.eE+-]*`, 'g');
const STRING_OR_WORD = /"[^"\\]*(?:\\.[^"\\]*)*"|-?Infinity|NaN/g;

// Values that stand for numbers too large for a double. JSON itself has no such tokens.
const NAN_SOURCE = '1e0009990';
const SPELLED: Readonly<Record<string, string>> = {
  NaN: NAN_SOURCE,
  Infinity: '1e999',
  '-Infinity': '-1e999',
};

/**
 * A float without a fraction. Python reads 1.0, 1e+16 and -0.0 as another type than 1, 10000000000000000 and 0, and agents do
 * too. JavaScript's numbers do not distinguish them.
 */
class WholeFloat {
  readonly value: number;

  constructor(value: number) {
    this.value = value;
  }

  valueOf(): number {
    return this.value;
  }

  toString(): string {
    return String(this.value);
  }

  toJSON(): number {
    return this.value;
  }
}

/** The value as a JavaScript number, in which a float without a fraction is an ordinary number. */
export function plainOf(value: unknown): unknown {
  return value instanceof WholeFloat ? value.value : value;
}

/**
 * Parses JSON text without loss. Integers too long for a number become bigints, and floats without a fraction become {@link
 * WholeFloat}s.
 * @throws SyntaxError
 */
export function parseReply(text: string): unknown {
  return isSpelledUnlikeNumbers(text) ? parseExactly(text) : parseLoosely(text);
}

/**
 * Parses JSON text as JavaScript's own values, with Python's NaN and Infinity. Numbers may lose digits and their type. @throws
 * SyntaxError
 */
export function parseLoosely(text: string): unknown {
  try {
    return JSON.parse(text) as unknown;
  } catch (error) {
    if (!text.includes('NaN') && !text.includes('Infinity')) throw error;
    return parseExactly(text);
  }
}

/**
 * Whether a text contains what JavaScript's numbers cannot distinguish. It scans every character, which costs a third of parsing.
 */
export function isSpelledUnlikeNumbers(text: string): boolean {
  return hasUnsafeDigits(text) || hasWholeFloat(text);
}

/** With Python's NaN and Infinity, and every digit. */
function parseExactly(text: string): unknown {
  const spelled = text.replaceAll(STRING_OR_WORD, (token) => SPELLED[token] ?? token);
  return JSON.parse(spelled, exactly as Reviver) as unknown;
}

/** A run of this many digits covers one of the positions that are checked. */
function hasUnsafeDigits(text: string): boolean {
  for (let at = UNSAFE_DIGITS - 1; at < text.length; at += UNSAFE_DIGITS) {
    if (!isDigit(text, at)) continue;
    let first = at;
    while (isDigit(text, first - 1) && at - first < UNSAFE_DIGITS) first -= 1;
    let end = at + 1;
    while (isDigit(text, end) && end - first < UNSAFE_DIGITS) end += 1;
    if (end - first >= UNSAFE_DIGITS) return true;
  }
  return false;
}

function hasWholeFloat(text: string): boolean {
  if (!MAYBE_WHOLE_FLOAT.test(text)) return false;
  for (const [token] of text.matchAll(STRING_OR_NUMBER)) {
    if (!token.startsWith('"') && !INTEGER.test(token) && Number.isInteger(Number(token))) return true;
  }
  return false;
}

function isDigit(text: string, at: number): boolean {
  const code = text.charCodeAt(at);
  return code >= 0x30 && code <= 0x39;
}

type Reviver = (key: string, value: unknown) => unknown;

function exactly(_key: string, value: unknown, context: { readonly source?: string }): unknown {
  if (typeof value !== 'number') return value;
  const { source = '' } = context;
  if (source === NAN_SOURCE) return Number.NaN;
  if (INTEGER.test(source)) return Number.isSafeInteger(value) ? value : BigInt(source);
  return Number.isInteger(value) ? new WholeFloat(value) : value;
}

/** A number in a reply. */
type Numeric = number | bigint | WholeFloat;

export function isNumeric(value: unknown): value is Numeric {
  return typeof value === 'number' || typeof value === 'bigint' || value instanceof WholeFloat;
}

/** Whether Python reads this number as a float. */
export function isFloat(value: Numeric): boolean {
  return typeof value === 'number' ? !Number.isInteger(value) : value instanceof WholeFloat;
}

/**
 * Whether two values that are neither objects nor lists are equal for a Python reader. NaN equals itself, -0.0 is not 0.0, 1.0 is
 * not 1.
 */
export function isSameScalar(a: unknown, b: unknown): boolean {
  if (a instanceof WholeFloat) return b instanceof WholeFloat && Object.is(a.value, b.value);
  return a === b || Object.is(a, b);
}

/** Whether two numbers have the same value, whatever their type: 1000.0 equals 1000. */
export function isEqualNumber(a: Numeric, b: Numeric): boolean {
  const [mine, theirs] = [a.valueOf(), b.valueOf()];
  if (typeof mine === typeof theirs) return mine === theirs || Object.is(mine, theirs);
  const [whole, float] = typeof mine === 'bigint' ? [mine, theirs] : [theirs, mine];
  return typeof float === 'number' && Number.isInteger(float) && BigInt(float) === whole;
}

/** An object or a list. */
export function isComposite(value: unknown): value is Readonly<Record<string, unknown>> {
  return typeof value === 'object' && value !== null && !(value instanceof WholeFloat);
}

/** Member names that look like schema names are printed. Any other name may be a person's words. */
const NAME = /^[A-Za-z_][\w-]{0,39}$/;

/** What may be shown of a value: its kind, its size, and for text a digest. Undefined means absent. */
export function shapeOf(value: unknown): string {
  if (value === undefined) return 'absent';
  if (value === null) return 'null';
  if (Array.isArray(value)) return `list(${value.length})`;
  if (typeof value === 'string') return `string(${value.length})#${digestOf(value)}`;
  if (isNumeric(value)) return 'number';
  return typeof value === 'object' ? `object(${Object.keys(value).length})` : 'boolean';
}

/** A shape without sizes and digests, which differences of one cause share. */
export function kindOfShape(shape: string): string {
  return shape.replace(/[(#].*$/, '');
}

/** A member's name as a path shows it. */
export function nameOf(key: string): string {
  return NAME.test(key) ? key : `key(${key.length})#${digestOf(key)}`;
}
