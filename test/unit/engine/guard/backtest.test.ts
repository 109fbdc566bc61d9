import { expect, test } from 'vitest';
import { serviceName } from '../../../../src/domain/ids.ts';
import { backtest } from '../../../../src/engine/guard/backtest.ts';
import { noCounts, recordAdded, type GuardCounts } from '../../../../src/engine/guard/guard-counts.ts';
import { GUARD_LIMITS } from '../../../../src/engine/guard/triggers.ts';
import type { MinuteRow } from '../../../../src/engine/guard/guard-ports.ts';

const SERVICE = serviceName('session-memory');
const START_MS = 1_000 * 60_000;

const rowAt = (minute: number, counts: Partial<GuardCounts>, service = SERVICE): MinuteRow => ({
  service,
  action: 'get_context',
  minuteMs: START_MS + minute * 60_000,
  counts: { ...noCounts(), ...counts },
});

const minuteOf = (tripMs: number): number => (tripMs - START_MS) / 60_000;

const CALM = Array.from({ length: 30 }, (_, minute) => rowAt(minute, { comparable: 60 }));

test('normal minutes trip nothing', () => {
  expect(backtest(CALM, GUARD_LIMITS)).toEqual([]);
});

test('a bad minute trips at its end, under the proposed limits', () => {
  const rows = [...CALM, rowAt(30, { comparable: 60, mismatches: 6 })];
  const trips = backtest(rows.toReversed(), GUARD_LIMITS);
  expect(trips.map(({ atMs }) => minuteOf(atMs))).toEqual([31]);
  expect(trips[0]?.finding).toMatchObject({ trigger: 'inconsistency', service: SERVICE });
  expect(backtest(rows, { ...GUARD_LIMITS, leastHits: 7 })).toEqual([]);
  expect(backtest(rows, { ...GUARD_LIMITS, mismatchRate: 0.05 })).toEqual([]);
});

test('every trip is found, and services are judged separately', () => {
  const other = serviceName('jarvis-memory');
  const bad = { comparable: 10, mismatches: 5 };
  const rows = [...CALM, rowAt(5, bad, other), rowAt(20, bad, other), rowAt(25, bad)];
  const trips = backtest(rows, GUARD_LIMITS);
  expect(trips.map(({ atMs, finding }) => [minuteOf(atMs), finding.service])).toEqual([
    [6, other],
    [21, other],
    [26, SERVICE],
  ]);
});

test('three slow minutes trip at the end of the third', () => {
  const slow = noCounts();
  for (let index = 0; index < 40; index += 1) recordAdded(slow, 200);
  const rows = [1, 2, 3].map((minute) => rowAt(minute, { added: slow.added }));
  expect(backtest(rows, GUARD_LIMITS).map(({ atMs }) => minuteOf(atMs))).toEqual([4]);
  expect(backtest(rows, { ...GUARD_LIMITS, addedMs: 250 })).toEqual([]);
});
