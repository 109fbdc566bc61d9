import { parseLaneKey, type LaneKey } from '../../domain/ids.ts';
import type { LaneState } from '../../domain/lane.ts';
import type { Deliverer } from '../delivery/deliver.ts';
import type { Lane } from '../lane/lane.ts';
import type { Lanes } from '../lane/lanes.ts';
import type { Clock, Journal } from '../ports/ports.ts';

/** Lanes that the journal is asked for at once. */
const ASKED_AT_ONCE = 1_000;
const FIRST = { writes: 1, bytes: 1 };

export interface LooseEndParts {
  readonly journal: Pick<Journal, 'lanes' | 'pending'>;
  readonly lanes: Pick<Lanes, 'of' | 'unattended'>;
  readonly deliverer: Pick<Deliverer, 'isHolding' | 'recordAgain' | 'wake'>;
  readonly clock: Clock;
  /** When the newest heartbeat was sent that was answered. Its commit made durable whatever had been answered before. */
  readonly answeredMs: () => number;
  /** Whether something is to be done with the lane. */
  readonly isHeld: (lane: Lane) => boolean;
  /** The journal does not know that the lane was seeded. */
  readonly onUnseeded: (lane: Lane, state: LaneState) => void;
  /** Writes of the lane wait for their delivery. */
  readonly onWaiting: (lane: Lane) => void;
}

/**
 * Lanes at which this replica was at work, until the journal says that nothing of them waits. What a lane has come to stands there by
 * asynchronous commits, which a database that falls takes back after it has answered; a claim may have been taken by a statement whose
 * answer was lost. Memory takes such a lane for done, the journal takes it for this replica's, and nobody would ever look at it again.
 */
export class LooseEnds {
  readonly #parts: LooseEndParts;
  /** With the instant of what was done last. */
  readonly #noted = new Map<LaneKey, number>();
  /** Lanes of which memory knew a trouble, at the last look, that the journal did not. */
  #doubted: ReadonlySet<LaneKey> = new Set();

  constructor(parts: LooseEndParts) {
    this.#parts = parts;
  }

  /** Something was written down of the lane, or was to be. */
  note(lane: LaneKey): void {
    this.#noted.set(lane, this.#parts.clock.now());
  }

  /** @throws StorageError */
  async look(): Promise<void> {
    const { journal, lanes, deliverer, answeredMs } = this.#parts;
    const untilMs = answeredMs();
    const ripe = [...this.#noted].filter(([, atMs]) => atMs < untilMs);
    const keys = [...new Set([...ripe.map(([key]) => key), ...lanes.unattended().map(({ key }) => key)])];
    const doubted = new Set<LaneKey>();
    for (let from = 0; from < keys.length; from += ASKED_AT_ONCE) {
      const page = keys.slice(from, from + ASKED_AT_ONCE).map((key) => this.#laneOf(key));
      const asked = page.map((lane) => ({ lane, forgotten: lane.forgotten }));
      const states = await journal.lanes(page.map(({ key }) => key));
      for (const { lane, forgotten } of asked) {
        const state = states.get(lane.key);
        // What was asked before it was forgotten is not believed.
        if (state === undefined || lane.forgotten !== forgotten) continue;
        if (this.#isMistaken(lane, state)) doubted.add(lane.key);
        else if (this.#mayWait(lane, state) && (await this.#isWaiting(lane))) this.#parts.onWaiting(lane);
      }
    }
    for (const [key, atMs] of ripe) if (this.#noted.get(key) === atMs) this.#noted.delete(key);
    this.#doubted = doubted;
    // It costs nothing, and whatever else has become deliverable without a word goes on.
    deliverer.wake();
  }

  #laneOf(key: LaneKey): Lane {
    const { service, owner } = parseLaneKey(key);
    return this.#parts.lanes.of(service, owner);
  }

  /**
   * Memory calls it dirty or being copied, nobody here is at it, and the journal calls it clean: an answer of before the lane was forgotten
   * and its copy ended. Not believed at once: that it is dirty may be on its way to the journal.
   */
  #isMistaken(lane: Lane, state: LaneState): boolean {
    if (!lane.isUnwell || state.condition !== 'clean' || this.#isAttended(lane)) return false;
    if (!this.#doubted.has(lane.key)) return true;
    lane.forget();
    lane.adopt(state);
    return false;
  }

  #isAttended(lane: Lane): boolean {
    return lane.isSettling || this.#parts.isHeld(lane);
  }

  /** Tells the journal what it has forgotten. Whether something may wait that memory does not know of. */
  #mayWait(lane: Lane, state: LaneState): boolean {
    const { deliverer, onUnseeded } = this.#parts;
    const isSure = lane.isLoaded && !lane.hasUnseen && lane.applied <= state.deliveredSequence;
    if (!lane.isLoaded) lane.adopt(state);
    if (state.deliveredSequence < lane.delivered) deliverer.recordAgain(lane);
    else if (!this.#isAttended(lane)) {
      if (hasLostSeed(state, lane)) onUnseeded(lane, state);
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

/** That all of it is delivered, recorded after the fall, has let go of the lane: nobody's it may be. No copy begins of another's. */
function hasLostSeed({ isHome, condition, seededCoverage }: LaneState, lane: Lane): boolean {
  return (isHome || condition === 'clean') && seededCoverage < lane.seededCoverage;
}
