import { Cron } from 'croner';

/** The value of a schedule that starts nothing. */
export const NO_SCHEDULE = 'off';

/** The times that a cron pattern names in a zone. */
export interface RunSchedule {
  /** The newest time not after `nowMs`. Undefined if the pattern names none before. */
  lastAt(nowMs: number): number | undefined;
}

/** @throws Error if the pattern or the zone is not valid */
export function createRunSchedule(pattern: string, zone: string): RunSchedule {
  const cron = new Cron(pattern, { timezone: zone, paused: true });
  return {
    // croner looks for times before its reference, and the reference itself may be due.
    lastAt: (nowMs) => cron.previousRuns(1, new Date(nowMs + 1))[0]?.getTime(),
  };
}

/** Enough for a week of daily runs, and one more. */
const LOOKED_AT = 8;

/** The longest time between a schedule's next runs, milliseconds. Infinity if it names one or none. */
export function longestGapMs(pattern: string, zone: string, from: Date): number {
  if (pattern === NO_SCHEDULE) return Infinity;
  const runs = new Cron(pattern, { timezone: zone, paused: true }).nextRuns(LOOKED_AT, from);
  const gaps = runs.slice(1).map((run, index) => run.getTime() - (runs[index]?.getTime() ?? 0));
  return gaps.length === 0 ? Infinity : Math.max(...gaps);
}
