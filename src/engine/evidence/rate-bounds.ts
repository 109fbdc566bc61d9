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

/** Lanczos, g = 7, n = 9: relative error below 1e-14 for arguments above 0.5. */
const LANCZOS = [
  0.999_999_999_999_809_93, 676.520_368_121_885_1, -1_259.139_216_722_402_8, 771.323_428_777_653_13,
  -176.615_029_162_140_59, 12.507_343_278_686_905, -0.138_571_095_265_720_12, 9.984_369_578_019_571_6e-6,
  1.505_632_735_149_311_6e-7,
] as const;
const LANCZOS_G = 7;
const HALF_LOG_TWO_PI = 0.5 * Math.log(2 * Math.PI);

function logGamma(x: number): number {
  const shifted = x - 1;
  const base = shifted + LANCZOS_G + 0.5;
  let sum: number = LANCZOS[0];
  for (let index = 1; index < LANCZOS.length; index += 1) sum += (LANCZOS[index] ?? 0) / (shifted + index);
  return HALF_LOG_TWO_PI + (shifted + 0.5) * Math.log(base) - base + Math.log(sum);
}

const TINY = 1e-300;
const PRECISION = 1e-15;
/** The fraction needs about the square root of its larger parameter in steps. This is enough for 10^9 comparisons. */
const MOST_TERMS = 200_000;

/** Lentz's continued fraction of the incomplete beta function. Converges fast for x < (a + 1) / (a + b + 2). */
function betaFraction(x: number, a: number, b: number): number {
  let c = 1;
  let d = 1 / away(1 - ((a + b) * x) / (a + 1));
  let fraction = d;
  for (let m = 1; m <= MOST_TERMS; m += 1) {
    const even = (m * (b - m) * x) / ((a + 2 * m - 1) * (a + 2 * m));
    d = 1 / away(1 + even * d);
    c = away(1 + even / c);
    fraction *= d * c;
    const odd = (-(a + m) * (a + b + m) * x) / ((a + 2 * m) * (a + 2 * m + 1));
    d = 1 / away(1 + odd * d);
    c = away(1 + odd / c);
    fraction *= d * c;
    if (Math.abs(d * c - 1) < PRECISION) return fraction;
  }
  return fraction;
}

function away(value: number): number {
  return Math.abs(value) < TINY ? TINY : value;
}

/** Distribution function of the beta distribution: the regularised incomplete beta function. @param x 0–1 */
function betaDistribution(x: number, a: number, b: number): number {
  if (x <= 0) return 0;
  if (x >= 1) return 1;
  const front = Math.exp(logGamma(a + b) - logGamma(a) - logGamma(b) + a * Math.log(x) + b * Math.log1p(-x));
  return x < (a + 1) / (a + b + 2)
    ? (front * betaFraction(x, a, b)) / a
    : 1 - (front * betaFraction(1 - x, b, a)) / b;
}

/** Halvings until an interval of length 1 is shorter than the spacing of numbers near 1e-6. */
const HALVINGS = 72;

/** The value that the distribution exceeds with probability 1 - `probability`. */
function betaQuantile(probability: number, a: number, b: number): number {
  let low = 0;
  let high = 1;
  for (let halving = 0; halving < HALVINGS; halving += 1) {
    const middle = (low + high) / 2;
    if (betaDistribution(middle, a, b) < probability) low = middle;
    else high = middle;
  }
  return (low + high) / 2;
}
