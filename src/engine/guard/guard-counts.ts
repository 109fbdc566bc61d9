import type { Tally } from '../evidence/rate-bounds.ts';

/** Upper ends of the buckets for added latency, milliseconds. A last bucket is open. */
export const ADDED_BOUNDS_MS = [1, 2, 5, 10, 20, 50, 75, 100, 150, 250, 500, 1_000] as const;

/** What the guard counts of one action during some time. Two of them can be added. */
export interface GuardCounts {
  /** Comparisons with a verdict. */
  comparable: number;
  /** Of these, those that count as evidence, without repeats. */
  independent: number;
  /**
   * Of these, comparisons of whole lanes. They are evidence for every read of the service, and not for this action's own answers.
   */
  wholeLanes: number;
  mismatches: number;
  /** Comparisons of two errors. */
  bothErrors: number;
  notComparable: number;
  /** Comparisons that were not made, because of a full queue or to spare legacy. */
  dropped: number;
  /** Reads of agents that went to the orchestrator. */
  orchestratorReads: number;
  /** Of these, those that failed there: late, unreachable, or an error. A fence that keeps a lane on legacy is not a failure. */
  orchestratorFailures: number;
  /** Of these, reads of flipped lanes. Their comparisons judge legacy, and are no part of the numbers above. */
  flippedReads: number;
  /** Comparisons of flipped lanes in which legacy differed. */
  legacyMismatches: number;
  /** Requests that were answered, by any backend. */
  operations: number;
  /** Of these, those that were relayed without a lane: their action has no owner, or theirs cannot be mapped. */
  relayed: number;
  /** Of all requests, those that failed because of the proxy. */
  proxyFailures: number;
  /** The latency that the proxy added to each operation, by bucket of {@link ADDED_BOUNDS_MS}. */
  readonly added: number[];
  /** How much longer the orchestrator took for each cut-over read than legacy takes for the same action, by the same buckets. */
  readonly aboveLegacy: number[];
}

/** The counts that are a single number. */
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
  'flippedReads',
  'legacyMismatches',
  'operations',
  'relayed',
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
    flippedReads: 0,
    legacyMismatches: 0,
    operations: 0,
    relayed: 0,
    proxyFailures: 0,
    added: noBuckets(),
    aboveLegacy: noBuckets(),
  };
}

/** Adds `more` to `sum`, times `factor`; -1 subtracts it. Rows of an older version lack names that were added later. */
export function addCounts(sum: GuardCounts, more: GuardCounts, factor = 1): void {
  for (const name of COUNT_NAMES) sum[name] += factor * ((more as Partial<GuardCounts>)[name] ?? 0);
  addBuckets(sum.added, more.added, factor);
  addBuckets(sum.aboveLegacy, (more as Partial<GuardCounts>).aboveLegacy ?? [], factor);
}

function addBuckets(sum: number[], more: readonly number[], factor: number): void {
  for (let bucket = 0; bucket < more.length; bucket += 1) {
    const count = more[bucket] ?? 0;
    // In most minutes, few buckets hold anything.
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

/** A read that legacy would not have answered sooner. It counts as 0 ms above. */
export function recordAboveLegacy({ aboveLegacy }: GuardCounts, ms: number): void {
  record(aboveLegacy, Math.max(0, ms));
}

function record(buckets: number[], addedMs: number): void {
  const found = ADDED_BOUNDS_MS.findIndex((bound) => addedMs <= bound);
  const bucket = found === -1 ? ADDED_BOUNDS_MS.length : found;
  buckets[bucket] = (buckets[bucket] ?? 0) + 1;
}

/** How many measurements took more than `limitMs`, which must be an end of a bucket. */
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
 * The quantile in milliseconds, interpolated within its bucket. A limit at the end of a bucket is exceeded exactly if that many
 * were slower. Null without a measurement, Infinity in the open bucket.
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

/** The length of a window. */
interface WindowSize {
  readonly name: WindowName;
  readonly slotMs: number;
  readonly slots: number;
}

export type WindowName = '1m' | '15m' | '6h';

export const QUARTER: WindowSize = { name: '15m', slotMs: 10_000, slots: 90 };

export const LONGEST_WINDOW: WindowSize = { name: '6h', slotMs: 60_000, slots: 360 };

/**
 * Chosen by simulation (test/unit/engine/guard/windows-simulation.test.ts). One minute finds a 1 % difference within a minute at
 * 50 comparisons per second. 15 minutes suit 0.3 comparisons per second of a first few users. Six hours find a rate just above
 * the limit.
 */
export const WINDOWS: readonly WindowSize[] = [
  { name: '1m', slotMs: 1_000, slots: 60 },
  QUARTER,
  LONGEST_WINDOW,
];

/** A tally of the last slots, in constant memory. What leaves the window is subtracted. */
export class SlidingTally implements Tally {
  readonly #size: WindowSize;
  readonly #hits: Float64Array;
  readonly #tries: Float64Array;
  /** Number of the newest slot since the clock's zero. */
  #newest = -Infinity;
  hits = 0;
  tries = 0;

  constructor(size: WindowSize) {
    this.#size = size;
    this.#hits = new Float64Array(size.slots);
    this.#tries = new Float64Array(size.slots);
  }

  /** Slots older than the window are left out. */
  add(atMs: number, { hits, tries }: Tally): void {
    const slot = Math.floor(atMs / this.#size.slotMs);
    if (slot > this.#newest) this.advance(atMs);
    if (slot <= this.#newest - this.#size.slots) return;
    const at = this.#at(slot);
    this.#hits[at] = (this.#hits[at] ?? 0) + hits;
    this.#tries[at] = (this.#tries[at] ?? 0) + tries;
    this.hits += hits;
    this.tries += tries;
  }

  /** Moves the window's end to `nowMs`. */
  advance(nowMs: number): void {
    const slot = Math.floor(nowMs / this.#size.slotMs);
    if (slot <= this.#newest) return;
    const first = Math.max(this.#newest + 1, slot - this.#size.slots + 1);
    for (let leaving = first; leaving <= slot; leaving += 1) {
      const at = this.#at(leaving);
      this.hits -= this.#hits[at] ?? 0;
      this.tries -= this.#tries[at] ?? 0;
      this.#hits[at] = 0;
      this.#tries[at] = 0;
    }
    this.#newest = slot;
  }

  /** The clock was set back to `nowMs`. The counts keep their age. */
  setBack(nowMs: number): void {
    const by = this.#newest - Math.floor(nowMs / this.#size.slotMs);
    if (by <= 0 || by === Infinity) return;
    const [hits, tries] = [this.#hits.slice(), this.#tries.slice()];
    for (let at = 0; at < this.#size.slots; at += 1) {
      const from = this.#at(at + by);
      this.#hits[at] = hits[from] ?? 0;
      this.#tries[at] = tries[from] ?? 0;
    }
    this.#newest -= by;
  }

  #at(slot: number): number {
    const { slots } = this.#size;
    return ((slot % slots) + slots) % slots;
  }
}
