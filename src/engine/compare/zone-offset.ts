const MS_PER_MINUTE = 60_000;

interface KnownOffset {
  readonly minute: number;
  readonly seconds: number;
}

const known = new Map<string, KnownOffset>();

/** A time as a clock in `timeZone` shows it, in seconds since 1970, as if that were UTC. */
export function naiveSecondsOf(atMs: number, timeZone: string): number {
  const minute = Math.floor(atMs / MS_PER_MINUTE);
  const before = known.get(timeZone);
  if (before?.minute === minute) return atMs / 1_000 + before.seconds;
  const parts = new Intl.DateTimeFormat('en-GB', { timeZone, timeZoneName: 'longOffset' }).formatToParts(
    atMs,
  );
  const name = parts.find(({ type }) => type === 'timeZoneName')?.value ?? 'GMT';
  const seconds = offsetSeconds(name);
  known.set(timeZone, { minute, seconds });
  return atMs / 1_000 + seconds;
}

/** `GMT`, `GMT+05:30`. */
function offsetSeconds(name: string): number {
  const match = /([+-])(\d\d):(\d\d)/.exec(name);
  if (match === null) return 0;
  const [, sign, hours, minutes] = match;
  const size = Number(hours) * 3_600 + Number(minutes) * 60;
  return sign === '-' ? -size : size;
}
