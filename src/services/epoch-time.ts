import { spellFloat } from './python-spelling.ts';

const NUMBER = /^-?\d+(?:\.\d+)?(?:[eE][+-]?\d+)?$/;

/** An instant as `time.time()` would have been written: seconds since 1970 with a fraction. */
function epochSecondsOf(instant: string): string {
  return spellFloat(Date.parse(instant) / 1_000);
}

/** The instant of an epoch time's text, ISO-8601 UTC with milliseconds; 1970 for what is none. */
export function instantOfEpoch(seconds: string): string {
  const date = new Date(Math.round(Number(seconds) * 1_000));
  return Number.isNaN(date.getTime()) ? new Date(0).toISOString() : date.toISOString();
}

/** The service's own spelling of an item's time where a copy kept it, else the time of its write. */
export function epochTimestampOf(item: {
  readonly legacyTimestamp: string | undefined;
  readonly createdAt: string;
}): string {
  const { legacyTimestamp } = item;
  return legacyTimestamp !== undefined && NUMBER.test(legacyTimestamp)
    ? legacyTimestamp
    : epochSecondsOf(item.createdAt);
}
