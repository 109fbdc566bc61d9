import { isTree, valueAt, type Tree } from './config-problems.ts';
import { messageOf } from './domain/errors.ts';
import { createSchedule } from './operator/report/schedule.ts';
import { NO_SCHEDULE } from './operator/run-schedule.ts';

const SCHEDULES: readonly (readonly [path: string, example: string])[] = [
  ['reports.schedule', '0 6 * * *'],
  ['reconciliation.changed', '30 2 * * *'],
  ['reconciliation.full', '30 3 * * *'],
];

/** Zones that nobody knows, and patterns that name no time. */
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

function scheduleProblems(pattern: unknown, said: string): string[] {
  // What is no text is told by the schema.
  if (typeof pattern !== 'string' || pattern === NO_SCHEDULE) return [];
  try {
    const { nextMs } = createSchedule(pattern, 'UTC').dueAt(Date.now());
    return nextMs === null ? [`${said}: "${pattern}" names no time`] : [];
  } catch (error) {
    return [`${said}, got "${pattern}": ${messageOf(error)}`];
  }
}

function isTimeZone(zone: unknown): boolean {
  try {
    return typeof zone === 'string' && Boolean(Intl.DateTimeFormat('en', { timeZone: zone }));
  } catch {
    return false;
  }
}
