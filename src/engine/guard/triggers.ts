import { NOTHING_FOUND, type StoreFindings } from '../ports/store-findings.ts';
import type { Tally } from '../evidence/rate-bounds.ts';
import { wilsonLowerBound } from '../evidence/rate-bounds.ts';
import type { GuardStep } from '../ports/finding.ts';
import { slowerThan, type GuardCounts } from './guard-counts.ts';
import { SLOW_SHARE, type GuardLimits } from './guard-limits.ts';

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
export type Waited = 'added' | 'aboveLegacy';

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
}

export const NO_TROUBLE: TroubledLanes = { deadLetterAgesMs: [], lost: 0, stores: NOTHING_FOUND };

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

/** Whether so many items or lanes differ that the reads of the service move to legacy. */
export function areStoresApart({ items, fencedLanes, full }: StoreFindings, limits: GuardLimits): boolean {
  const { storesShare, storesItems, storesLanes } = limits;
  if (full === null) return false;
  return (
    (items >= storesItems && items > storesShare * full.items) ||
    (fencedLanes >= storesLanes && fencedLanes > storesShare * full.lanes)
  );
}
