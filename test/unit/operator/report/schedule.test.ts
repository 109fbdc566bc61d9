import { expect, test } from 'vitest';
import { createSchedule } from '../../../../src/operator/report/schedule.ts';

const at = (iso: string): number => Date.parse(iso);

test('a report is due at its time, about the day before', () => {
  const schedule = createSchedule('0 6 * * *', 'Europe/Berlin');
  expect(schedule.dueAt(at('2026-11-20T04:59:59Z')).dates.at(-1)).toBe('2026-11-18');
  const due = schedule.dueAt(at('2026-11-20T05:00:00Z'));
  expect(due.dates.at(-1)).toBe('2026-11-19');
  expect(due.nextMs).toBe(at('2026-11-21T05:00:00Z'));
});

test('a missed report is due for a week, the oldest first', () => {
  const { dates } = createSchedule('0 6 * * *', 'UTC').dueAt(at('2026-11-20T12:00:00Z'));
  expect(dates).toEqual([
    '2026-11-13',
    '2026-11-14',
    '2026-11-15',
    '2026-11-16',
    '2026-11-17',
    '2026-11-18',
    '2026-11-19',
  ]);
});

test('a time that clocks skip or repeat gives one report per day', () => {
  const schedule = createSchedule('30 2 * * *', 'Europe/Berlin');
  expect(schedule.dueAt(at('2026-03-31T12:00:00Z')).dates).toContain('2026-03-28');
  expect(new Set(schedule.dueAt(at('2026-10-27T12:00:00Z')).dates).size).toBe(7);
  expect(schedule.dueAt(at('2026-10-25T00:45:00Z')).dates.at(-1)).toBe('2026-10-24');
});

test('a due time in a skipped last hour still gives that day its report', () => {
  const schedule = createSchedule('30 23 * * *', 'America/Nuuk');
  // From 22:00 to 23:00 of the 28th, which is midnight an hour later.
  expect(schedule.dueAt(at('2026-03-29T00:59:00Z')).dates.at(-1)).toBe('2026-03-26');
  expect(schedule.dueAt(at('2026-03-29T01:00:00Z')).dates.at(-1)).toBe('2026-03-27');
  expect(new Set(schedule.dueAt(at('2026-04-01T12:00:00Z')).dates).size).toBe(6);
});

test('days that a pattern leaves out have no report', () => {
  const { dates, nextMs } = createSchedule('0 6 * * 1', 'UTC').dueAt(at('2026-11-20T12:00:00Z'));
  expect(dates).toEqual(['2026-11-15']);
  expect(nextMs).toBe(at('2026-11-23T06:00:00Z'));
});

test('an invalid pattern differs from one that names no time', () => {
  expect(() => createSchedule('every morning', 'UTC')).toThrow(/CronPattern/);
  expect(createSchedule('0 0 30 2 *', 'UTC').dueAt(at('2026-11-20T12:00:00Z'))).toEqual({
    dates: [],
    nextMs: null,
  });
});
