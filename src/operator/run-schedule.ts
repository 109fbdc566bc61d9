import { Cron } from 'croner';

/** The schedule that begins nothing by itself. */
export const NO_SCHEDULE = 'off';

/** What a cron pattern names in a zone. */
export interface RunSchedule {
  /** The newest time not after `nowMs`; undefined where the pattern named none before. */
  lastAt(nowMs: number): number | undefined;
}

/** @throws Error where the pattern is none, or the zone is not known */
export function createRunSchedule(pattern: string, zone: string): RunSchedule {
  const cron = new Cron(pattern, { timezone: zone, paused: true });
  return {
    // croner looks for what is before its reference, which may be due itself.
    lastAt: (nowMs) => cron.previousRuns(1, new Date(nowMs + 1))[0]?.getTime(),
  };
}

/** A week of daily runs, and one more. */
const LOOKED_AT = 8;

/** The longest time between a schedule's next runs, milliseconds: Infinity where it names one or none. */
export function longestGapMs(pattern: string, zone: string, from: Date): number {
  if (pattern === NO_SCHEDULE) return Infinity;
  const runs = new Cron(pattern, { timezone: zone, paused: true }).nextRuns(LOOKED_AT, from);
  const gaps = runs.slice(1).map((run, index) => run.getTime() - (runs[index]?.getTime() ?? 0));
  return gaps.length === 0 ? Infinity : Math.max(...gaps);
}
