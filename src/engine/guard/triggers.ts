import { type GuardStep, NOTHING_FOUND, type StoreFindings, type Trigger } from '../ports/finding.ts';
import { type Tally, wilsonLowerBound } from '../evidence/rate-bounds.ts';
import { type GuardCounts, slowerThan } from './guard-counts.ts';

/** What one trigger finds in the given counts. */
export interface Judgement {
  readonly steps: readonly GuardStep[];
  readonly numbers: Readonly<Record<string, number>>;
}

/** The limit of a rate, and the steps before it trips. */
interface RateRule {
  readonly limit: number;
  readonly early: readonly GuardStep[];
}

/**
 * At least this many hits, and a lower bound of their rate above the limit. The bound to trip is stricter than the bound to block
 * increases.
 */
export function judgeRate(tally: Tally, rule: RateRule, limits: GuardLimits): Judgement | undefined {
  // The common case: the bound is below the rate itself.
  if (tally.hits < limits.leastHits || tally.hits <= rule.limit * tally.tries) return undefined;
  const lowerBound = wilsonLowerBound(tally, limits.z);
  const numbers = { hits: tally.hits, of: tally.tries, lower_bound: lowerBound, limit: rule.limit };
  if (lowerBound > rule.limit) return { steps: ['reads_to_legacy'], numbers };
  const isEarly = wilsonLowerBound(tally, limits.holdZ) > rule.limit;
  return isEarly ? { steps: rule.early, numbers } : undefined;
}

/** The step for the number of slow minutes among the last ones. The last row is for that number and more. */
const SLOW_STEPS: readonly (readonly GuardStep[])[] = [
  [],
  ['drop_shadow_load'],
  ['drop_shadow_load', 'hold_ramp'],
];

/** What is compared with the limit: the latency that the proxy adds, or the time of cut-over reads above legacy's. */
type Waited = 'added' | 'aboveLegacy';

/** @param minutes the last complete minutes, at most `limits.ofMinutes` */
export function judgeLatency(
  minutes: readonly GuardCounts[],
  waited: Waited,
  limits: GuardLimits,
): Judgement | undefined {
  const slow = minutes.filter((minute) => isSlow(minute[waited], limits)).length;
  if (slow === 0) return undefined;
  const numbers = { slow_minutes: slow, of_minutes: limits.ofMinutes, limit_ms: limits.addedMs };
  if (slow >= limits.slowMinutes) return { steps: ['reads_to_legacy'], numbers };
  return { steps: SLOW_STEPS[Math.min(slow, SLOW_STEPS.length - 1)] ?? [], numbers };
}

function isSlow(minute: readonly number[], { addedMs, leastOperations }: GuardLimits): boolean {
  const { hits, tries } = slowerThan(minute, addedMs);
  return tries >= leastOperations && hits > SLOW_SHARE * tries;
}

/** What the journal knows of a service's lanes that need a person. */
export interface TroubledLanes {
  /** The age of the oldest unresolved dead letter of each lane that has one, milliseconds. */
  readonly deadLetterAgesMs: readonly number[];
  /** Lanes that a copy did not change because items were lost. */
  readonly lost: number;
  /** Open findings of reconciliations. */
  readonly stores: StoreFindings;
  /** Flipped lanes in which a reconciliation found that legacy differs. */
  readonly legacyDiffers: number;
}

export const NO_TROUBLE: TroubledLanes = {
  deadLetterAgesMs: [],
  lost: 0,
  stores: NOTHING_FOUND,
  legacyDiffers: 0,
};

export function judgeDeadLetters(
  { deadLetterAgesMs: ages }: TroubledLanes,
  limits: GuardLimits,
): Judgement | undefined {
  if (ages.length === 0) return undefined;
  const old = ages.filter((ageMs) => ageMs >= limits.deadLetterMs).length;
  const numbers = { lanes: ages.length, old_lanes: old, limit: limits.deadLetterLanes };
  if (old >= limits.deadLetterLanes) return { steps: ['reads_to_legacy'], numbers };
  return { steps: ages.length >= limits.deadLetterLanes ? ['alert', 'hold_ramp'] : ['alert'], numbers };
}

/** Reads that cannot be compared cause an alert. No reads move. */
export function judgeNotComparable(tally: Tally, limits: GuardLimits): Judgement | undefined {
  const { notComparableRate: limit, leastOperations } = limits;
  if (tally.tries < leastOperations || tally.hits <= limit * tally.tries) return undefined;
  const lowerBound = wilsonLowerBound(tally, limits.z);
  if (lowerBound <= limit) return undefined;
  return { steps: ['alert'], numbers: { hits: tally.hits, of: tally.tries, lower_bound: lowerBound, limit } };
}

/** Legacy lost the items, so no reads move. */
export function judgeLost({ lost }: TroubledLanes): Judgement | undefined {
  return lost === 0 ? undefined : { steps: ['alert', 'hold_ramp'], numbers: { lanes: lost } };
}

/**
 * Legacy differs in a flipped lane, in a stored finding or in a comparison of the last hours. The orchestrator answers there, so no reads
 * move. No further lane is flipped.
 */
export function judgeLegacyDiffers(
  { legacyDiffers: lanes }: TroubledLanes,
  comparisons: number,
): Judgement | undefined {
  if (lanes + comparisons === 0) return undefined;
  const numbers = { ...(lanes > 0 && { lanes }), ...(comparisons > 0 && { comparisons }) };
  return { steps: ['alert', 'hold_flips'], numbers };
}

/** Stored differences count until they are repaired or accepted, whatever their age. */
export function judgeStores({ stores }: TroubledLanes, limits: GuardLimits): Judgement | undefined {
  const { items, fencedLanes, full, run } = stores;
  if (items === 0) return undefined;
  const numbers = {
    items,
    lanes: fencedLanes,
    of_items: full?.items ?? 0,
    of_lanes: full?.lanes ?? 0,
    limit: limits.storesShare,
    run: run ?? 0,
  };
  return { steps: areStoresApart(stores, limits) ? ['reads_to_legacy'] : ['alert', 'hold_ramp'], numbers };
}

/** Whether too many items or lanes differ, so that the reads of the service move to legacy. */
function areStoresApart({ items, fencedLanes, full }: StoreFindings, limits: GuardLimits): boolean {
  const { storesShare, storesItems, storesLanes } = limits;
  if (full === null) return false;
  return (
    (items >= storesItems && items > storesShare * full.items) ||
    (fencedLanes >= storesLanes && fencedLanes > storesShare * full.lanes)
  );
}

/** How close a trigger is to its trip, for people who watch. */
export interface TriggerLevel {
  readonly trigger: Trigger;
  /** The action and the window where it is closest. */
  readonly action?: string;
  readonly detail?: string;
  readonly numbers: Readonly<Record<string, number>>;
  /**
   * Progress to the trip, 0–1. At 1 it trips; `lost` and `not_compared` only block increases, `legacy_differs` only blocks
   * flips, and `not_comparable` only alerts.
   */
  readonly reached: number;
}

const within = (share: number): number => Math.min(Math.max(share, 0), 1);

/**
 * A rate trips if there are enough hits, and if the lower bound of their share is above the limit. The smaller of the two counts.
 */
export function rateLevel(
  tally: Tally,
  limit: number,
  { leastHits, z }: Pick<GuardLimits, 'leastHits' | 'z'>,
): Pick<TriggerLevel, 'numbers' | 'reached'> {
  const { hits, tries } = tally;
  const lowerBound = hits === 0 ? 0 : wilsonLowerBound(tally, z);
  return {
    numbers: { hits, of: tries, lower_bound: lowerBound, limit, least_hits: leastHits },
    reached: within(Math.min(hits / leastHits, lowerBound / limit)),
  };
}

/** The share of a count that trips at `limit`. */
export function countLevel(trigger: Trigger, found: number, limit: number): TriggerLevel {
  return { trigger, numbers: { found, limit }, reached: within(found / limit) };
}

/** The share trips above its limit. Exactly at the limit it is just below the trip. */
export function storesLevel(stores: StoreFindings, limits: GuardLimits): TriggerLevel {
  const { items, fencedLanes: lanes, full } = stores;
  const { storesShare, storesItems, storesLanes } = limits;
  const share = (have: number, least: number, of: number): number =>
    Math.min(have / least, have / Math.max(storesShare * of, 1));
  const near =
    full === null
      ? 0
      : Math.max(share(items, storesItems, full.items), share(lanes, storesLanes, full.lanes));
  const numbers = {
    items,
    lanes,
    of_items: full?.items ?? 0,
    of_lanes: full?.lanes ?? 0,
    limit: storesShare,
  };
  return { trigger: 'stores', numbers, reached: areStoresApart(stores, limits) ? 1 : Math.min(near, 0.99) };
}

/** The closest of several; among equals, the first. */
export function nearest(levels: readonly TriggerLevel[]): TriggerLevel | undefined {
  return levels.toSorted((a, b) => b.reached - a.reached)[0];
}

/** The limits of the guard. The defaults are those of ../README.md, "Guard". Other values are for backtests. */
export interface GuardLimits {
  /** Rate of mismatches, 0–1. The guard trips if the lower bound exceeds it. */
  readonly mismatchRate: number;
  /** The same for failures of the orchestrator or of the proxy itself. */
  readonly errorRate: number;
  /**
   * Share of comparisons that could not be made, 0–1. Above it an alert is sent, because the other comparisons prove too little.
   */
  readonly notComparableRate: number;
  /** Fewer mismatches or failures prove nothing. */
  readonly leastHits: number;
  /** Standard deviations of the lower bound that trips. High, because it is evaluated every second. */
  readonly z: number;
  /** Standard deviations at which increases are blocked, as a first step. */
  readonly holdZ: number;
  /** Added latency that 5 % of a minute's operations must exceed, milliseconds. An end of a bucket. */
  readonly addedMs: number;
  /** Number of slow minutes among the last {@link ofMinutes}, each with at least {@link leastOperations}. */
  readonly slowMinutes: number;
  readonly ofMinutes: number;
  readonly leastOperations: number;
  /** Share of the items, or of the lanes, of the last full reconciliation that may differ, 0–1. */
  readonly storesShare: number;
  /** Fewer differing items prove nothing, whatever their share. */
  readonly storesItems: number;
  /** The same for lanes. */
  readonly storesLanes: number;
  /** Number of lanes with a dead letter, each for at least {@link deadLetterMs}. */
  readonly deadLetterLanes: number;
  readonly deadLetterMs: number;
}

export const GUARD_LIMITS: GuardLimits = {
  mismatchRate: 0.001,
  errorRate: 0.01,
  notComparableRate: 0.05,
  leastHits: 5,
  z: 3.9,
  holdZ: 1.96,
  addedMs: 100,
  slowMinutes: 3,
  ofMinutes: 5,
  leastOperations: 40,
  storesShare: 0.001,
  storesItems: 5,
  storesLanes: 3,
  deadLetterLanes: 3,
  deadLetterMs: 300_000,
};

/** Share of a minute's operations that may be slower, as for a p95. */
const SLOW_SHARE = 0.05;
