import type { Lane } from '../lane/lane.ts';
import type { Lanes } from '../lane/lanes.ts';
import type { DivergenceStore, LaneFinding } from './divergence-ports.ts';

export interface FencedParts {
  readonly lanes: Pick<Lanes, 'of'>;
  /** Whether no other replica writes. Then memory answers for the fence. */
  readonly isAlone: () => boolean;
  /** Makes the home of the lane read its row again. */
  readonly tellHome: (lane: Lane) => Promise<void>;
}

/**
 * The same store. When it changes a lane's finding, this replica's memory gets the change as soon as it is durable. If
 * another replica is the lane's home, it gets the change soon after.
 */
export function fencedDivergences(
  store: DivergenceStore,
  { lanes, isAlone, tellHome }: FencedParts,
): DivergenceStore {
  const tell = (changed: readonly LaneFinding[]): readonly LaneFinding[] => {
    for (const { service, owner, finding } of changed) {
      const lane = lanes.of(service, owner);
      lane.found(finding);
      if (!isAlone()) void tellHome(lane);
    }
    return changed;
  };
  return {
    ...store,
    add: async (run, found) => tell(await store.add(run, found)),
    equal: async (service, owners) => tell(await store.equal(service, owners)),
    resolve: async (service, owner, state) => tell(await store.resolve(service, owner, state)),
    async accept(service, owner, by) {
      const acceptance = await store.accept(service, owner, by);
      if (acceptance.result === 'accepted') tell([acceptance.lane]);
      return acceptance;
    },
  };
}
