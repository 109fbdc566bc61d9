import type { Comparison } from '../../domain/comparison.ts';
import type { LegacyReadEffect } from '../../domain/service-definition.ts';

/** When a racy pair, or a difference, is looked at again; the last time the lane is held for the read. */
export const LOOK_AGAIN_MS = [250, 1_000, 5_000] as const;

/**
 * How often a pair may be looked at again. Reading legacy once more must harm nothing: a read that does something to it is repeated
 * once, which prolongs the life of a lane in use and no more; one that cuts never.
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

/** What is racy now may not be later, and only a difference that is still there when looked at again counts. */
export function isWorthALook({ reason, verdict }: Comparison, looks: number): boolean {
  return reason === 'racy' || (verdict === 'mismatch' && looks === 0);
}
