import { plainOf } from './reply-values.ts';

const ISO = /^(\d{4})-(\d\d)-(\d\d)[T ](\d\d):(\d\d):(\d\d(?:\.\d+)?)(Z|[+-]\d\d:?\d\d)?$/;

interface Instant {
  readonly seconds: number;
  readonly isNaive: boolean;
}

function parseInstant(text: string): Instant | undefined {
  const match = ISO.exec(text);
  if (match === null) return undefined;
  const [, year, month, day, hour, minute, second, zone] = match;
  const date = Date.UTC(Number(year), Number(month) - 1, Number(day), Number(hour), Number(minute));
  return { seconds: date / 1_000 + Number(second) - zoneSeconds(zone), isNaive: zone === undefined };
}

function zoneSeconds(zone: string | undefined): number {
  if (zone === undefined || zone === 'Z') return 0;
  const size = Number(zone.slice(1, 3)) * 3_600 + Number(zone.slice(-2)) * 60;
  return zone.startsWith('-') ? -size : size;
}

/** Characters up to the minute, including its colon. */
const MINUTE_LENGTH = 17;
const COLON = 0x3a;

/** Seconds from `b` to `a` if the two texts are equal except for their seconds, which is common for close times. */
function secondsWithinMinute(a: string, b: string): number | undefined {
  if (a.charCodeAt(MINUTE_LENGTH - 1) !== COLON || !b.startsWith(a.slice(0, MINUTE_LENGTH))) return undefined;
  const endOfA = endOfNumber(a);
  const endOfB = endOfNumber(b);
  if (a.slice(endOfA) !== b.slice(endOfB)) return undefined;
  return Number(a.slice(MINUTE_LENGTH, endOfA)) - Number(b.slice(MINUTE_LENGTH, endOfB));
}

function endOfNumber(text: string): number {
  let at = MINUTE_LENGTH;
  for (;;) {
    const code = text.charCodeAt(at);
    const isDigitOrPoint = (code >= 0x30 && code <= 0x39) || code === 0x2e;
    if (!isDigitOrPoint) return at;
    at += 1;
  }
}

/**
 * Seconds from the second time to the first. The times are epoch seconds, or ISO texts that both name a zone or both do not.
 * Undefined for anything else.
 */
export function secondsBetween(first: unknown, second: unknown): number | undefined {
  const [a, b] = [plainOf(first), plainOf(second)];
  if (typeof a === 'number' && typeof b === 'number') return a - b;
  if (typeof a !== 'string' || typeof b !== 'string') return undefined;
  return secondsWithinMinute(a, b) ?? secondsOfTexts(a, b);
}

function secondsOfTexts(a: string, b: string): number | undefined {
  const first = parseInstant(a);
  const second = parseInstant(b);
  if (first === undefined || second === undefined || first.isNaive !== second.isNaive) return undefined;
  return first.seconds - second.seconds;
}

/** A time as seconds since 1970. Read as UTC if it names no zone. */
export function secondsOfInstant(time: unknown): Instant | undefined {
  const value = plainOf(time);
  if (typeof value === 'number') return { seconds: value, isNaive: false };
  return typeof value === 'string' ? parseInstant(value) : undefined;
}
