import { expect, test } from 'vitest';
import { dateAfter, dateOf, isDate, spanOf, timeOf } from '../../../../src/operator/report/calendar-day.ts';

const HOUR_MS = 3_600_000;

test.each([
  ['an ordinary day', '2026-11-20', 'Europe/Berlin', 24, '2026-11-19T23:00:00.000Z'],
  ['the day clocks go forward', '2026-03-29', 'Europe/Berlin', 23, '2026-03-28T23:00:00.000Z'],
  ['the day clocks go back', '2026-10-25', 'Europe/Berlin', 25, '2026-10-24T22:00:00.000Z'],
  ['a day without midnight', '2022-03-27', 'Asia/Beirut', 23, '2022-03-26T22:00:00.000Z'],
  ['half an hour', '2026-04-05', 'Australia/Lord_Howe', 24.5, '2026-04-04T13:00:00.000Z'],
  ['far ahead of UTC', '2026-01-01', 'Pacific/Kiritimati', 24, '2025-12-31T10:00:00.000Z'],
  ['far behind UTC', '2026-01-01', 'Pacific/Niue', 24, '2026-01-01T11:00:00.000Z'],
])('%s begins and ends where its zone says', (_, date, zone, hours, from) => {
  const { fromMs, toMs } = spanOf(date, zone);
  expect(new Date(fromMs).toISOString()).toBe(from);
  expect((toMs - fromMs) / HOUR_MS).toBe(hours);
  expect([fromMs - 1, fromMs, toMs - 1, toMs].map((at) => dateOf(at, zone))).toEqual([
    dateAfter(date, -1),
    date,
    date,
    dateAfter(date, 1),
  ]);
});

test('days of a zone follow each other without a gap', () => {
  for (let day = 0; day < 366; day += 1) {
    const date = dateAfter('2026-01-01', day);
    expect(spanOf(date, 'America/New_York').toMs).toBe(spanOf(dateAfter(date, 1), 'America/New_York').fromMs);
  }
});

test('only dates that exist are dates', () => {
  expect(['2026-02-28', '2028-02-29'].every(isDate)).toBe(true);
  expect(['2026-02-29', '2026-13-01', '2026-1-1', 'today', ''].some(isDate)).toBe(false);
});

test('an hour is shown as clocks show it', () => {
  expect(timeOf(Date.UTC(2026, 6, 1, 22), 'Europe/Berlin')).toBe('00:00');
});
