import { ValidationError } from '../../domain/errors.ts';
import { hasLoneSurrogate, Json, withoutNonFinite } from '../../domain/json.ts';
import { LIMITS } from './limits.ts';

/*
 * PostgreSQL cannot store NUL or half of a surrogate pair, and JSON has no NaN or Infinity. Inside a string, the reversible escape is
 * U+E000 followed by four hexadecimal digits, also for U+E000 itself. For a number, it is a string such as "U+E000:NaN". Escaped rows are
 * marked, so a text that only looks like an escape is never changed.
 */
const MARK = '\ue000';
const PAIR = String.raw`\\u[dD][89abAB][0-9a-fA-F]{2}\\u[dD][c-fC-F][0-9a-fA-F]{2}`;
const IN_STRING = new RegExp(String.raw`${PAIR}|\\u([0-9a-fA-F]{4})|\\[^u]|${MARK}`, 'g');
const NON_FINITE = /-?Infinity|NaN/g;
const ESCAPED_NUMBER = new RegExp(`"${MARK}:(-?Infinity|NaN)"`, 'g');
const ESCAPED_UNIT = new RegExp(`${MARK}([0-9a-f]{4})`, 'g');
const NUL_OR_SURROGATE = /\\u(?:0000|[dD][89a-fA-F])/;
const ESCAPES = /\\(?:u([0-9a-fA-F]{4})|[^u])/g;

/** A quick check of a whole message. False means that no part of it needs {@link isStorable}. */
export function maybeUnstorable(text: string, parsedStrictly: boolean): boolean {
  return !parsedStrictly || NUL_OR_SURROGATE.test(text) || mayGrow(text);
}

/** Whether this JSON text can be stored unchanged. */
export function isStorable(text: string): boolean {
  return !hasNul(text) && !hasLoneSurrogate(text) && withoutNonFinite(text) === text;
}

export interface StoredJson {
  readonly json: Json;
  readonly escaped: boolean;
}

/** Received JSON text, and whether its message may contain values that cannot be stored. */
interface ReceivedJson {
  readonly text: string;
  readonly suspicious: boolean;
}

/** Prepares JSON text for a jsonb column. @throws ValidationError for numbers that grow, or, without the escape, with reason `unstorable_text` */
export function storableJson({ text, suspicious }: ReceivedJson, field: string, escape: boolean): StoredJson {
  if (suspicious) refuseGrowth(text, field);
  if (!suspicious || isStorable(text)) return { json: new Json(text), escaped: false };
  if (!escape) throw unstorable(field);
  return { json: new Json(escapeJson(text)), escaped: true };
}

/** A request with JSON members, and whether they may be escaped. */
interface WithMembers {
  readonly raw: Readonly<Record<string, string>>;
  readonly suspicious: boolean;
  readonly payload: { readonly escape_unstorable?: boolean };
}

/** Prepares one member of a payload for a jsonb column. Undefined if it is omitted or null. */
export function storableMember(request: WithMembers, field: string): StoredJson | undefined {
  const { raw, suspicious, payload } = request;
  const text = raw[field];
  if (text === undefined || text === 'null') return undefined;
  return storableJson({ text, suspicious }, field, payload.escape_unstorable === true);
}

export function unstorable(field: string): ValidationError {
  const message = `${field} contains NUL, half of a surrogate pair, NaN or Infinity, which cannot be stored`;
  return new ValidationError(message, { reason: 'unstorable_text', details: { field } });
}

/** Restores the value of a jsonb column to the form that the caller sent. */
export function restoredJson(text: string, escaped: boolean): Json {
  if (!escaped) return new Json(text);
  return new Json(text.replaceAll(ESCAPED_NUMBER, '$1').replaceAll(ESCAPED_UNIT, String.raw`\u$1`));
}

/** Restores a text column of an escaped content to the form that the caller sent. */
export function restoredText(text: string, escaped: boolean): string {
  if (!escaped) return text;
  return text.replaceAll(ESCAPED_UNIT, (_whole, unit: string) =>
    String.fromCharCode(Number.parseInt(unit, 16)),
  );
}

function escapeJson(text: string): string {
  let result = '';
  let at = 0;
  while (at < text.length) {
    const quote = text.indexOf('"', at);
    const outside = quote === -1 ? text.slice(at) : text.slice(at, quote);
    result += outside.replaceAll(NON_FINITE, (token) => `"${MARK}:${token}"`);
    if (quote === -1) break;
    const end = endOfString(text, quote);
    result += text.slice(quote, end).replaceAll(IN_STRING, escapeUnit);
    at = end;
  }
  return result;
}

function escapeUnit(token: string, digits: string | undefined): string {
  if (token === MARK) return `${MARK}e000`;
  if (digits === undefined) return token;
  const unit = Number.parseInt(digits, 16);
  const isUnstorable = unit === 0 || (unit >= 0xd800 && unit <= 0xdfff) || unit === 0xe000;
  return isUnstorable ? MARK + digits.toLowerCase() : token;
}

function endOfString(text: string, openingQuote: number): number {
  for (let at = openingQuote + 1; at < text.length; at += 1) {
    if (text[at] === '\\') at += 1;
    else if (text[at] === '"') return at + 1;
  }
  return text.length;
}

function hasNul(text: string): boolean {
  if (!text.includes(String.raw`\u0000`)) return false;
  for (const [, digits] of text.matchAll(ESCAPES)) if (digits === '0000') return true;
  return false;
}

// PostgreSQL writes numbers without an exponent, so the eight bytes of 1e100000 become 100,000 digits whenever a content is read.
// It matches only at the start of a value, because every sixth UUID contains a digit, an e and three digits.
const FAR_EXPONENT = /[[:,\s]-?\d+(?:\.\d+)?[eE][+-]?\d{3}/;
const STRING_OR_FAR_EXPONENT = /"(?:[^"\\]+|\\.)*"|\d[eE][+-]?(\d{3,})/g;

/** A quick check of a whole message. False means that no number in it grows. */
export function mayGrow(text: string): boolean {
  return FAR_EXPONENT.test(text);
}

/** Refuses JSON text whose exponents would exceed the size limit of a content. @throws ValidationError with the field */
function refuseGrowth(text: string, field: string): void {
  if (!mayGrow(text)) return;
  let added = 0;
  for (const [, exponent] of text.matchAll(STRING_OR_FAR_EXPONENT)) added += Number(exponent ?? 0);
  if (added > LIMITS.contentBytes)
    throw new ValidationError(
      `${field} must not contain numbers whose exponents stand for more than ${LIMITS.contentBytes} digits`,
      { details: { field, limit: LIMITS.contentBytes } },
    );
}
