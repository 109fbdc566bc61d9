import type { Owner } from '../../domain/ids.ts';
import type { LegacyLane } from '../../domain/service-definition.ts';
import type { ServiceRuntime } from '../ports/service-runtime.ts';
import { GatheredCalls } from './gathered-calls.ts';

/** Lanes of one reading. */
const LANES = 200;
const NOTHING: LegacyLane = { exists: false, items: [] };

/**
 * The readings by which copies see what legacy holds: those of lanes that are copied together are one, where the definition can. A store
 * without an index is read as long for one lane as for many, and its service waits meanwhile.
 */
export class CopyReads {
  readonly #gathered = new Map<ServiceRuntime, GatheredCalls<Owner, LegacyLane>>();

  /** The lane as it is after this was asked. @throws Error as `readLegacy` does */
  read(service: ServiceRuntime, owner: Owner): Promise<LegacyLane> {
    const canReadMany = service.definition.lanes.readMany !== undefined;
    return canReadMany ? this.#of(service).add(owner) : readOne(service, owner);
  }

  #of(service: ServiceRuntime): GatheredCalls<Owner, LegacyLane> {
    const known = this.#gathered.get(service);
    if (known !== undefined) return known;
    const gathered = new GatheredCalls<Owner, LegacyLane>({
      // Its service answers agents meanwhile.
      atOnce: 1,
      // Each is read by itself then, and says by itself what is wrong with it.
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
