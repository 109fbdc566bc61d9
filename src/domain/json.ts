/**
 * JSON as text. Agents' content is never serialised again, because NaN, big integers, 1000.0 and key order survive only as text.
 * An envelope is parsed once for reading, and members that travel on are cut out of the text.
 */

const QUOTE = 0x22;
const BACKSLASH = 0x5c;
const COMMA = 0x2c;
const COLON = 0x3a;
const OPEN_ARRAY = 0x5b;
const CLOSE_ARRAY = 0x5d;
const OPEN_OBJECT = 0x7b;
const CLOSE_OBJECT = 0x7d;

const QUOTES = 2;
/** Bytes of a character that is written as \\u0000. */
const ESCAPED_BYTES = 6;
/** Bytes of a code unit that is half of a four-byte character. */
const UTF8_BYTES = 3;
/** Bytes of a number, a time, true, false or null. */
const SCALAR_BYTES = 32;

const SPELLED_KEYS = 1_000;
const SPELLED_KEY_LENGTH = 64;

/** A parsed JSON object, with the values of JSON.parse. */
export type JsonObject = Readonly<Record<string, unknown>>;

/** Raw JSON text that {@link encodeJson} embeds unchanged. */
export class Json {
  readonly text: string;

  constructor(text: string) {
    this.text = text;
  }
}

export function isJsonObject(value: unknown): value is JsonObject {
  return typeof value === 'object' && value !== null && !Array.isArray(value) && !(value instanceof Json);
}

/** Like JSON.stringify, but embeds {@link Json} unchanged and leaves out undefined members. */
export function encodeJson(value: unknown): string {
  if (value instanceof Json) return value.text;
  if (Array.isArray(value)) return encodeList(value);
  if (typeof value !== 'object' || value === null || value instanceof Date)
    return JSON.stringify(value) ?? 'null';
  return encodeMembers(value as JsonObject);
}

// Every message and every stored content passes here. With temporary lists of members it would take twice as long.
function encodeMembers(object: JsonObject): string {
  let text = '';
  for (const key of Object.keys(object)) {
    const member = object[key];
    if (member !== undefined) text += `${text === '' ? '' : ','}${spelledKey(key)}:${encodeJson(member)}`;
  }
  return `{${text}}`;
}

/** Keys in their JSON spelling. Nearly all messages use the same few keys, and serialising them took a third of the time. */
const spelledKeys = new Map<string, string>();

function spelledKey(key: string): string {
  const known = spelledKeys.get(key);
  if (known !== undefined) return known;
  const spelled = JSON.stringify(key);
  // Agents choose keys too, so only a limited number is kept.
  if (spelledKeys.size < SPELLED_KEYS && key.length <= SPELLED_KEY_LENGTH) spelledKeys.set(key, spelled);
  return spelled;
}

function encodeList(items: readonly unknown[]): string {
  let text = '';
  for (const item of items) text += `${text === '' ? '' : ','}${encodeJson(item ?? null)}`;
  return `[${text}]`;
}

/** An upper bound for the UTF-8 bytes of {@link encodeJson}'s result, for a quick size check. */
export function mostBytesOf(value: unknown): number {
  if (typeof value === 'string') return QUOTES + ESCAPED_BYTES * value.length;
  if (value instanceof Json) return UTF8_BYTES * value.text.length;
  if (typeof value !== 'object' || value === null || value instanceof Date) return SCALAR_BYTES;
  let bytes = QUOTES;
  if (Array.isArray(value)) for (const item of value) bytes += mostBytesOf(item) + 1;
  else
    for (const key of Object.keys(value))
      bytes += mostBytesOf(key) + mostBytesOf((value as JsonObject)[key]) + 2;
  return bytes;
}

/** Parses JSON like Python's json module: NaN, Infinity and -Infinity are also values (read here as null). @throws SyntaxError */
export function parseTolerantly(text: string): unknown {
  try {
    return JSON.parse(text);
  } catch (error) {
    const replaced = withoutNonFinite(text);
    if (replaced === text) throw error;
    return JSON.parse(replaced);
  }
}

/** The same text with every bare NaN, Infinity and -Infinity replaced by null. */
export function withoutNonFinite(text: string): string {
  let result = '';
  let at = 0;
  while (at < text.length) {
    const quote = text.indexOf('"', at);
    const outside = quote === -1 ? text.slice(at) : text.slice(at, quote);
    result += outside.replaceAll(/-?Infinity|NaN/g, 'null');
    if (quote === -1) break;
    const end = endOfString(text, quote);
    result += text.slice(quote, end);
    at = end;
  }
  return result;
}

/**
 * The members of an object's text as raw text. The last of a repeated key wins. The text must have been parsed before.
 * @param names only these members. @defaultValue all
 */
export function rawMembers(text: string, names?: ReadonlySet<string>): Record<string, string> {
  const members: Record<string, string> = Object.create(null) as Record<string, string>;
  let at = skipSpace(text, text.indexOf('{') + 1);
  while (text.charCodeAt(at) === QUOTE) {
    const keyEnd = endOfString(text, at);
    const key = textOfKey(text.slice(at, keyEnd));
    const colon = skipSpace(text, keyEnd);
    if (text.charCodeAt(colon) !== COLON) break;
    const start = skipSpace(text, colon + 1);
    const end = endOfValue(text, start);
    if (names === undefined || names.has(key)) members[key] = text.slice(start, end);
    at = afterComma(text, end);
  }
  return members;
}

function textOfKey(quoted: string): string {
  return quoted.includes('\\') ? (JSON.parse(quoted) as string) : quoted.slice(1, -1);
}

/** The elements of an array's text as raw text. The text must have been parsed before. */
export function rawElements(text: string): string[] {
  const elements: string[] = [];
  let at = skipSpace(text, text.indexOf('[') + 1);
  while (at < text.length && text.charCodeAt(at) !== CLOSE_ARRAY) {
    const end = endOfValue(text, at);
    elements.push(text.slice(at, end));
    at = afterComma(text, end);
  }
  return elements;
}

/** Whether arrays and objects are nested deeper than `limit`. Iterative, because the text may be hostile. */
export function isDeeperThan(text: string, limit: number): boolean {
  // Every level needs an opening and a closing character.
  if (text.length <= 2 * limit) return false;
  let depth = 0;
  for (let at = 0; at < text.length; at += 1) {
    const code = text.charCodeAt(at);
    if (code === QUOTE) at = endOfString(text, at) - 1;
    else if (code === OPEN_OBJECT || code === OPEN_ARRAY) {
      depth += 1;
      if (depth > limit) return true;
    } else if (code === CLOSE_OBJECT || code === CLOSE_ARRAY) depth -= 1;
  }
  return false;
}

/**
 * Whether the text holds more than `limit` values. It counts commas and opening brackets, so nested lists count twice. Parsing a
 * million small values takes a second, counting them a few milliseconds.
 */
export function hasMoreValuesThan(text: string, limit: number): boolean {
  // A value needs at least two characters: itself and its separator.
  if (text.length <= 2 * limit) return false;
  let values = 0;
  for (let at = 0; at < text.length; at += 1) {
    const code = text.charCodeAt(at);
    if (code === QUOTE) at = endOfString(text, at) - 1;
    else if (code === COMMA || code === OPEN_OBJECT || code === OPEN_ARRAY) {
      values += 1;
      if (values > limit) return true;
    }
  }
  return false;
}

const SURROGATE_ESCAPE = /\\(?:u([0-9a-fA-F]{4})|[^u])/g;

/** Whether a string of this JSON text holds a lone surrogate, written as an escape (well-formed UTF-8 has no other). */
export function hasLoneSurrogate(text: string): boolean {
  if (!text.includes('\\ud') && !text.includes('\\uD')) return false;
  let endOfHigh = -1;
  for (const match of text.matchAll(SURROGATE_ESCAPE)) {
    const unit = match[1] === undefined ? 0 : Number.parseInt(match[1], 16);
    const isLow = unit >= 0xdc00 && unit <= 0xdfff;
    // A low surrogate is directly after a high one, and a high one directly before a low one.
    if (isLow ? endOfHigh !== match.index : endOfHigh !== -1) return true;
    endOfHigh = unit >= 0xd800 && unit <= 0xdbff ? match.index + match[0].length : -1;
  }
  return endOfHigh !== -1;
}

function skipSpace(text: string, from: number): number {
  let at = from;
  while (at < text.length && text.charCodeAt(at) <= 0x20) at += 1;
  return at;
}

function afterComma(text: string, from: number): number {
  const at = skipSpace(text, from);
  return text.charCodeAt(at) === COMMA ? skipSpace(text, at + 1) : at;
}

function endOfString(text: string, openingQuote: number): number {
  let at = openingQuote + 1;
  for (;;) {
    const quote = text.indexOf('"', at);
    if (quote === -1) return text.length;
    let backslashes = 0;
    while (text.charCodeAt(quote - 1 - backslashes) === BACKSLASH) backslashes += 1;
    if (backslashes % 2 === 0) return quote + 1;
    at = quote + 1;
  }
}

/** How each character changes the nesting. */
const NESTING: Readonly<Record<number, number>> = {
  [OPEN_OBJECT]: 1,
  [OPEN_ARRAY]: 1,
  [CLOSE_OBJECT]: -1,
  [CLOSE_ARRAY]: -1,
};

function endOfScalar(text: string, start: number): number {
  let at = start;
  while (at < text.length) {
    const code = text.charCodeAt(at);
    if (code <= 0x20 || code === COMMA || code === CLOSE_OBJECT || code === CLOSE_ARRAY) break;
    at += 1;
  }
  return at;
}

function endOfValue(text: string, start: number): number {
  const first = text.charCodeAt(start);
  if (first === QUOTE) return endOfString(text, start);
  if (first !== OPEN_OBJECT && first !== OPEN_ARRAY) return endOfScalar(text, start);
  let depth = 0;
  for (let at = start; at < text.length; at += 1) {
    const code = text.charCodeAt(at);
    if (code === QUOTE) at = endOfString(text, at) - 1;
    else depth += NESTING[code] ?? 0;
    if (depth === 0) return at + 1;
  }
  return text.length;
}

const NUMBER = /^(-?)(\d+)(?:\.(\d+))?(?:[eE]([+-]?\d+))?$/;

/**
 * One text per JSON value, whatever its spelling: sorted keys, no spaces, numbers by value. 1000.0, 1e3 and 1000 are one number.
 * Integers of any size keep every digit. NaN and Infinity stay.
 */
export function canonicalJson(text: string): string {
  const trimmed = text.trim();
  const first = trimmed[0];
  if (first === '{') {
    const members = Object.entries(rawMembers(trimmed)).sort(([a], [b]) => (a < b ? -1 : 1));
    return `{${members.map(([key, raw]) => `${JSON.stringify(key)}:${canonicalJson(raw)}`).join(',')}}`;
  }
  if (first === '[')
    return `[${rawElements(trimmed)
      .map((raw) => canonicalJson(raw))
      .join(',')}]`;
  if (first === '"') return canonicalString(trimmed);
  return canonicalNumber(trimmed);
}

/** Most strings have only one spelling: no escape, and no lone surrogate that would need one. */
function canonicalString(token: string): string {
  return token.includes('\\') || !token.isWellFormed() ? JSON.stringify(parseTolerantly(token)) : token;
}

function canonicalNumber(token: string): string {
  const match = NUMBER.exec(token);
  if (match === null) return token;
  const [, sign = '', whole = '', fraction = '', exponent = '0'] = match;
  const digits = `${whole}${fraction}`.replace(/^0+/, '');
  const significant = digits.replace(/0+$/, '');
  if (significant === '') return '0';
  const power = Number(exponent) - fraction.length + (digits.length - significant.length);
  return power === 0 ? `${sign}${significant}` : `${sign}${significant}e${power}`;
}
