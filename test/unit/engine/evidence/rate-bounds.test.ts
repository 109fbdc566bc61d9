import fc from '../../../support/properties.ts';
import { describe, expect, test } from 'vitest';
import {
  exactInterval,
  exactLowerBound,
  exactUpperBound,
  isProvenBelow,
  triesToProve,
  wilsonLowerBound,
} from '../../../../src/engine/evidence/rate-bounds.ts';

describe('the exact bound', () => {
  test('without hits is the root of the confidence: 1 - 0.05^(1/n)', () => {
    for (const tries of [1, 10, 300, 2_995, 3_000, 100_000]) {
      expect(exactUpperBound({ hits: 0, tries })).toBeCloseTo(1 - 0.05 ** (1 / tries), 12);
    }
  });

  test('3,000 comparisons without mismatch prove less than 0.1 %, 2,994 do not', () => {
    expect(exactUpperBound({ hits: 0, tries: 3_000 })).toBeLessThan(0.001);
    expect(exactUpperBound({ hits: 0, tries: 2_994 })).toBeGreaterThan(0.001);
    expect(exactUpperBound({ hits: 0, tries: 2_995 })).toBeLessThan(0.001);
  });

  // R: binom.test(x, n)$conf.int, and qbeta(0.95, x + 1, n - x).
  test.each([
    { hits: 1, tries: 10, lower: 0.002_528_579, upper: 0.445_016_1 },
    { hits: 5, tries: 10, lower: 0.187_086, upper: 0.812_914 },
    { hits: 0, tries: 20, lower: 0, upper: 0.168_433_5 },
    { hits: 20, tries: 20, lower: 0.831_566_5, upper: 1 },
  ])('two-sided, $hits of $tries, equals the published one', ({ hits, tries, lower, upper }) => {
    const interval = exactInterval({ hits, tries });
    expect(interval.lower).toBeCloseTo(lower, 6);
    expect(interval.upper).toBeCloseTo(upper, 6);
  });

  test('is 1 without tries', () => {
    expect(exactInterval({ hits: 0, tries: 0 })).toEqual({ lower: 0, upper: 1 });
  });

  test('is where the binomial tail has 5 % left', () => {
    const small = fc
      .integer({ min: 1, max: 60 })
      .chain((tries) =>
        fc.record({ tries: fc.constant(tries), hits: fc.integer({ min: 0, max: tries - 1 }) }),
      );
    fc.assert(
      fc.property(small, (tally) => {
        expect(binomialTail(tally, exactUpperBound(tally))).toBeCloseTo(0.05, 9);
      }),
    );
  });

  test('contains the rate, and narrows with more tries of the same rate', () => {
    const tallies = fc.record({
      hits: fc.integer({ min: 0, max: 500 }),
      more: fc.integer({ min: 1, max: 5_000 }),
    });
    fc.assert(
      fc.property(tallies, ({ hits, more }) => {
        const tally = { hits, tries: hits + more };
        const twice = { hits: 2 * hits, tries: 2 * tally.tries };
        expect(exactLowerBound(tally)).toBeLessThanOrEqual(hits / tally.tries);
        expect(exactUpperBound(tally)).toBeGreaterThan(hits / tally.tries);
        expect(exactUpperBound(twice)).toBeLessThan(exactUpperBound(tally));
      }),
    );
  });
});

/** P(X ≤ hits), summed term by term. */
function binomialTail({ hits, tries }: { hits: number; tries: number }, rate: number): number {
  let term = (1 - rate) ** tries;
  let sum = term;
  for (let k = 1; k <= hits; k += 1) {
    term *= ((tries - k + 1) / k) * (rate / (1 - rate));
    sum += term;
  }
  return sum;
}

describe('the number of tries that is needed', () => {
  // From the exact bound: one, two and five mismatches.
  test.each([
    [0, 2_995],
    [1, 4_742],
    [2, 6_294],
    [5, 10_511],
  ])('%i mismatches need about %i comparisons', (hits, tries) => {
    expect(Math.abs(triesToProve(hits, 0.001) - tries)).toBeLessThanOrEqual(2);
  });

  test('is exactly the first that proves it', () => {
    fc.assert(
      fc.property(fc.integer({ min: 0, max: 50 }), fc.constantFrom(0.001, 0.01, 0.2), (hits, rate) => {
        const tries = triesToProve(hits, rate);
        expect(isProvenBelow({ hits, tries }, rate)).toBe(true);
        expect(isProvenBelow({ hits, tries: tries - 1 }, rate)).toBe(false);
        expect(exactUpperBound({ hits, tries })).toBeLessThan(rate);
      }),
    );
  });
});

describe("Wilson's lower bound", () => {
  // Published: 10 of 100 at z = 1.96 is 5.52 %; 1 of 10 is 1.79 %.
  test.each([
    [10, 100, 1.96, 0.055_229],
    [1, 10, 1.96, 0.017_876],
    [0, 1_000, 3.9, 0],
  ])('of %i in %i at z = %d', (hits, tries, z, expected) => {
    expect(wilsonLowerBound({ hits, tries }, z)).toBeCloseTo(expected, 5);
  });

  test('five mismatches are above 0.1 % up to about a thousand comparisons', () => {
    expect(wilsonLowerBound({ hits: 5, tries: 1_030 }, 3.9)).toBeGreaterThan(0.001);
    expect(wilsonLowerBound({ hits: 5, tries: 1_040 }, 3.9)).toBeLessThan(0.001);
  });

  test('has the rate z standard deviations above it', () => {
    const tallies = fc.record({ hits: fc.integer({ min: 1, max: 500 }), more: fc.nat(100_000) });
    fc.assert(
      fc.property(tallies, fc.constantFrom(1.96, 3.9), ({ hits, more }, z) => {
        const tries = hits + more;
        const bound = wilsonLowerBound({ hits, tries }, z);
        const deviations = (hits / tries - bound) / Math.sqrt((bound * (1 - bound)) / tries);
        expect(deviations).toBeCloseTo(z, 6);
      }),
    );
  });

  test('is never outside 0 and the rate', () => {
    fc.assert(
      fc.property(fc.nat(1_000), fc.nat(100_000), (hits, more) => {
        const tally = { hits, tries: hits + more };
        const bound = wilsonLowerBound(tally, 3.9);
        expect(bound).toBeGreaterThanOrEqual(0);
        if (tally.tries > 0) expect(bound).toBeLessThanOrEqual(hits / tally.tries);
      }),
    );
  });
});
