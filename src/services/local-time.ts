import type { LegacyItem } from '../domain/service-definition.ts';
import { spellFloat } from './python-spelling.ts';

/** Naive local times, as `datetime.now().isoformat()` writes them, and their zone. */
interface Zone {
  readonly format: Intl.DateTimeFormat;
  /** The offset is valid for a quarter of an hour, because no zone changes within one. */
  quarter: number;
  offsetMs: number;
}

const QUARTER_MS = 15 * 60_000;
const DAY_MS = 86_400_000;
const OFFSET = /GMT([+-])(\d+):(\d+)/;

const zones = new Map<string, Zone>();

/** @throws RangeError for a zone that does not exist */
function zoneOf(timeZone: string): Zone {
  const known = zones.get(timeZone);
  if (known !== undefined) return known;
  const format = new Intl.DateTimeFormat('en-US', { timeZone, timeZoneName: 'longOffset' });
  const zone = { format, quarter: Number.NaN, offsetMs: 0 };
  zones.set(timeZone, zone);
  return zone;
}

function offsetAt(timeZone: string, ms: number): number {
  const zone = zoneOf(timeZone);
  const quarter = Math.floor(ms / QUARTER_MS);
  if (quarter !== zone.quarter) {
    const name = zone.format.formatToParts(ms).find((part) => part.type === 'timeZoneName')?.value ?? '';
    const [, sign, hours = '0', minutes = '0'] = OFFSET.exec(name) ?? [];
    const size = (Number(hours) * 60 + Number(minutes)) * 60_000;
    zone.quarter = quarter;
    zone.offsetMs = sign === '-' ? -size : size;
  }
  return zone.offsetMs;
}

/** A time (ISO-8601 with a zone) as naive local time with microseconds, which Python leaves out when they are zero. */
export function localTimeOf(instant: string, timeZone: string): string {
  const ms = Date.parse(instant);
  const local = new Date(ms + offsetAt(timeZone, ms)).toISOString();
  return ms % 1_000 === 0 ? local.slice(0, 19) : `${local.slice(0, 23)}000`;
}

/** Whether a text is a naive local time. */
export function isLocalTime(text: string): boolean {
  return !Number.isNaN(Date.parse(`${text}Z`));
}

/**
 * The time of a naive local text, ISO-8601 UTC with milliseconds. When clocks go back, an hour has two meanings: the first one
 * that is not before `notBeforeMs` is used. A text that is not a time gives `notBeforeMs` itself.
 */
export function instantOf(local: string, timeZone: string, notBeforeMs = 0): string {
  const wallMs = Date.parse(`${local}Z`);
  if (Number.isNaN(wallMs)) return new Date(notBeforeMs).toISOString();
  const offsets = [offsetAt(timeZone, wallMs - DAY_MS), offsetAt(timeZone, wallMs + DAY_MS)];
  const meanings = offsets
    .map((offsetMs) => ({ ms: wallMs - offsetMs, offsetMs }))
    .filter(({ ms, offsetMs }) => offsetAt(timeZone, ms) === offsetMs)
    .map(({ ms }) => ms)
    .sort((a, b) => a - b);
  // No clock shows an hour that was skipped, so any offset will do: the one before is used.
  const fallback = meanings.at(-1) ?? wallMs - (offsets[0] ?? 0);
  return new Date(meanings.find((ms) => ms >= notBeforeMs) ?? fallback).toISOString();
}

const NUMBER = /^-?\d+(?:\.\d+)?(?:[eE][+-]?\d+)?$/;

/** A time as `time.time()` would give it: seconds since 1970 with a fraction. */
function epochSecondsOf(instant: string): string {
  return spellFloat(Date.parse(instant) / 1_000);
}

/** When an item was written, from the raw text of its epoch time. If that is not a time: 1970, marked as unknown. */
export function epochTimeOf(
  seconds: string | undefined,
): Pick<LegacyItem, 'timestamp' | 'at' | 'isTimeUnknown'> {
  const date = new Date(Math.round(Number(seconds) * 1_000));
  if (!Number.isNaN(date.getTime())) return { timestamp: seconds ?? '0', at: date.toISOString() };
  return { timestamp: seconds ?? '0', at: new Date(0).toISOString(), isTimeUnknown: true };
}

/** An item's time in the service's own spelling if a copy kept it, else the time of its write. */
export function epochTimestampOf(item: {
  readonly legacyTimestamp: string | undefined;
  readonly createdAt: string;
}): string {
  const { legacyTimestamp } = item;
  return legacyTimestamp !== undefined && NUMBER.test(legacyTimestamp)
    ? legacyTimestamp
    : epochSecondsOf(item.createdAt);
}
