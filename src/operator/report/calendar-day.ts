import type { DaySpan } from '../../engine/report/report-ports.ts';

const DATE = /^(\d{4})-(\d\d)-(\d\d)$/;
const DAY_MS = 86_400_000;
/** No zone is further from UTC than this. */
const FARTHEST_MS = 15 * 3_600_000;

/** Whether a text is a calendar date, `YYYY-MM-DD`, that exists. */
export function isDate(text: string): boolean {
  const [, year, month, day] = DATE.exec(text) ?? [];
  if (year === undefined) return false;
  const at = new Date(Date.UTC(Number(year), Number(month) - 1, Number(day)));
  return at.toISOString().startsWith(text);
}

/** Making a formatter takes a hundred times as long as using it, and the start of a day needs forty dates. */
const formats = new Map<string, Intl.DateTimeFormat>();

/** The date of an instant in a zone. */
export function dateOf(atMs: number, zone: string): string {
  let format = formats.get(zone);
  if (format === undefined) {
    // This locale spells dates as YYYY-MM-DD.
    format = new Intl.DateTimeFormat('sv-SE', { timeZone: zone, dateStyle: 'short' });
    formats.set(zone, format);
  }
  return format.format(atMs);
}

/** The date this many days later, or earlier if negative. */
export function dateAfter(date: string, days: number): string {
  return new Date(Date.parse(`${date}T00:00:00Z`) + days * DAY_MS).toISOString().slice(0, 10);
}

/** From the first instant of a date in a zone to that of the next date. These are 23, 24 or 25 hours, also if midnight is skipped. */
export function spanOf(date: string, zone: string): DaySpan {
  return { fromMs: startOf(date, zone), toMs: startOf(dateAfter(date, 1), zone) };
}

/** Clocks go forward and back, but dates only forward. So bisection finds the first instant of a date. */
function startOf(date: string, zone: string): number {
  const utcMs = Date.parse(`${date}T00:00:00Z`);
  let [before, at] = [utcMs - FARTHEST_MS, utcMs + FARTHEST_MS];
  while (at - before > 1) {
    const middle = Math.floor((before + at) / 2);
    if (dateOf(middle, zone) < date) before = middle;
    else at = middle;
  }
  return at;
}

/** Local time of an instant, `14:00`. */
export function timeOf(atMs: number, zone: string): string {
  return new Intl.DateTimeFormat('en-GB', { timeZone: zone, hour: '2-digit', minute: '2-digit' }).format(
    atMs,
  );
}

/** Local date and time of an instant, for people: `20 Nov 2026, 06:00`. */
export function momentOf(iso: string, zone: string): string {
  const shape = { timeZone: zone, day: 'numeric', month: 'short', year: 'numeric' } as const;
  const date = new Intl.DateTimeFormat('en-GB', shape).format(Date.parse(iso));
  return `${date}, ${timeOf(Date.parse(iso), zone)}`;
}

/** `Friday, 20 November 2026`. */
export function longDate(date: string): string {
  const shape = { timeZone: 'UTC', weekday: 'long', day: 'numeric', month: 'long', year: 'numeric' } as const;
  return new Intl.DateTimeFormat('en-GB', shape)
    .format(Date.parse(`${date}T00:00:00Z`))
    .replace(/^(\w+) /, '$1, ');
}
