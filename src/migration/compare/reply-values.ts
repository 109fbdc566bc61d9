/** Integers of fewer digits are safe. */
const UNSAFE_DIGITS = 16;
const INTEGER = /^-?\d+$/;
const STRING_OR_WORD = /"[^"\\]*(?:\\.[^"\\]*)*"|-?Infinity|NaN/g;

// Numbers that nobody spells like this, too large for a double. JSON has none for these tokens.
const NAN_SOURCE = '1e0009990';
const SPELLED: Readonly<Record<string, string>> = {
  NaN: NAN_SOURCE,
  Infinity: '1e999',
  '-Infinity': '-1e999',
};

/** JSON text as values that lose nothing: integers too long for a number become bigints. @throws SyntaxError */
export function parseReply(text: string): unknown {
  if (hasUnsafeDigits(text)) return parseExactly(text);
  try {
    return JSON.parse(text) as unknown;
  } catch (error) {
    if (!text.includes('NaN') && !text.includes('Infinity')) throw error;
    return parseExactly(text);
  }
}

/** With Python's NaN and Infinity, and every digit. */
function parseExactly(text: string): unknown {
  const spelled = text.replaceAll(STRING_OR_WORD, (token) => SPELLED[token] ?? token);
  return JSON.parse(spelled, exactly as Reviver) as unknown;
}

/** A run of so many digits covers one of the places that are looked at. */
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

function isDigit(text: string, at: number): boolean {
  const code = text.charCodeAt(at);
  return code >= 0x30 && code <= 0x39;
}

type Reviver = (key: string, value: unknown) => unknown;

function exactly(_key: string, value: unknown, context: { readonly source?: string }): unknown {
  if (typeof value !== 'number') return value;
  const { source } = context;
  if (source === NAN_SOURCE) return Number.NaN;
  return source !== undefined && !Number.isSafeInteger(value) && INTEGER.test(source)
    ? BigInt(source)
    : value;
}

export function isNumeric(value: unknown): value is number | bigint {
  return typeof value === 'number' || typeof value === 'bigint';
}

/** Whether two numbers are the same by value: 1000.0 and 1000 are, NaN is itself. */
export function isSameNumber(a: number | bigint, b: number | bigint): boolean {
  if (typeof a === typeof b) return a === b || Object.is(a, b);
  const [whole, float] = typeof a === 'bigint' ? [a, b] : [b, a];
  return typeof float === 'number' && Number.isInteger(float) && BigInt(float) === whole;
}
