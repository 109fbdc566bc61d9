import { isTree, valueAt, type Tree } from './config-problems.ts';
import { messageOf } from './domain/errors.ts';
import { createSchedule } from './operator/report/schedule.ts';

/** The schedule that makes no report by itself. */
export const NO_SCHEDULE = 'off';

/** Zones that nobody knows, and patterns that name no time. */
export function calendarProblems(tree: Tree): string[] {
  const services = isTree(tree['services']) ? Object.keys(tree['services']) : [];
  const zones = ['reports.timeZone', ...services.map((name) => `services.${name}.timeZone`)];
  const unknown = zones.filter((path) => !isTimeZone(valueAt(tree, path)));
  const problems = unknown.map(
    (path) => `${path} must be an IANA time zone, got ${JSON.stringify(valueAt(tree, path))}`,
  );
  return [...problems, ...scheduleProblems(valueAt(tree, 'reports.schedule'))];
}

function scheduleProblems(pattern: unknown): string[] {
  // What is no text is told by the schema.
  if (typeof pattern !== 'string' || pattern === NO_SCHEDULE) return [];
  const said = `reports.schedule must be a cron pattern such as "0 6 * * *", or ${NO_SCHEDULE}`;
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
