import type { RuleNode } from './compiled-rules.ts';
import type { Fingerprints } from './fingerprints.ts';

type IndexPair = readonly [legacy: number, orchestrator: number];

/** The pairing of the elements of two lists. All numbers are indices. */
export interface Partners {
  /**
   * The same element at another place, or the same except for its content. These are compared next, in the order of legacy's
   * list.
   */
  readonly moved: readonly IndexPair[];
  /** Whether all elements with a partner have the same order in both lists. */
  readonly isInOrder: boolean;
  readonly onlyLegacy: readonly number[];
  readonly onlyOrchestrator: readonly number[];
}

export interface ListPair {
  readonly legacy: readonly unknown[];
  readonly orchestrator: readonly unknown[];
}

/** How elements are compared. */
export interface ElementEquality {
  readonly fingerprints: Fingerprints;
  /** Whether two elements are equal except for what rules accept. Accepted differences are counted. */
  holds(legacy: unknown, orchestrator: unknown, node: RuleNode | undefined): boolean;
  /** The same, without counting. */
  wouldHold(legacy: unknown, orchestrator: unknown, node: RuleNode | undefined): boolean;
}

interface Search {
  /** The rules of the lists. */
  readonly node: RuleNode | undefined;
  readonly equality: ElementEquality;
}

/**
 * Pairs equal elements. First those at the same place, counted from the front or from the end. Then, among the rest, the first of
 * several equal ones with the first, the second with the second. Elements that are equal in place are in no list of the result.
 */
export function findPartners(
  lists: ListPair,
  node: RuleNode | undefined,
  equality: ElementEquality,
): Partners {
  const search = { node, equality };
  const remaining = notInPlace(lists, search);
  const { legacy, orchestrator } = remaining;
  const isSmall = node?.setRule === undefined && legacy.length * orchestrator.length <= FEW_PAIRS;
  const moved = isSmall ? byComparison(lists, remaining, search) : byFingerprint(lists, remaining, search);
  if (moved.length === 0)
    return { moved, isInOrder: true, onlyLegacy: legacy, onlyOrchestrator: orchestrator };
  const found = new Set(moved.map(([mine]) => mine));
  const taken = new Set(moved.map(([, theirs]) => theirs));
  return {
    moved,
    isInOrder: isInOrder(lists, remaining, moved),
    onlyLegacy: legacy.filter((index) => !found.has(index)),
    onlyOrchestrator: orchestrator.filter((index) => !taken.has(index)),
  };
}

/** This many comparisons cost less than making fingerprints. */
const FEW_PAIRS = 16;

interface Indices {
  readonly legacy: readonly number[];
  readonly orchestrator: readonly number[];
}

/** Lists of equal length are compared place by place. Others are compared from the start and from the end. */
function notInPlace({ legacy, orchestrator }: ListPair, { node, equality }: Search): Indices {
  const elements = node?.elements;
  if (legacy.length === orchestrator.length) {
    const apart: number[] = [];
    for (let at = 0; at < legacy.length; at += 1) {
      if (!equality.holds(legacy[at], orchestrator[at], elements)) apart.push(at);
    }
    return { legacy: apart, orchestrator: apart };
  }
  const shorter = Math.min(legacy.length, orchestrator.length);
  let first = 0;
  while (first < shorter && equality.holds(legacy[first], orchestrator[first], elements)) first += 1;
  let last = 0;
  while (
    first + last < shorter &&
    equality.holds(legacy[legacy.length - 1 - last], orchestrator[orchestrator.length - 1 - last], elements)
  ) {
    last += 1;
  }
  return { legacy: span(first, legacy.length - last), orchestrator: span(first, orchestrator.length - last) };
}

function span(from: number, to: number): number[] {
  const indices: number[] = [];
  for (let at = from; at < to; at += 1) indices.push(at);
  return indices;
}

function byComparison(lists: ListPair, remaining: Indices, { node, equality }: Search): IndexPair[] {
  const moved: IndexPair[] = [];
  const isInPlace = lists.legacy.length === lists.orchestrator.length;
  for (const mine of remaining.legacy) {
    for (const theirs of remaining.orchestrator) {
      if ((isInPlace && mine === theirs) || moved.some(([, taken]) => taken === theirs)) continue;
      if (!equality.wouldHold(lists.legacy[mine], lists.orchestrator[theirs], node?.elements)) continue;
      moved.push([mine, theirs]);
      break;
    }
  }
  return moved;
}

function byFingerprint(lists: ListPair, remaining: Indices, { node, equality }: Search): IndexPair[] {
  const { fingerprints } = equality;
  const waiting = new Map<number, number[]>();
  for (const theirs of remaining.orchestrator.toReversed()) {
    const fingerprint = fingerprints.ofElement(lists.orchestrator[theirs], node);
    const same = waiting.get(fingerprint);
    if (same === undefined) waiting.set(fingerprint, [theirs]);
    else same.push(theirs);
  }
  return remaining.legacy.flatMap((mine): IndexPair[] => {
    const theirs = waiting.get(fingerprints.ofElement(lists.legacy[mine], node))?.pop();
    return theirs === undefined ? [] : [[mine, theirs]];
  });
}

/** Whether the elements in place and those found elsewhere have the same order in both lists. */
function isInOrder(
  { legacy, orchestrator }: ListPair,
  remaining: Indices,
  moved: readonly IndexPair[],
): boolean {
  const found = new Map(moved);
  const apart = new Set(remaining.legacy);
  const last = remaining.legacy.at(-1) ?? -1;
  // After the last place that differs, both lists are equal again, perhaps shifted.
  const shift = orchestrator.length - legacy.length;
  let before = -1;
  for (let mine = 0; mine < legacy.length; mine += 1) {
    const theirs = apart.has(mine) ? found.get(mine) : mine + (mine > last ? shift : 0);
    if (theirs === undefined) continue;
    if (theirs < before) return false;
    before = theirs;
  }
  return true;
}
