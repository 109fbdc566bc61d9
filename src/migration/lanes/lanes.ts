import type { LaneKey, OperationId, Owner, ServiceName } from '../../domain/ids.ts';
import { laneKeyOf, parseLaneKey } from '../../domain/ids.ts';
import type { LaneCondition, LaneState } from '../../domain/lane.ts';
import type { Clock, Journal } from '../ports.ts';
import { Turn } from '../writes/turn.ts';

/** Why a lane's reads stay on legacy at this moment. */
export type FenceReason =
  | 'not_seeded'
  | 'dirty'
  | 'copying'
  | 'stopped'
  | 'excepted'
  | 'differs'
  | 'spilling'
  | 'replica_silent'
  | 'behind';

/** A `read` answers an agent. A lane with a known difference is still compared: that is how its end is seen. */
export type FenceUse = 'read' | 'compare';

/** Lanes kept in memory; the longest unused leave first, and come back from the journal. */
const LANE_LIMIT = 25_000;

/** A write that was answered just now, that waits for its twin, or whose outcome is unknown and not durable yet. */
export interface ReplyUnderWay {
  readonly operation: OperationId;
  readonly action: string;
  readonly request: string;
  /** Resolves when its agent has the reply, or the journal knows that it has none. */
  readonly known: Promise<void>;
  /** Its agent will not get one. */
  lacksReply: boolean;
  readonly sinceMs: number;
}

/** Lanes that the journal is asked for at once. */
const LOADED_AT_ONCE = 1_000;

/** What this replica knows of a lane. The journal's row is the truth; this follows it write by write. */
export class Lane {
  readonly service: ServiceName;
  readonly owner: Owner;
  readonly key: LaneKey;
  readonly turn: Turn;
  id = 0;
  sequence = 0;
  generation = 0;
  seededCoverage = 0;
  condition: LaneCondition = 'clean';
  /** Items of it that the secondary refuses, and nobody has accepted. */
  exceptions = 0;
  /** {@link LaneState.finding} as far as this replica knows. */
  finding = 0;
  /** Every applied write up to here is on the secondary. */
  delivered = 0;
  /** Last write that the primary has applied. */
  applied = 0;
  /** Writes between their sequence and their outcome. */
  inFlight = 0;
  /** Counts every beginning and end of a write: two equal readings with none in flight saw the same contents. */
  activity = 0;
  isLoaded = false;
  /** Last sequence that was given to a write of this replica. */
  ownSequence = 0;
  /** Writes lie between those of this replica that it has not seen: memory does not hold all that waits. */
  hasUnseen = false;
  /** Whether this replica delivers and copies it, as far as it was told last. */
  isHome = false;
  /** How often all that is known of it was forgotten: what waited here before is another's, until the journal is asked anew. */
  forgotten = 0;
  /** {@link LaneState.foundUncertain} as far as it is being settled here, or was. */
  foundUncertain = 0;
  /** Unknown outcomes that are being settled: a copy must not overtake that. */
  settling = 0;
  /** Instant from which on a copy proves what became of every unknown outcome of it; 0 where there is none. */
  closesAtMs = 0;
  /** Writes of which it is not known yet whether their agents get a reply, oldest first. */
  readonly replying: ReplyUnderWay[] = [];
  /** Who waits for its deliveries, each up to a sequence. */
  #waiting: { readonly upTo: number; readonly admit: () => void }[] = [];

  constructor(service: ServiceName, owner: Owner, clock: Clock) {
    this.service = service;
    this.owner = owner;
    this.key = laneKeyOf(service, owner);
    this.turn = new Turn(clock);
  }

  /** Takes over what the journal says. Deliveries that this replica made and has not recorded yet stay known. */
  adopt(state: LaneState): void {
    this.id = state.id;
    this.sequence = Math.max(this.sequence, state.sequence);
    this.generation = Math.max(this.generation, state.generation);
    this.seededCoverage = Math.max(this.seededCoverage, state.seededCoverage);
    this.delivered = Math.max(this.delivered, state.deliveredSequence);
    // The lane's home knows better than a row that was read before a copy began or ended.
    const knowsBetter = this.isLoaded && this.isHome && state.isHome;
    // That it is uncertain may not be written down yet.
    const isUncertain = this.settling > 0 && this.condition === 'dirty' && state.condition === 'clean';
    if (!knowsBetter && !isUncertain) this.condition = state.condition;
    if (!knowsBetter) this.exceptions = state.exceptions;
    this.found(state.finding);
    this.isHome = state.isHome;
    this.isLoaded = true;
  }

  /** A reconciliation found a difference, or one is settled. A row that was read before the last change of it changes nothing. */
  found(finding: number): void {
    const [known, told] = [Math.abs(this.finding), Math.abs(finding)];
    if (told > known || (told === known && finding < 0)) this.finding = finding;
  }

  /** A write of this replica has got its place. */
  sequenced(sequence: number): void {
    if (sequence !== this.ownSequence + 1) this.hasUnseen = true;
    this.ownSequence = sequence;
  }

  get isBehind(): boolean {
    return this.applied > this.delivered;
  }

  /**
   * Takes over what the journal says after another replica, or a person, changed it. A row that calls it clean may have been read
   * before the copy that is under way here began, or before an unknown outcome that is being settled here was written down; one
   * that says `copying`, before the copy ended that its home made: nobody would ever say `clean` again.
   */
  adoptForeign(state: LaneState): void {
    const { condition } = this;
    const isOurs = this.isHome && state.isHome;
    const wasReadBefore =
      isOurs && state.condition === 'clean' && (condition === 'copying' || this.settling > 0);
    const wasReadMeanwhile = isOurs && this.isLoaded && state.condition === 'copying';
    this.isLoaded = false;
    this.adopt(state);
    if (wasReadBefore || wasReadMeanwhile) this.condition = condition;
  }

  /** A copy of it has begun here. A row that was read just before may have been adopted since it was asked for. */
  adoptCopying(state: LaneState): void {
    this.adopt(state);
    if (this.condition === 'clean') this.condition = 'copying';
  }

  /** Undefined where the secondary holds every acknowledged write of the lane. */
  fence(coverage: number, use: FenceUse = 'read'): FenceReason | undefined {
    if (coverage === 0 || this.seededCoverage !== coverage) return 'not_seeded';
    if (this.condition !== 'clean') return this.condition;
    if (this.exceptions > 0) return 'excepted';
    if (use === 'read' && this.finding > 0) return 'differs';
    return this.isBehind ? 'behind' : undefined;
  }

  /** Deliveries have come as far as `sequence`. */
  advance(sequence: number): void {
    this.delivered = Math.max(this.delivered, sequence);
    if (this.#waiting.length === 0) return;
    const waiting = this.#waiting;
    this.#waiting = waiting.filter(({ upTo }) => upTo > this.delivered);
    for (const { upTo, admit } of waiting) if (upTo <= this.delivered) admit();
  }

  /** Resolves when the secondary holds every write that is applied by now, or after `ms`. True where it does. */
  async caughtUp(ms: number): Promise<boolean> {
    if (!this.isBehind) return true;
    return new Promise((resolve) => {
      const waiter = {
        upTo: this.applied,
        admit: (): void => {
          clearTimeout(timer);
          resolve(true);
        },
      };
      const timer = setTimeout(
        () => {
          this.#waiting = this.#waiting.filter((one) => one !== waiter);
          resolve(false);
        },
        Math.max(0, ms),
      );
      this.#waiting.push(waiter);
    });
  }

  /** What memory holds is to be asked of the journal again; what is under way goes on. */
  forget(): void {
    this.isLoaded = false;
    this.isHome = false;
    this.hasUnseen = true;
    this.forgotten += 1;
  }

  get isIdle(): boolean {
    const isUnderWay = this.turn.isTaken || this.inFlight + this.replying.length > 0;
    if (isUnderWay || this.#isUnsettled) return false;
    return !this.isLoaded || (!this.isBehind && this.condition === 'clean');
  }

  /** Whether this replica, its home, is at something that the journal may not know of yet. */
  get isInWork(): boolean {
    return this.isHome && (this.isBehind || this.isUnwell || this.#isUnsettled);
  }

  get isUnwell(): boolean {
    return this.condition === 'dirty' || this.condition === 'copying';
  }

  get #isUnsettled(): boolean {
    return this.settling > 0 || this.closesAtMs > 0;
  }
}

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
      [...lanes.values()].filter((lane) => lane.isUnwell && lane.settling === 0 && !isHeld(lane)),
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
  lane.isLoaded = true;
}
