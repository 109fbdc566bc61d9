import { describe, expect, test } from 'vitest';
import { GUARD_LIMITS } from '../../../../src/engine/guard/triggers.ts';
import { tripsOf } from '../../../support/guard-stream.ts';

const DAY_SECONDS = 86_400;

/** Five million seconds of a stream take a busy machine a minute, and several where coverage is measured. */
describe('the windows of the guard, by simulation', { timeout: 600_000 }, () => {
  test('60 days at 1 comparison per second, half the limit: at most 5 trips', () => {
    const trips = tripsOf({ seed: 1, perSecond: 1, rate: 0.000_5, seconds: 60 * DAY_SECONDS });
    expect(trips.length).toBeLessThanOrEqual(5);
  });

  test('a more sensitive guard would trip falsely within ten of these days', () => {
    const bold = { ...GUARD_LIMITS, z: 1.96, leastHits: 3 };
    const stream = { seed: 1, perSecond: 1, rate: 0.000_5, seconds: 10 * DAY_SECONDS };
    expect(tripsOf(stream, bold).length).toBeGreaterThan(5);
  });

  test('60 days without mismatches: no trip', () => {
    expect(tripsOf({ seed: 1, perSecond: 1, rate: 0, seconds: 60 * DAY_SECONDS })).toEqual([]);
  });

  test('a 1 % difference at 50 comparisons per second trips within 60 s', () => {
    for (let seed = 1; seed <= 200; seed += 1) {
      const [first] = tripsOf({ seed, perSecond: 50, rate: 0.01, seconds: 600, once: true });
      expect(first, `seed ${seed}`).toBeLessThanOrEqual(60);
    }
  });

  test('50 % at 0.3 comparisons per second trips within 2 minutes', () => {
    for (let seed = 1; seed <= 200; seed += 1) {
      const [first] = tripsOf({ seed, perSecond: 0.3, rate: 0.5, seconds: 600, once: true });
      expect(first, `seed ${seed}`).toBeLessThanOrEqual(120);
    }
  });

  test('0.2 % at 1 comparison per second, twice the limit, trips within a day', () => {
    for (let seed = 1; seed <= 5; seed += 1) {
      const [first] = tripsOf({ seed, perSecond: 1, rate: 0.002, seconds: DAY_SECONDS, once: true });
      expect(first, `seed ${seed}`).toBeLessThan(DAY_SECONDS);
    }
  });
});
