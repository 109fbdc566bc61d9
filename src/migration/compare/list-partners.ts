import type { RuleNode } from './compiled-rules.ts';
import type { Fingerprints } from './fingerprints.ts';

type IndexPair = readonly [legacy: number, orchestrator: number];

/** Which elements of two lists stand for each other. All numbers are indices. */
export interface Partners {
  /** In the order of legacy's list. */
  readonly pairs: readonly IndexPair[];
  /** Whether the pairs stand in the same order in both lists. */
  readonly isInOrder: boolean;
  readonly onlyLegacy: readonly number[];
  readonly onlyOrchestrator: readonly number[];
}

export interface ListPair {
  readonly legacy: readonly unknown[];
  readonly orchestrator: readonly unknown[];
}

/**
 * Pairs equal elements: those at the same place, counted from the front or from the end; of what remains, the first of several
 * equal ones with the first, the second with the second.
 */
export function findPartners(
  lists: ListPair,
  node: RuleNode | undefined,
  fingerprints: Fingerprints,
): Partners {
  const legacy = lists.legacy.map((element) => fingerprints.of(element, node));
  const orchestrator = lists.orchestrator.map((element) => fingerprints.of(element, node));
  const partnerOf = pairInPlace(legacy, orchestrator);
  const waiting = waitingOf(orchestrator, new Set(partnerOf.values()));
  legacy.forEach((fingerprint, index) => {
    const partner = partnerOf.get(index) ?? waiting.get(fingerprint)?.pop();
    if (partner !== undefined) partnerOf.set(index, partner);
  });
  const pairs = [...partnerOf].sort(([a], [b]) => a - b);
  return {
    pairs,
    isInOrder: pairs.every(([, partner], index) => partner > (pairs[index - 1]?.[1] ?? -1)),
    onlyLegacy: [...legacy.keys()].filter((index) => !partnerOf.has(index)),
    onlyOrchestrator: [...waiting.values()].flat().sort((a, b) => a - b),
  };
}

/** Lists of one length are compared place by place; of others what they begin and end with. */
function pairInPlace(legacy: readonly number[], orchestrator: readonly number[]): Map<number, number> {
  const pairs = new Map<number, number>();
  const shorter = Math.min(legacy.length, orchestrator.length);
  const isSameLength = legacy.length === orchestrator.length;
  let first = 0;
  for (; first < shorter; first += 1) {
    if (legacy[first] === orchestrator[first]) pairs.set(first, first);
    else if (!isSameLength) break;
  }
  for (let last = 1; first + last <= shorter; last += 1) {
    if (legacy.at(-last) !== orchestrator.at(-last)) break;
    pairs.set(legacy.length - last, orchestrator.length - last);
  }
  return pairs;
}

/** The places that have no partner yet, by fingerprint, the first of equal ones on top. */
function waitingOf(orchestrator: readonly number[], taken: ReadonlySet<number>): Map<number, number[]> {
  const waiting = new Map<number, number[]>();
  for (let index = orchestrator.length - 1; index >= 0; index -= 1) {
    const fingerprint = orchestrator[index];
    if (fingerprint === undefined || taken.has(index)) continue;
    const same = waiting.get(fingerprint);
    if (same === undefined) waiting.set(fingerprint, [index]);
    else same.push(index);
  }
  return waiting;
}
