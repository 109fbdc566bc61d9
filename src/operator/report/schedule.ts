import { Cron } from 'croner';
import { dateAfter, dateOf, spanOf } from './calendar-day.ts';

/** Reports missed for longer are not made any more: what is no sum over the day would be of another time altogether. */
const OWED_DAYS = 7;

export interface Due {
  /** Days whose report should be there by now, oldest first. */
  readonly dates: readonly string[];
  /** When the next one falls due; null where the pattern names no time. */
  readonly nextMs: number | null;
}

/** When reports fall due, by a cron pattern in a zone: each about the day before, at the first time of a day that the pattern names. */
export interface ReportSchedule {
  dueAt(nowMs: number): Due;
}

/** @throws Error where the pattern is none */
export function createSchedule(pattern: string, zone: string): ReportSchedule {
  const cron = new Cron(pattern, { timezone: zone, paused: true });
  // Days as the calendar has them, none with a clock that changes.
  const calendar = new Cron(pattern, { timezone: 'UTC', paused: true });
  const isNamed = (day: string): boolean => {
    const { fromMs, toMs } = spanOf(day, 'UTC');
    return (calendar.nextRun(new Date(fromMs - 1))?.getTime() ?? Infinity) < toMs;
  };
  const nextAfter = (atMs: number): number | null => cron.nextRun(new Date(atMs))?.getTime() ?? null;
  return {
    dueAt(nowMs) {
      const today = dateOf(nowMs, zone);
      const days = Array.from({ length: OWED_DAYS }, (_, index) => dateAfter(today, index + 1 - OWED_DAYS));
      const dates = days.filter((day) => {
        const { fromMs, toMs } = spanOf(day, zone);
        // Where clocks leave out the end of a day, its report falls due with the day after.
        const firstMs = Math.min(nextAfter(fromMs - 1) ?? Infinity, toMs);
        return firstMs <= nowMs && isNamed(day);
      });
      return { dates: dates.map((day) => dateAfter(day, -1)), nextMs: nextAfter(nowMs) };
    },
  };
}
