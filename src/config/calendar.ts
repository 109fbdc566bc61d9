import { isTree, valueAt, type Tree } from './problems.ts';
import { messageOf } from '../domain/errors.ts';
import { createSchedule } from '../operator/report/schedule.ts';
import { NO_SCHEDULE } from '../operator/run-schedule.ts';

const SCHEDULES: readonly (readonly [path: string, example: string])[] = [
  ['reports.schedule', '0 6 * * *'],
  ['reconciliation.changed', '30 2 * * *'],
  ['reconciliation.full', '30 3 * * *'],
];

/** The scheduler would also take seconds, years and a single instant. */
const CRON_FIELDS = 5;

/** Unknown time zones, and cron patterns that never match. */
export function calendarProblems(tree: Tree): string[] {
  const services = isTree(tree['services']) ? Object.keys(tree['services']) : [];
  const zones = [
    'reports.timeZone',
    'reconciliation.timeZone',
    ...services.map((name) => `services.${name}.timeZone`),
  ];
  const unknown = zones.filter((path) => !isTimeZone(valueAt(tree, path)));
  const problems = unknown.map(
    (path) => `${path} must be an IANA time zone, got ${JSON.stringify(valueAt(tree, path))}`,
  );
  const schedules = SCHEDULES.flatMap(([path, example]) =>
    scheduleProblems(valueAt(tree, path), `${path} must be a cron pattern such as "${example}", or off`),
  );
  return [...problems, ...schedules];
}

function scheduleProblems(pattern: unknown, must: string): string[] {
  // The schema reports values that are not text.
  if (typeof pattern !== 'string' || pattern === NO_SCHEDULE) return [];
  const fields = pattern.trim().split(/\s+/).length;
  if (fields !== CRON_FIELDS && !pattern.startsWith('@'))
    return [
      `${must}, got "${pattern}", which has ${fields} ${fields === 1 ? 'field' : 'fields'} instead of 5 (minute hour day month weekday)`,
    ];
  try {
    const { nextMs } = createSchedule(pattern, 'UTC').dueAt(Date.now());
    return nextMs === null ? [`${must}, got "${pattern}", which never matches a time`] : [];
  } catch (error) {
    return [`${must}, got "${pattern}": ${messageOf(error)}`];
  }
}

function isTimeZone(zone: unknown): boolean {
  try {
    return typeof zone === 'string' && Boolean(Intl.DateTimeFormat('en', { timeZone: zone }));
  } catch {
    return false;
  }
}
