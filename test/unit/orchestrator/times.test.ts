import { expect, test } from 'vitest';
import { parseTime, refuseTtlBeyondYears } from '../../../src/orchestrator/wire/times.ts';

test.each([
  ['2026-01-02T03:04:05Z', '2026-01-02T03:04:05.000Z'],
  ['2026-01-02T03:04:05.678901+00:00', '2026-01-02T03:04:05.678Z'],
  ['2026-01-02T03:04:05.678901', '2026-01-02T03:04:05.678Z'],
  ['2026-01-02 03:04:05+02:00', '2026-01-02T01:04:05.000Z'],
  ['2026-01-02T03:04:05+0200', '2026-01-02T01:04:05.000Z'],
  ['2026-01-02', '2026-01-02T00:00:00.000Z'],
  ['2024-02-29T23:59:59.999-12:00', '2024-03-01T11:59:59.999Z'],
  ['0001-01-01', '0001-01-01T00:00:00.000Z'],
  ['9999-12-31T23:59:59.999Z', '9999-12-31T23:59:59.999Z'],
])('%s is %s', (text, time) => {
  expect(parseTime(text, 'created_at')).toBe(time);
});

test.each([
  '',
  'yesterday',
  '2026-13-01',
  '2026-02-29',
  '2026-02-30T00:00:00Z',
  '2026-04-31T10:00:00+02:00',
  '12026-01-01',
  '2026-01-02T25:00:00Z',
  '1767323045',
])('"%s" is refused with the name of its field', (text) => {
  expect(() => parseTime(text, 'created_at')).toThrow('created_at must be an ISO-8601 time');
});

test.each(['0000-01-01', '0001-01-01T00:00:00+14:00', '9999-12-31T23:59:59.999-00:01'])(
  '"%s" is outside the years with four digits',
  (text) => {
    expect(() => parseTime(text, 'created_at')).toThrow('created_at must stay within the years 1 to 9999');
  },
);

test('a ttl ends in a year that can be written with four digits', () => {
  const from = '9999-12-31T23:59:00.000Z';
  expect(() => refuseTtlBeyondYears(from, 59)).not.toThrow();
  expect(() => refuseTtlBeyondYears(null, 60)).not.toThrow();
  expect(() => refuseTtlBeyondYears(from, 60)).toThrow('ttl must stay within the years 1 to 9999');
});
