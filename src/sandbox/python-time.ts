import { PythonFloat } from './python-values.ts';

/** Milliseconds since 1970, with a fraction. */
export type Clock = () => number;

export const systemClock: Clock = () => performance.timeOrigin + performance.now();

/** `time.time()`. */
export function epochSeconds(clock: Clock): PythonFloat {
  return new PythonFloat(clock() / 1000);
}

/** SQLite's own "now": UTC, whole seconds. */
export function sqliteNow(epochMs: number): string {
  return new Date(epochMs).toISOString().slice(0, 19).replace('T', ' ');
}

const MINUTE_MS = 60_000;

/**
 * `datetime.now().isoformat()`: naive local time with microseconds, which it leaves out when they are zero.
 * `timeZone` is an IANA name; without it the process's own zone.
 * @throws RangeError for a zone that does not exist
 */
export function createNaiveLocalTime(timeZone?: string): (epochMs: number) => string {
  const format = new Intl.DateTimeFormat('en-US', { timeZone, timeZoneName: 'longOffset' });
  let minute = Number.NaN;
  let offsetMs = 0;
  return (epochMs) => {
    // Asking Intl takes longer than a whole request, and no zone changes within a minute.
    const current = Math.floor(epochMs / MINUTE_MS);
    if (current !== minute) {
      minute = current;
      offsetMs = offsetOf(format, epochMs);
    }
    const local = new Date(Math.floor(epochMs) + offsetMs).toISOString().slice(0, 19);
    const microseconds = Math.floor(epochMs * 1000) % 1_000_000;
    return microseconds === 0 ? local : `${local}.${String(microseconds).padStart(6, '0')}`;
  };
}

function offsetOf(format: Intl.DateTimeFormat, epochMs: number): number {
  const name = format.formatToParts(epochMs).find((part) => part.type === 'timeZoneName')?.value ?? '';
  const match = /GMT([+-])(\d+):(\d+)/.exec(name);
  if (match === null) return 0;
  const [, sign, hours, minutes] = match;
  const size = (Number(hours) * 60 + Number(minutes)) * MINUTE_MS;
  return sign === '-' ? -size : size;
}
