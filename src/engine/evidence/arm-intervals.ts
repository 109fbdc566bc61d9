import type { Estimate } from './grouped-tally.ts';
import { exactInterval } from './rate-bounds.ts';

/** A difference or a ratio, with both ends of its 95 % interval. */
export interface Interval {
  readonly value: number;
  readonly lower: number;
  readonly upper: number;
}

/** Fewer groups of lanes are not representative. */
const LEAST_GROUPS = 5;
const Z = 1.959_963_985;

/**
 * Compares the logarithms of two sets of durations: how many times longer the first are, by geometric means. Null if too few
 * lanes were seen.
 */
export function ratioOfMeans(first: Estimate, second: Estimate): Interval | null {
  const groups = Math.min(first.groups, second.groups);
  if (groups < LEAST_GROUPS) return null;
  return exponential(first.mean - second.mean, Math.hypot(first.error, second.error), groups);
}

/** The same, where every logarithm is that of a pair's ratio. */
export function meanRatio(pairs: Estimate): Interval | null {
  return pairs.groups < LEAST_GROUPS ? null : exponential(pairs.mean, pairs.error, pairs.groups);
}

function exponential(mean: number, error: number, groups: number): Interval {
  const spread = studentQuantile(groups - 1) * error;
  return { value: Math.exp(mean), lower: Math.exp(mean - spread), upper: Math.exp(mean + spread) };
}

/** The rate of one arm, with an interval that is valid even with no hits. Null without tries. */
export function rateInterval(rate: Estimate): Interval | null {
  if (rate.count === 0) return null;
  const tries = effectiveTries(rate);
  const { lower, upper } = exactInterval({ hits: rate.mean * tries, tries });
  return { value: rate.mean, lower, upper };
}

/** First rate minus the second: Newcombe's interval from both intervals. Null if too few lanes were seen. */
export function rateDifference(first: Estimate, second: Estimate): Interval | null {
  if (Math.min(first.groups, second.groups) < LEAST_GROUPS) return null;
  const [one, other] = [rateInterval(first), rateInterval(second)];
  if (one === null || other === null) return null;
  const value = one.value - other.value;
  return {
    value,
    lower: value - Math.hypot(one.value - one.lower, other.upper - other.value),
    upper: value + Math.hypot(one.upper - one.value, other.value - other.lower),
  };
}

/** The difference of the rates of pairs in which only the first, or only the second, failed (Bonett and Price). */
export function pairedDifference(onlyFirst: Estimate, onlySecond: Estimate): Interval | null {
  if (onlyFirst.groups < LEAST_GROUPS) return null;
  const tries = Math.min(effectiveTries(onlyFirst), effectiveTries(onlySecond));
  const first = (onlyFirst.mean * tries + 1) / (tries + 2);
  const second = (onlySecond.mean * tries + 1) / (tries + 2);
  const spread = Z * Math.sqrt((first + second - (first - second) ** 2) / (tries + 2));
  const value = onlyFirst.mean - onlySecond.mean;
  const middle = first - second;
  return { value, lower: Math.min(value, middle - spread), upper: Math.max(value, middle + spread) };
}

/**
 * The number of independent tries that would be worth as much. It is lower if hits are clustered. Clusters that have not occurred
 * yet are unknown.
 */
function effectiveTries({ count, mean, error }: Estimate): number {
  const independent = (mean * (1 - mean)) / count;
  const design = independent === 0 ? 1 : Math.max(1, error ** 2 / independent);
  return count / design;
}

/** 97.5 % quantile of Student's distribution: Hill's expansion, to three digits for four degrees of freedom or more. */
function studentQuantile(degrees: number): number {
  const [z3, z5, z7] = [Z ** 3, Z ** 5, Z ** 7];
  return (
    Z +
    (z3 + Z) / (4 * degrees) +
    (5 * z5 + 16 * z3 + 3 * Z) / (96 * degrees ** 2) +
    (3 * z7 + 19 * z5 + 17 * z3 - 15 * Z) / (384 * degrees ** 3)
  );
}
