import type { LaneKey, Owner, ServiceName } from '../../domain/ids.ts';
import { laneKeyOf, parseLaneKey } from '../../domain/ids.ts';
import type { LaneState } from '../../domain/lane.ts';
import type { Clock, Journal } from '../ports/ports.ts';
import { Lane } from './lane.ts';

/** Lanes kept in memory; the longest unused leave first, and come back from the journal. */
const LANE_LIMIT = 25_000;
/** Lanes that the journal is asked for at once. */
const LOADED_AT_ONCE = 1_000;

export interface Lanes {
  /** The lane, as far as this replica knows it. */
  of(service: ServiceName, owner: Owner): Lane;
  /** The lane, after the journal was asked once whether it knows it. */
  load(service: ServiceName, owner: Owner): Promise<Lane>;
  /** The same of many lanes, which are asked for together: page by page, since those that are idle are not kept for long. */
  loadAll(keys: readonly LaneKey[]): AsyncGenerator<readonly Lane[]>;
  /**
   * Knows nothing any more: what this replica remembers may have been taken over by others. Each lane stays the same object: a copy, a
   * write or a settlement that is under way goes on with it, and what one of them changed another would not see.
   */
  forget(): void;
  /** The same of all lanes but those that this replica is at work on: what others knew of them is theirs no longer. */
  reread(): void;
  /** Lanes that are dirty or being copied, as far as is remembered, and nobody here is at them. */
  unattended(): Lane[];
  readonly size: number;
}

/** @param isHeld whether something is to be done with the lane, which must find it as it is then */
export function createLanes(journal: Journal, clock: Clock, isHeld: (lane: Lane) => boolean): Lanes {
  const lanes = new Map<LaneKey, Lane>();
  let evictFrom = LANE_LIMIT;
  const evict = (): void => {
    for (const [key, lane] of lanes) {
      if (lanes.size < LANE_LIMIT) break;
      if (lane.isIdle && !isHeld(lane)) lanes.delete(key);
    }
    // Where too few are idle they are not all looked at again for every lane that comes.
    evictFrom = lanes.size < LANE_LIMIT ? LANE_LIMIT : Math.floor(lanes.size * 1.1);
  };
  const of = (service: ServiceName, owner: Owner): Lane => {
    const key = laneKeyOf(service, owner);
    const known = lanes.get(key);
    if (known !== undefined) return known;
    if (lanes.size >= evictFrom) evict();
    const lane = new Lane(service, owner, clock);
    lanes.set(key, lane);
    return lane;
  };
  return {
    of,
    async load(service, owner) {
      const lane = of(service, owner);
      while (!lane.isLoaded) {
        const { forgotten } = lane;
        const state = (await journal.lanes([lane.key])).get(lane.key);
        learn(lane, state, forgotten);
      }
      return lane;
    },
    loadAll: (keys) => loadPages(keys, { of, journal }),
    forget() {
      for (const lane of lanes.values()) lane.forget();
    },
    reread() {
      for (const lane of lanes.values()) if (!lane.isInWork) lane.forget();
    },
    unattended: () =>
      [...lanes.values()].filter((lane) => lane.isUnwell && !lane.isSettling && !isHeld(lane)),
    get size() {
      return lanes.size;
    },
  };
}

async function* loadPages(
  keys: readonly LaneKey[],
  { of, journal }: Pick<Lanes, 'of'> & { readonly journal: Journal },
): AsyncGenerator<readonly Lane[]> {
  const laneOf = (key: LaneKey): Lane => {
    const { service, owner } = parseLaneKey(key);
    return of(service, owner);
  };
  for (let from = 0; from < keys.length; from += LOADED_AT_ONCE) {
    const page = keys.slice(from, from + LOADED_AT_ONCE);
    const unknown = new Map(
      page.filter((key) => !laneOf(key).isLoaded).map((key) => [key, laneOf(key).forgotten]),
    );
    const states = unknown.size === 0 ? undefined : await journal.lanes([...unknown.keys()]);
    yield page.map((key) => {
      const lane = laneOf(key);
      learn(lane, states?.get(key), unknown.get(key) ?? lane.forgotten);
      return lane;
    });
  }
}

/** Somebody else may have loaded it meanwhile, and gone on with it; or what was asked before it was forgotten is not believed. */
function learn(lane: Lane, state: LaneState | undefined, forgotten: number): void {
  if (lane.isLoaded || lane.forgotten !== forgotten) return;
  if (state !== undefined) lane.adopt(state);
  lane.markLoaded();
}
