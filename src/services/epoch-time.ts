import type { LegacyItem } from '../domain/service-definition.ts';
import { spellFloat } from './python-spelling.ts';

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
