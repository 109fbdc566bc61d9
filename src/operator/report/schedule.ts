import { Cron } from 'croner';
import { dateAfter, dateOf, spanOf } from './calendar-day.ts';

/** Reports that were missed for longer are not made, because the states in them would be of a much later time. */
const OWED_DAYS = 7;

export interface Due {
  /** Days whose report should exist now, oldest first. */
  readonly dates: readonly string[];
  /** When the next one is due. Null if the pattern names no time. */
  readonly nextMs: number | null;
}

/**
 * When reports are due, by a cron pattern in a zone. Each covers the day before, and is due at the first time of a day that the
 * pattern names.
 */
export interface ReportSchedule {
  dueAt(nowMs: number): Due;
}

/** @throws Error if the pattern is not valid */
export function createSchedule(pattern: string, zone: string): ReportSchedule {
  const cron = new Cron(pattern, { timezone: zone, paused: true });
  // Days without clock changes, because the calendar is in UTC.
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
        // If a clock change skips the due time, the report is due at the end of the day.
        const firstMs = Math.min(nextAfter(fromMs - 1) ?? Infinity, toMs);
        return firstMs <= nowMs && isNamed(day);
      });
      return { dates: dates.map((day) => dateAfter(day, -1)), nextMs: nextAfter(nowMs) };
    },
  };
}
