import { type LaneKey, laneKeyOf, type Owner, parseLaneKey, type ServiceName } from '../../domain/ids.ts';
import type { LaneState } from '../../domain/lane.ts';
import type { Clock } from '../../shared/clock.ts';
import type { Journal } from '../ports/ports.ts';
import { Lane } from './lane.ts';

/** Lanes kept in memory. Those unused for longest are dropped first, and loaded again from the journal. */
const LANE_LIMIT = 25_000;
/** Lanes per query to the journal. */
const LOADED_AT_ONCE = 1_000;

export interface Lanes {
  /**
   * The lane, as far as this replica knows it.
   * @param key that of the service and the owner, if the caller has it: to make one costs more than to look for the lane
   */
  of(service: ServiceName, owner: Owner, key?: LaneKey): Lane;
  /** The lane, after one query to the journal if it was not loaded yet. */
  load(service: ServiceName, owner: Owner): Promise<Lane>;
  /**
   * The same for many lanes, which are queried together. Process them page by page, because idle lanes are dropped soon.
   * @param isKnown whether the journal needs not be asked. @defaultValue whether the lane was loaded
   */
  loadAll(keys: readonly LaneKey[], isKnown?: (lane: Lane) => boolean): AsyncGenerator<readonly Lane[]>;
  /**
   * Forgets all knowledge, because other replicas may have taken the lanes over. Each lane stays the same object, so that a copy,
   * a write or a settlement in progress sees what the others change.
   */
  forget(): void;
  /**
   * The same for all lanes except those that this replica works on. For the others, the journal may know more than this
   * replica.
   */
  reread(): void;
  /** Lanes that memory knows as dirty or copying, and that nothing here works on. */
  unattended(): Lane[];
  readonly size: number;
}

/** @param isHeld whether work on the lane is due, so that it must stay in memory */
export function createLanes(
  journal: Pick<Journal, 'lanes'>,
  clock: Clock,
  isHeld: (lane: Lane) => boolean,
): Lanes {
  const lanes = new Map<LaneKey, Lane>();
  let evictFrom = LANE_LIMIT;
  const evict = (): void => {
    for (const [key, lane] of lanes) {
      if (lanes.size < LANE_LIMIT) break;
      if (lane.isIdle && !isHeld(lane)) lanes.delete(key);
    }
    // If too few are idle, the list is not searched again for every new lane.
    evictFrom = lanes.size < LANE_LIMIT ? LANE_LIMIT : Math.floor(lanes.size * 1.1);
  };
  const of = (service: ServiceName, owner: Owner, key = laneKeyOf(service, owner)): Lane => {
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
    loadAll: (keys, isKnown = ({ isLoaded }) => isLoaded) => loadPages(keys, { of, journal, isKnown }),
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

interface Loading extends Pick<Lanes, 'of'> {
  readonly journal: Pick<Journal, 'lanes'>;
  readonly isKnown: (lane: Lane) => boolean;
}

async function* loadPages(
  keys: readonly LaneKey[],
  { of, journal, isKnown }: Loading,
): AsyncGenerator<readonly Lane[]> {
  const laneOf = (key: LaneKey): Lane => {
    const { service, owner } = parseLaneKey(key);
    return of(service, owner);
  };
  for (let from = 0; from < keys.length; from += LOADED_AT_ONCE) {
    const page = keys.slice(from, from + LOADED_AT_ONCE);
    const asked = page.map(laneOf).filter((lane) => !isKnown(lane));
    for (const lane of asked) if (lane.isLoaded) lane.forget();
    const unknown = new Map(asked.map(({ key, forgotten }) => [key, forgotten]));
    const states = unknown.size === 0 ? undefined : await journal.lanes([...unknown.keys()]);
    yield page.map((key) => {
      const lane = laneOf(key);
      learn(lane, states?.get(key), unknown.get(key) ?? lane.forgotten);
      return lane;
    });
  }
}

/** Another call may have loaded the lane meanwhile. An answer to a query from before the lane was forgotten is ignored. */
function learn(lane: Lane, state: LaneState | undefined, forgotten: number): void {
  if (lane.isLoaded || lane.forgotten !== forgotten) return;
  if (state !== undefined) lane.adopt(state);
  lane.markLoaded();
}

/** A lane at one moment. If two snapshots are equal and no write was in flight, its contents did not change. */
export class Snapshot {
  readonly #lane: Lane;
  readonly #activity: number;
  readonly #isQuiet: boolean;
  /** Identifies the contents. While it is equal, no write that this replica knows passed through the proxy. */
  readonly place: string;

  constructor(lane: Lane) {
    this.#lane = lane;
    this.#activity = lane.activity;
    this.#isQuiet = lane.inFlight === 0;
    this.place = `${lane.generation}.${lane.sequence}`;
  }

  /** Whether no write of the lane was in flight since. */
  get stillHolds(): boolean {
    return this.#isQuiet && this.#lane.activity === this.#activity;
  }
}
