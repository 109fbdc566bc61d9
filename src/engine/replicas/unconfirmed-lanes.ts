import { parseLaneKey, type LaneKey } from '../../domain/ids.ts';
import type { LaneState } from '../../domain/lane.ts';
import type { CopyQueue } from '../copies/copy-queue.ts';
import type { Deliverer } from '../delivery/deliver.ts';
import type { Lane } from '../lane/lane.ts';
import type { Lanes } from '../lane/lanes.ts';
import type { Clock } from '../../shared/clock.ts';
import type { Journal } from '../ports/ports.ts';
import type { Membership } from './membership.ts';
import type { TakeOver } from './take-over.ts';

/** Lanes per query to the journal. */
const ASKED_AT_ONCE = 1_000;
const FIRST = { writes: 1, bytes: 1 };

export interface UnconfirmedLaneParts {
  readonly journal: Pick<Journal, 'lanes' | 'pending'>;
  readonly lanes: Pick<Lanes, 'of' | 'unattended'>;
  readonly deliverer: Pick<Deliverer, 'isHolding' | 'recordAgain' | 'wake'>;
  readonly clock: Clock;
  readonly membership: Pick<Membership, 'answeredMs'>;
  readonly copies: Pick<CopyQueue, 'holds'>;
  readonly takeOver: Pick<TakeOver, 'unseeded' | 'goOn'>;
}

/**
 * Tracks the lanes on which this replica worked, until the journal confirms that nothing of them waits. Two cases need this.
 * Asynchronous commits record a lane's progress, and a crash of the database takes back commits that were answered. And a claim
 * may have been taken by a statement whose answer was lost. Memory then considers the lane done, the journal considers it this
 * replica's, and no replica would look at it again.
 */
export class UnconfirmedLanes {
  readonly #parts: UnconfirmedLaneParts;
  /** With the time of the last work. */
  readonly #noted = new Map<LaneKey, number>();
  /** Lanes that were dirty in memory at the last check, but not in the journal. */
  #doubted: ReadonlySet<LaneKey> = new Set();

  constructor(parts: UnconfirmedLaneParts) {
    this.#parts = parts;
  }

  /** Records that something of the lane was written, or was to be written. */
  note(lane: LaneKey): void {
    this.#noted.set(lane, this.#parts.clock.now());
  }

  /** @throws StorageError */
  async look(): Promise<void> {
    const { journal, lanes, deliverer, membership, takeOver } = this.#parts;
    // The commit of a heartbeat makes everything durable that was answered before it was sent.
    const untilMs = membership.answeredMs;
    const ripe = [...this.#noted].filter(([, atMs]) => atMs < untilMs);
    const keys = [...new Set([...ripe.map(([key]) => key), ...lanes.unattended().map(({ key }) => key)])];
    const doubted = new Set<LaneKey>();
    for (let from = 0; from < keys.length; from += ASKED_AT_ONCE) {
      const page = keys.slice(from, from + ASKED_AT_ONCE).map((key) => this.#laneOf(key));
      const asked = page.map((lane) => ({ lane, forgotten: lane.forgotten }));
      const states = await journal.lanes(page.map(({ key }) => key));
      for (const { lane, forgotten } of asked) {
        const state = states.get(lane.key);
        // An answer to a query from before the lane was forgotten is ignored.
        if (state === undefined || lane.forgotten !== forgotten) continue;
        if (this.#isMistaken(lane, state)) doubted.add(lane.key);
        else if (this.#mayWait(lane, state) && (await this.#isWaiting(lane))) takeOver.goOn(lane);
      }
    }
    for (const [key, atMs] of ripe) if (this.#noted.get(key) === atMs) this.#noted.delete(key);
    this.#doubted = doubted;
    // Cheap, and it starts deliveries that became possible without an event.
    deliverer.wake();
  }

  #laneOf(key: LaneKey): Lane {
    const { service, owner } = parseLaneKey(key);
    return this.#parts.lanes.of(service, owner);
  }

  /**
   * Memory considers the lane dirty or copying, nothing here works on it, and the journal calls it clean. Then memory holds an
   * answer from before the lane was forgotten and its copy ended. It takes two checks, because the dirty mark may be on its way
   * to the journal.
   */
  #isMistaken(lane: Lane, state: LaneState): boolean {
    if (!lane.isUnwell || state.condition !== 'clean' || this.#isAttended(lane)) return false;
    if (!this.#doubted.has(lane.key)) return true;
    lane.forget();
    lane.adopt(state);
    return false;
  }

  #isAttended(lane: Lane): boolean {
    return lane.isSettling || this.#parts.copies.holds(lane);
  }

  /** Records again what the journal has lost. Returns whether writes may wait that memory does not know. */
  #mayWait(lane: Lane, state: LaneState): boolean {
    const { deliverer, takeOver } = this.#parts;
    const isSure = lane.isLoaded && !lane.hasUnseen && lane.applied <= state.deliveredSequence;
    if (!lane.isLoaded) lane.adopt(state);
    if (state.deliveredSequence < lane.delivered) deliverer.recordAgain(lane);
    else if (!this.#isAttended(lane)) {
      if (hasLostSeed(state, lane)) takeOver.unseeded(lane, state);
      return state.isHome && !isSure && isBehind(state) && !deliverer.isHolding(lane);
    }
    return false;
  }

  /** The newest writes of a lane may have had no effect. @throws StorageError */
  async #isWaiting(lane: Lane): Promise<boolean> {
    const { forgotten } = lane;
    const pending = await this.#parts.journal.pending(lane.key, lane.delivered, FIRST);
    return pending.length > 0 && lane.forgotten === forgotten;
  }
}

function isBehind({ condition, sequence, deliveredSequence }: LaneState): boolean {
  return condition === 'clean' && deliveredSequence < sequence;
}

/**
 * Recording the deliveries after the crash released the lane, so it may have no home. A lane of another home is never copied
 * here.
 */
function hasLostSeed({ isHome, condition, seededCoverage }: LaneState, lane: Lane): boolean {
  return (isHome || condition === 'clean') && seededCoverage < lane.seededCoverage;
}
