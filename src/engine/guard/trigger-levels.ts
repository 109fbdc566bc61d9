import type { Tally } from '../evidence/rate-bounds.ts';
import { wilsonLowerBound } from '../evidence/rate-bounds.ts';
import type { Trigger } from '../ports/finding.ts';
import type { StoreFindings } from '../ports/store-findings.ts';
import type { GuardLimits } from './guard-limits.ts';
import { areStoresApart } from './triggers.ts';

/** How close a trigger is to its trip, for people who watch. */
export interface TriggerLevel {
  readonly trigger: Trigger;
  /** The action and the window where it is closest. */
  readonly action?: string;
  readonly detail?: string;
  readonly numbers: Readonly<Record<string, number>>;
  /** Progress to the trip, 0–1. At 1 it trips; `lost` and `not_compared` only block increases, `not_comparable` only alerts. */
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
