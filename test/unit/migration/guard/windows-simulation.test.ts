import { describe, expect, test } from 'vitest';
import { serviceName } from '../../../../src/domain/ids.ts';
import { isTrip } from '../../../../src/migration/guard/finding.ts';
import { ServiceGuard } from '../../../../src/migration/guard/guard.ts';
import { noCounts } from '../../../../src/migration/guard/guard-counts.ts';
import { GUARD_LIMITS } from '../../../../src/migration/guard/guard-limits.ts';

const SERVICE = serviceName('session-memory');
const DAY_SECONDS = 86_400;

/** Mulberry32: a small generator with a seed, so that a failure can be looked at again. */
function seeded(seed: number): () => number {
  let state = seed >>> 0;
  return () => {
    state = (state + 0x6d_2b_79_f5) >>> 0;
    let word = Math.imul(state ^ (state >>> 15), state | 1);
    word ^= word + Math.imul(word ^ (word >>> 7), word | 61);
    return ((word ^ (word >>> 14)) >>> 0) / 2 ** 32;
  };
}

/** How many of `tries` hit, drawn at a low rate without drawing for each: the gaps between hits are geometric. */
function createHits(rate: number, random: () => number): (tries: number) => number {
  const gap = (): number => (rate === 0 ? Infinity : Math.floor(Math.log(1 - random()) / Math.log1p(-rate)));
  let left = gap();
  return (tries) => {
    let hits = 0;
    let rest = tries;
    while (left < rest) {
      rest -= left + 1;
      hits += 1;
      left = gap();
    }
    left -= rest;
    return hits;
  };
}

interface Stream {
  readonly seed: number;
  readonly perSecond: number;
  readonly rate: number;
  readonly seconds: number;
  /** Ends at the first trip. */
  readonly once?: true;
}

/** Seconds at which the guard trips, looked at every second; after each trip it begins anew, as after a release. */
function tripsOf({ seed, perSecond, rate, seconds, once }: Stream, limits = GUARD_LIMITS): number[] {
  const hitsAmong = createHits(rate, seeded(seed));
  const guard = new ServiceGuard(SERVICE, limits);
  const counts = noCounts();
  const trips: number[] = [];
  let owed = 0;
  for (let second = 0; second < seconds; second += 1) {
    owed += perSecond;
    counts.comparable = Math.floor(owed);
    counts.mismatches = hitsAmong(counts.comparable);
    owed -= counts.comparable;
    if (counts.comparable > 0) guard.add('get_context', second * 1_000, counts);
    if (!guard.findings(second * 1_000).some(isTrip)) continue;
    trips.push(second);
    if (once === true) return trips;
    guard.reset();
  }
  return trips;
}

/** Five million seconds of a stream take a busy machine a minute. */
describe('the windows of the guard, by simulation', { timeout: 180_000 }, () => {
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
