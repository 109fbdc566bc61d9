import type { ShownSignature } from './api/comparisons.ts';
import { likeliest, type SignatureSightings } from '../engine/compare/comparison-stores.ts';
import { DistinctEstimate } from '../engine/compare/digest.ts';

export function shownSignature(signature: SignatureSightings): ShownSignature {
  const { action, path, shape, count, firstAtMs, lastAtMs, hints, laneRegisters, examples } = signature;
  return {
    action,
    path,
    class: signature.class,
    shape,
    count,
    first_at: new Date(firstAtMs).toISOString(),
    last_at: new Date(lastAtMs).toISOString(),
    hint: likeliest(hints) ?? null,
    lanes: new DistinctEstimate(laneRegisters).count,
    examples,
  };
}
