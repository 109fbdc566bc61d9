import { describe, expect, test } from 'vitest';
import {
  addEvidence,
  confidenceOf,
  LEAST_DAILY_COMPARISONS,
  NO_EVIDENCE,
  type Evidence,
} from '../../../../src/engine/evidence/confidence.ts';

/** The defaults of the settings. */
const LIMITS = { comparable: 3_000, notErrors: 300, mismatchRate: 0.001 };
const TRAFFIC = { comparablePerDay: 1_000, notErrorsPerDay: 100, lanesPerDay: 0 };

describe('confidence in an action', () => {
  test('the settings say how much is needed', () => {
    const evidence = { ...NO_EVIDENCE, comparable: 60 };
    const limits = { comparable: 50, notErrors: 50, mismatchRate: 0.05 };
    expect(confidenceOf(evidence, TRAFFIC, limits)).toMatchObject({ isProven: true, limits });
    expect(confidenceOf(evidence, TRAFFIC, LIMITS).isProven).toBe(false);
  });

  test('3,000 matching comparisons prove it, and nothing is missing', () => {
    const proven = confidenceOf({ ...NO_EVIDENCE, comparable: 3_000, errors: 2_700 }, TRAFFIC, LIMITS);
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
    const confidence = confidenceOf({ ...NO_EVIDENCE, ...evidence }, TRAFFIC, LIMITS);
    expect(confidence.isProven).toBe(false);
    expect(Math.abs(confidence.missing - missing)).toBeLessThanOrEqual(1);
    expect(confidence.days).toBeCloseTo(days, 2);
  });

  test('without traffic there is no estimate of the time', () => {
    const none = { comparablePerDay: 0, notErrorsPerDay: 0, lanesPerDay: 0 };
    expect(confidenceOf(NO_EVIDENCE, none, LIMITS).days).toBeNull();
    expect(confidenceOf(NO_EVIDENCE, none, LIMITS).rate).toBeNull();
  });

  test('a few comparisons in the first minutes give no estimate of years', () => {
    const first = { ...NO_EVIDENCE, comparable: 3 };
    const little = { comparablePerDay: LEAST_DAILY_COMPARISONS - 1, notErrorsPerDay: 3, lanesPerDay: 0 };
    expect(confidenceOf(first, little, LIMITS).days).toBeNull();
    const enough = { ...little, comparablePerDay: 100, notErrorsPerDay: 100 };
    expect(confidenceOf(first, enough, LIMITS).days).toBeCloseTo(29.97, 2);
  });

  test('evidence is added up', () => {
    const one = { comparable: 3, errors: 2, mismatches: 1, laneComparable: 5, laneMismatches: 4 };
    const two = { comparable: 6, errors: 4, mismatches: 2, laneComparable: 10, laneMismatches: 8 };
    expect(addEvidence(one, one)).toEqual(two);
  });
});

describe('the time that is still needed at the present traffic', () => {
  const mostlyLanes = { comparablePerDay: 200, notErrorsPerDay: 100, lanesPerDay: 800 };

  test('is estimated from own answers and whole lanes if both count', () => {
    expect(confidenceOf(NO_EVIDENCE, mostlyLanes, LIMITS).days).toBeCloseTo(3, 2);
    expect(confidenceOf({ ...NO_EVIDENCE, laneComparable: 1_000 }, mostlyLanes, LIMITS).days).toBeCloseTo(
      2,
      2,
    );
  });

  test('is estimated from own answers alone after one of them was wrong', () => {
    const wrong = { ...NO_EVIDENCE, comparable: 742, mismatches: 1, laneComparable: 10_000 };
    const { missing, days, wholeLanes } = confidenceOf(wrong, mostlyLanes, LIMITS);
    expect(wholeLanes).toBe(0);
    expect(days).toBeCloseTo(missing / 200, 2);
    expect(confidenceOf(wrong, { ...mostlyLanes, comparablePerDay: 50 }, LIMITS).days).toBeNull();
  });
});

describe('whole lanes', () => {
  const lanes = (laneComparable: number, more: Partial<Evidence> = {}): Evidence => ({
    ...NO_EVIDENCE,
    laneComparable,
    ...more,
  });

  test('prove an action without wrong answers, however few it has', () => {
    expect(confidenceOf(lanes(3_000), TRAFFIC, LIMITS)).toMatchObject({ isProven: true, wholeLanes: 3_000 });
    const both = confidenceOf(lanes(2_000, { comparable: 1_000, errors: 900 }), TRAFFIC, LIMITS);
    expect(both).toMatchObject({ isProven: true, comparable: 3_000, notErrors: 2_100, wholeLanes: 2_000 });
  });

  test.each([
    ['its only answer', { comparable: 1, mismatches: 1 }],
    ['one of a hundred', { comparable: 100, mismatches: 1 }],
    ['all of many', { comparable: 50, mismatches: 50 }],
  ])('do not hide a wrong answer of the action: %s', (_name, own) => {
    const shown = confidenceOf(lanes(1_000_000, own), TRAFFIC, LIMITS);
    expect(shown).toMatchObject({ isProven: false, wholeLanes: 0, ...own });
    expect(shown.upperBound).toBeGreaterThan(0.001);
  });

  test('are not needed if the action’s own answers meet the bound', () => {
    const shown = confidenceOf(lanes(1_000_000, { comparable: 5_000, mismatches: 1 }), TRAFFIC, LIMITS);
    expect(shown).toMatchObject({ isProven: true, comparable: 5_000 });
  });

  test('that do not match count against every action', () => {
    const clean = { comparable: 5_000, mismatches: 0 };
    const wrong = { comparable: 5_000, mismatches: 1 };
    for (const own of [clean, wrong])
      expect(confidenceOf(lanes(100, { ...own, laneMismatches: 100 }), TRAFFIC, LIMITS).isProven).toBe(false);
  });
});
