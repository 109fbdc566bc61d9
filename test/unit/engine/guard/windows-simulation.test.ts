import { describe, expect, test } from 'vitest';
import { GUARD_LIMITS } from '../../../../src/engine/guard/guard-limits.ts';
import { tripsOf } from '../../../support/guard-stream.ts';

const DAY_SECONDS = 86_400;

/** Five million seconds of a stream take a busy machine a minute, and several where coverage is measured. */
describe('the windows of the guard, by simulation', { timeout: 600_000 }, () => {
  test('60 days at 1 comparison a second, half the limit: at most 5 trips', () => {
    const trips = tripsOf({ seed: 1, perSecond: 1, rate: 0.000_5, seconds: 60 * DAY_SECONDS });
    expect(trips.length).toBeLessThanOrEqual(5);
  });

  test('a bolder guard would cry wolf within ten of these days: the simulation tells them apart', () => {
    const bold = { ...GUARD_LIMITS, z: 1.96, leastHits: 3 };
    const stream = { seed: 1, perSecond: 1, rate: 0.000_5, seconds: 10 * DAY_SECONDS };
    expect(tripsOf(stream, bold).length).toBeGreaterThan(5);
  });

  test('60 clean days: none', () => {
    expect(tripsOf({ seed: 1, perSecond: 1, rate: 0, seconds: 60 * DAY_SECONDS })).toEqual([]);
  });

  test('a difference of 1 % at 50 comparisons a second trips within 60 s', () => {
    for (let seed = 1; seed <= 200; seed += 1) {
      const [first] = tripsOf({ seed, perSecond: 50, rate: 0.01, seconds: 600, once: true });
      expect(first, `seed ${seed}`).toBeLessThanOrEqual(60);
    }
  });

  test('50 % at 0.3 comparisons a second trips within 2 minutes', () => {
    for (let seed = 1; seed <= 200; seed += 1) {
      const [first] = tripsOf({ seed, perSecond: 0.3, rate: 0.5, seconds: 600, once: true });
      expect(first, `seed ${seed}`).toBeLessThanOrEqual(120);
    }
  });

  test('0.2 % at 1 comparison a second, twice the limit, trips within a day', () => {
    for (let seed = 1; seed <= 5; seed += 1) {
      const [first] = tripsOf({ seed, perSecond: 1, rate: 0.002, seconds: DAY_SECONDS, once: true });
      expect(first, `seed ${seed}`).toBeLessThan(DAY_SECONDS);
    }
  });
});
