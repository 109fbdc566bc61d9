import { expect, test } from 'vitest';
import { serviceReport } from '../../../../src/operator/report/service-report.ts';
import { countsWith, fineService, QUIET_DAY, reported, SPAN } from './facts.ts';

const HOUR_MS = 3_600_000;
const NOON_AND_A_MINUTE_MS = SPAN.fromMs + 12 * HOUR_MS + 60_000;

function hoursAt(nowMs: number) {
  const hours = [{ action: 'get_context', hour: 3, counts: countsWith({ operations: 7 }) }];
  const facts = fineService({ day: { ...QUIET_DAY, hours } });
  return serviceReport(facts, reported({ nowMs, isWhole: nowMs >= SPAN.toMs })).traffic.hours;
}

test('an hour that has not begun has no numbers, one without traffic has zeros', () => {
  const hours = hoursAt(NOON_AND_A_MINUTE_MS);
  expect(hours).toHaveLength(24);
  expect(hours[3]).toMatchObject({ hour: '03:00', operations: 7, mismatches: 0 });
  expect(hours[12]).toMatchObject({ hour: '12:00', operations: 0, comparable: 0, mismatches: 0 });
  expect(hours[13]).toMatchObject({ hour: '13:00', operations: null, comparable: null, mismatches: null });
});

test('a finished day has all its numbers', () => {
  expect(hoursAt(SPAN.toMs).every(({ operations }) => operations !== null)).toBe(true);
});
