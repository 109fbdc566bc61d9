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
