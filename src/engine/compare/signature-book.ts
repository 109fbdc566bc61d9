import type { Comparison, Difference, Hint } from '../../domain/comparison.ts';
import type { LaneKey, OperationId, ServiceName } from '../../domain/ids.ts';
import type { SignatureExample, SignatureKey, SignatureSightings } from './comparison-stores.ts';
import { DistinctEstimate } from './digest.ts';
import { kindOfShape } from './reply-values.ts';

export interface ComparedOperation {
  readonly operationId: OperationId;
  readonly service: ServiceName;
  readonly action: string;
  readonly lane: LaneKey;
}

/** Most signatures between two flushes. Further ones are dropped and counted. */
const LIMIT = 500;
const EXAMPLES = 5;
/** A member whose name is a person's words appears in a path as its digest. All such members count as one path. */
const WORDS = /key\(\d+\)#[0-9a-f]{8}/g;

interface Sighting extends SignatureKey {
  readonly firstAtMs: number;
  lastAtMs: number;
  count: number;
  readonly hints: Partial<Record<Hint, number>>;
  readonly lanes: DistinctEstimate;
  readonly examples: SignatureExample[];
}

/** Groups differences by their common properties until they are stored. */
export class SignatureBook {
  #sightings = new Map<string, Sighting>();
  /** Differences whose signatures were dropped. */
  dropped = 0;

  add(operation: ComparedOperation, comparison: Comparison, atMs: number): void {
    for (const difference of comparison.differences) {
      const key = signatureOf(operation, difference);
      const text = Object.values(key).join(' ');
      const known = this.#sightings.get(text);
      if (known === undefined && this.#sightings.size >= LIMIT) this.dropped += 1;
      else this.#note(known ?? this.#begin(text, key, atMs), { operation, difference, atMs });
    }
  }

  /** Takes what was seen since the last call. */
  take(): readonly SignatureSightings[] {
    const taken = [...this.#sightings.values()];
    this.#sightings = new Map();
    return taken.map(({ lanes, ...rest }) => ({ ...rest, laneRegisters: [...lanes.registers] }));
  }

  #begin(text: string, key: SignatureKey, atMs: number): Sighting {
    const sighting: Sighting = {
      ...key,
      firstAtMs: atMs,
      lastAtMs: atMs,
      count: 0,
      hints: {},
      lanes: new DistinctEstimate(),
      examples: [],
    };
    this.#sightings.set(text, sighting);
    return sighting;
  }

  #note(
    sighting: Sighting,
    seen: { operation: ComparedOperation; difference: Difference; atMs: number },
  ): void {
    const { operation, difference, atMs } = seen;
    const { hint, legacy, orchestrator, apart } = difference;
    sighting.count += 1;
    sighting.lastAtMs = atMs;
    if (hint !== undefined) sighting.hints[hint] = (sighting.hints[hint] ?? 0) + 1;
    sighting.lanes.add(operation.lane);
    if (sighting.examples.length >= EXAMPLES) return;
    sighting.examples.push({
      at: new Date(atMs).toISOString(),
      lane: operation.lane,
      operation_id: operation.operationId,
      legacy,
      orchestrator,
      ...(apart !== undefined && { apart }),
    });
  }
}

export function signatureOf(
  { service, action }: Pick<ComparedOperation, 'service' | 'action'>,
  { path, class: kind, legacy, orchestrator }: Difference,
): SignatureKey {
  return {
    service,
    action,
    path: path.replaceAll(WORDS, '*'),
    class: kind,
    shape: `${kindOfShape(legacy)} → ${kindOfShape(orchestrator)}`,
  };
}
