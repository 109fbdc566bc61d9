import { betaDistribution, betaQuantile } from './beta-distribution.ts';

/** How often something happened, among how many tries. */
export interface Tally {
  readonly hits: number;
  readonly tries: number;
}

/** Both ends of an interval of a rate, 0–1. */
export interface RateInterval {
  readonly lower: number;
  readonly upper: number;
}

/**
 * One-sided exact (Clopper–Pearson) upper bound of the rate of a tally.
 * @param confidence @defaultValue 0.95
 * @returns 1 without tries
 */
export function exactUpperBound({ hits, tries }: Tally, confidence = 0.95): number {
  return hits >= tries ? 1 : betaQuantile(confidence, hits + 1, tries - hits);
}

/** One-sided exact lower bound. @returns 0 without hits */
export function exactLowerBound({ hits, tries }: Tally, confidence = 0.95): number {
  return hits === 0 ? 0 : betaQuantile(1 - confidence, hits, tries - hits + 1);
}

/** Two-sided exact interval. @param confidence @defaultValue 0.95 */
export function exactInterval(tally: Tally, confidence = 0.95): RateInterval {
  const oneSided = 1 - (1 - confidence) / 2;
  return { lower: exactLowerBound(tally, oneSided), upper: exactUpperBound(tally, oneSided) };
}

/** Whether the one-sided exact upper bound is below a rate. Does not compute the bound. */
export function isProvenBelow({ hits, tries }: Tally, rate: number, confidence = 0.95): boolean {
  return hits < tries && betaDistribution(rate, hits + 1, tries - hits) > confidence;
}

/**
 * Lower end of Wilson's score interval, cheap enough to compute every second.
 * @param z standard deviations; 3.9 is one false alarm in 20,000 evaluations
 */
export function wilsonLowerBound({ hits, tries }: Tally, z: number): number {
  if (hits === 0) return 0;
  const rate = hits / tries;
  const z2 = z * z;
  const spread = z * Math.sqrt((rate * (1 - rate)) / tries + z2 / (4 * tries * tries));
  return (rate + z2 / (2 * tries) - spread) / (1 + z2 / tries);
}

/** The search ends here: a rate that is not proven after 10^9 tries counts as unprovable. */
const MOST_TRIES = 1e9;

/** Least number of tries with this many hits that proves a rate below `rate`. @returns Infinity above 10^9 */
export function triesToProve(hits: number, rate: number, confidence = 0.95): number {
  let high = Math.max(1, hits + 1);
  while (!isProvenBelow({ hits, tries: high }, rate, confidence)) {
    if (high > MOST_TRIES) return Infinity;
    high *= 2;
  }
  let low = Math.floor(high / 2);
  while (high - low > 1) {
    const middle = Math.floor((low + high) / 2);
    if (isProvenBelow({ hits, tries: middle }, rate, confidence)) high = middle;
    else low = middle;
  }
  return high;
}
