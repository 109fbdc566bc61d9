import { describe, expect, test } from 'vitest';
import { addEvidence, confidenceOf, NO_EVIDENCE } from '../../../../src/migration/evidence/confidence.ts';

const TRAFFIC = { comparablePerDay: 1_000, notErrorsPerDay: 100 };

describe('confidence in an action', () => {
  test('3,000 clean comparisons prove it, and nothing is missing', () => {
    const proven = confidenceOf({ comparable: 3_000, errors: 2_700, mismatches: 0 }, TRAFFIC);
    expect(proven).toMatchObject({ isProven: true, missing: 0, days: 0, rate: 0, notErrors: 300 });
    expect(proven.upperBound).toBeLessThan(0.001);
    expect(proven.interval.upper).toBeGreaterThan(proven.upperBound);
  });

  test.each([
    ['2,999 do not', { comparable: 2_999, errors: 0, mismatches: 0 }, 1, 0.001],
    ['299 that are no errors do not', { comparable: 5_000, errors: 4_701, mismatches: 0 }, 1, 0.01],
    ['a mismatch needs 4,742', { comparable: 4_000, errors: 0, mismatches: 1 }, 742, 0.742],
    ['nothing at all', NO_EVIDENCE, 3_000, 3],
  ])('%s', (_name, evidence, missing, days) => {
    const confidence = confidenceOf(evidence, TRAFFIC);
    expect(confidence.isProven).toBe(false);
    expect(Math.abs(confidence.missing - missing)).toBeLessThanOrEqual(1);
    expect(confidence.days).toBeCloseTo(days, 2);
  });

  test('without traffic nobody can say how long it takes', () => {
    const none = { comparablePerDay: 0, notErrorsPerDay: 0 };
    expect(confidenceOf(NO_EVIDENCE, none).days).toBeNull();
    expect(confidenceOf(NO_EVIDENCE, none).rate).toBeNull();
  });

  test('evidence adds up', () => {
    const one = { comparable: 3, errors: 2, mismatches: 1 };
    expect(addEvidence(one, one)).toEqual({ comparable: 6, errors: 4, mismatches: 2 });
  });
});
