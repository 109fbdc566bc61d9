import type { Owner } from '../../domain/ids.ts';
import type { LegacyLane } from '../../domain/service-definition.ts';
import type { ServiceRuntime } from '../ports/service-runtime.ts';
import { GatheredCalls } from './gathered-calls.ts';

/** Most lanes per reading. */
const LANES = 200;
const NOTHING: LegacyLane = { exists: false, items: [] };

/**
 * The readings by which copies see what legacy holds. Lanes that are copied at the same time share one reading if the definition
 * allows it. A store without an index takes as long for one lane as for many, and its service waits meanwhile.
 */
export class CopyReads {
  readonly #gathered = new Map<ServiceRuntime, GatheredCalls<Owner, LegacyLane>>();

  /** Reads the lane as it is after this call. @throws Error like `readLegacy` */
  read(service: ServiceRuntime, owner: Owner): Promise<LegacyLane> {
    const canReadMany = service.definition.lanes.readMany !== undefined;
    return canReadMany ? this.#of(service).add(owner) : readOne(service, owner);
  }

  #of(service: ServiceRuntime): GatheredCalls<Owner, LegacyLane> {
    const known = this.#gathered.get(service);
    if (known !== undefined) return known;
    const gathered = new GatheredCalls<Owner, LegacyLane>({
      // The service answers agents meanwhile.
      atOnce: 1,
      // Each lane is then read by itself, and reports its own error.
      isOnesFault: () => true,
      fits: (owners) => owners.length < LANES,
      send: (owners) => readTogether(service, owners),
    });
    this.#gathered.set(service, gathered);
    return gathered;
  }
}

async function readTogether(
  service: ServiceRuntime,
  owners: readonly Owner[],
): Promise<readonly LegacyLane[]> {
  const { definition, access, context } = service;
  const [first, ...others] = owners;
  if (first !== undefined && others.length === 0) return [await readOne(service, first)];
  const lanes = await definition.lanes.readMany?.(owners, access, context);
  return owners.map((owner) => lanes?.get(owner) ?? NOTHING);
}

function readOne({ definition, access, context }: ServiceRuntime, owner: Owner): Promise<LegacyLane> {
  return definition.lanes.readLegacy(owner, access, context);
}
