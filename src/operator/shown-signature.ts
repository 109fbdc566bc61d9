import { likeliest, type SignatureSightings } from '../engine/compare/comparison-stores.ts';
import { DistinctEstimate } from '../engine/compare/digest.ts';

/** A group of differences, as `GET /v1/services/<service>/signatures` shows it. */
export interface ShownSignature {
  readonly action: string;
  readonly path: string;
  readonly class: string;
  readonly shape: string;
  readonly count: number;
  readonly first_at: string;
  readonly last_at: string;
  /** The likely cause found most often; null if there was none. */
  readonly hint: string | null;
  /** About how many lanes were affected. */
  readonly lanes: number;
  readonly examples: SignatureSightings['examples'];
}

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
