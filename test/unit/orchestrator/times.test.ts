import { expect, test } from 'vitest';
import { parseTime } from '../../../src/orchestrator/times.ts';

test.each([
  ['2026-01-02T03:04:05Z', '2026-01-02T03:04:05.000Z'],
  ['2026-01-02T03:04:05.678901+00:00', '2026-01-02T03:04:05.678Z'],
  ['2026-01-02T03:04:05.678901', '2026-01-02T03:04:05.678Z'],
  ['2026-01-02 03:04:05+02:00', '2026-01-02T01:04:05.000Z'],
  ['2026-01-02T03:04:05+0200', '2026-01-02T01:04:05.000Z'],
  ['2026-01-02', '2026-01-02T00:00:00.000Z'],
])('%s is %s', (text, time) => {
  expect(parseTime(text, 'created_at')).toBe(time);
});

test.each(['', 'yesterday', '2026-13-01', '0000-01-01', '12026-01-01', '2026-01-02T25:00:00Z', '1767323045'])(
  '"%s" is refused by the name of its field',
  (text) => {
    expect(() => parseTime(text, 'created_at')).toThrow('created_at must be an ISO-8601 time');
  },
);
