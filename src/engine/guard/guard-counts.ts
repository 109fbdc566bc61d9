import type { Tally } from '../evidence/rate-bounds.ts';

/** Upper ends of the buckets in which added latency is counted, milliseconds; one more bucket is open. */
export const ADDED_BOUNDS_MS = [1, 2, 5, 10, 20, 50, 75, 100, 150, 250, 500, 1_000] as const;

/** What the guard counts of one action during some time. Sums of two of them are counts too. */
export interface GuardCounts {
  /** Comparisons with a verdict. */
  comparable: number;
  /** Of these, those that are evidence: no repeats. */
  independent: number;
  /** Of these, comparisons of whole lanes: they are evidence for every read of the service, and none of this action's own answers. */
  wholeLanes: number;
  mismatches: number;
  /** Comparisons of which both answers were errors. */
  bothErrors: number;
  notComparable: number;
  /** Comparisons that were not made, for want of room or to spare legacy. */
  dropped: number;
  /** Reads that the orchestrator was asked to answer an agent. */
  orchestratorReads: number;
  /** Of these, those it failed: late, unreachable, an error. A fence that kept a lane on legacy is no failure. */
  orchestratorFailures: number;
  /** Requests that were answered, by whomever. */
  operations: number;
  /** Of these, those that failed by the proxy's own fault. */
  proxyFailures: number;
  /** What the proxy added to each operation, by bucket of {@link ADDED_BOUNDS_MS}. */
  readonly added: number[];
  /** What the orchestrator took for each cut-over read above what legacy takes for the same action, by the same buckets. */
  readonly aboveLegacy: number[];
}

/** The counts that are one number. */
export const COUNT_NAMES = [
  'comparable',
  'independent',
  'wholeLanes',
  'mismatches',
  'bothErrors',
  'notComparable',
  'dropped',
  'orchestratorReads',
  'orchestratorFailures',
  'operations',
  'proxyFailures',
] as const satisfies readonly (keyof GuardCounts)[];

const noBuckets = (): number[] => ADDED_BOUNDS_MS.map(() => 0).concat(0);

export function noCounts(): GuardCounts {
  return {
    comparable: 0,
    independent: 0,
    wholeLanes: 0,
    mismatches: 0,
    bothErrors: 0,
    notComparable: 0,
    dropped: 0,
    orchestratorReads: 0,
    orchestratorFailures: 0,
    operations: 0,
    proxyFailures: 0,
    added: noBuckets(),
    aboveLegacy: noBuckets(),
  };
}

/** Adds `more` to `sum`, times `factor`: -1 takes it away. Rows of an older version lack the names that came later. */
export function addCounts(sum: GuardCounts, more: GuardCounts, factor = 1): void {
  for (const name of COUNT_NAMES) sum[name] += factor * ((more as Partial<GuardCounts>)[name] ?? 0);
  addBuckets(sum.added, more.added, factor);
  addBuckets(sum.aboveLegacy, (more as Partial<GuardCounts>).aboveLegacy ?? [], factor);
}

function addBuckets(sum: number[], more: readonly number[], factor: number): void {
  for (let bucket = 0; bucket < more.length; bucket += 1) {
    const count = more[bucket] ?? 0;
    // Most minutes have few buckets with anything in them.
    if (count !== 0) sum[bucket] = (sum[bucket] ?? 0) + factor * count;
  }
}

export function isNothing(counts: GuardCounts): boolean {
  const buckets = [...counts.added, ...counts.aboveLegacy];
  return COUNT_NAMES.every((name) => counts[name] === 0) && buckets.every((count) => count === 0);
}

export function recordAdded({ added }: GuardCounts, addedMs: number): void {
  record(added, addedMs);
}

/** A read that legacy would have answered sooner, or no later: then it is 0 ms above. */
export function recordAboveLegacy({ aboveLegacy }: GuardCounts, ms: number): void {
  record(aboveLegacy, Math.max(0, ms));
}

function record(buckets: number[], addedMs: number): void {
  const found = ADDED_BOUNDS_MS.findIndex((bound) => addedMs <= bound);
  const bucket = found === -1 ? ADDED_BOUNDS_MS.length : found;
  buckets[bucket] = (buckets[bucket] ?? 0) + 1;
}

/** How many of what was measured took more than `limitMs`, an end of a bucket. */
export function slowerThan(buckets: readonly number[], limitMs: number): Tally {
  let hits = 0;
  let tries = 0;
  buckets.forEach((count, bucket) => {
    tries += count;
    if ((ADDED_BOUNDS_MS[bucket] ?? Infinity) > limitMs) hits += count;
  });
  return { hits, tries };
}

/**
 * The quantile, milliseconds, interpolated within its bucket: a limit that is the end of a bucket is passed exactly where so many were
 * slower. Null without a measurement, Infinity in the open bucket.
 */
export function addedQuantile({ added }: GuardCounts, quantile: number): number | null {
  const all = added.reduce((sum, count) => sum + count, 0);
  if (all === 0) return null;
  let seen = 0;
  for (const [bucket, count] of added.entries()) {
    const rank = quantile * all - seen;
    seen += count;
    if (count === 0 || rank > count) continue;
    const [from, to] = [ADDED_BOUNDS_MS[bucket - 1] ?? 0, ADDED_BOUNDS_MS[bucket]];
    return to === undefined ? Infinity : from + (to - from) * (rank / count);
  }
  return Infinity;
}
