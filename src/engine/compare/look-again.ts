import type { Comparison, Difference } from '../../domain/comparison.ts';
import type { LegacyReadEffect } from '../../domain/service-definition.ts';
import { notCompared } from './verdicts.ts';
import type { Judgement } from './compare-replies.ts';

/** When a racy pair, or a difference, is looked at again. For the last look the lane is held. */
export const LOOK_AGAIN_MS = [250, 1_000, 5_000] as const;

/**
 * How often a pair may be looked at again. Reading legacy again must do no harm. A read with side effects is repeated once, which
 * only prolongs the life of a lane in use. A read that cuts stored texts is never repeated.
 */
const LOOKS: Readonly<Record<LegacyReadEffect, number>> = {
  nothing: LOOK_AGAIN_MS.length,
  touches: 1,
  loads: 1,
  cuts: 0,
};

export function looksAllowed(effect: LegacyReadEffect): number {
  return LOOKS[effect];
}

/** Where a look found differences, whether or not they are proven: class and path. Values may change from look to look. */
export type Sightings = ReadonlySet<string>;

export const NOTHING_SEEN: Sightings = new Set();

export function sightingsIn({ differences }: Pick<Comparison, 'differences'>): Sightings {
  return new Set(differences.map(placeOf));
}

export function both(seen: Sightings, shown: Sightings): Sightings {
  return new Set([...seen, ...shown]);
}

/** A racy pair may not be racy later, and a difference that no earlier look has shown may be gone at the next. */
export function isWorthALook({ reason, verdict, differences }: Comparison, seen: Sightings): boolean {
  if (verdict !== 'mismatch') return reason === 'racy';
  return differences.some((found) => !seen.has(placeOf(found)));
}

/**
 * A difference counts only if two looks have shown it. Without a common difference nothing is proven. A deleted item counts at
 * any look.
 */
export function surviving(judgement: Judgement, seen: Sightings): Judgement {
  const { comparison } = judgement;
  if (comparison.verdict !== 'mismatch' || comparison.deletedReturned !== undefined) return judgement;
  const differences = comparison.differences.filter((found) => seen.has(placeOf(found)));
  if (differences.length === comparison.differences.length) return judgement;
  return differences.length === 0
    ? notCompared('racy')
    : { ...judgement, comparison: { ...comparison, differences } };
}

function placeOf({ class: kind, path }: Difference): string {
  return `${kind} ${path}`;
}
