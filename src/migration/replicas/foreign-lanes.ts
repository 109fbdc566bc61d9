import { messageOf } from '../../domain/errors.ts';
import { parseLaneKey, type LaneKey } from '../../domain/ids.ts';
import type { LaneState } from '../../domain/lane.ts';
import type { Emit } from '../events.ts';
import type { Lane, Lanes } from '../lanes/lanes.ts';
import type { Clock, Journal } from '../ports.ts';

/** How long a write of another replica may lie before the lane's home sees it. */
const LOOK_EVERY_MS = 50;
/** Where there is no other replica, a statement of a dead one may still have committed: every so many times. */
const RARELY = 40;

export interface ForeignLaneParts {
  readonly journal: Journal;
  readonly lanes: Lanes;
  readonly clock: Clock;
  readonly emit: Emit;
  readonly isAlone: () => boolean;
  /** Another replica wrote to the lane, or found its history uncertain. */
  readonly onForeign: (lane: Lane, state: LaneState) => void;
}

/** Learns what other replicas did to the lanes whose home is this one. */
export class ForeignLanes {
  readonly #parts: ForeignLaneParts;
  #isStopped = false;
  #loop: Promise<void> | undefined;

  constructor(parts: ForeignLaneParts) {
    this.#parts = parts;
  }

  start(): void {
    this.#loop = this.#run();
  }

  async stop(): Promise<void> {
    this.#isStopped = true;
    await this.#loop;
  }

  async #run(): Promise<void> {
    for (let looks = 0; !this.#isStopped; looks += 1) {
      await this.#parts.clock.sleep(LOOK_EVERY_MS);
      if (!this.#parts.isAlone() || looks % RARELY === 0) await this.#look();
    }
  }

  async #look(): Promise<void> {
    const { journal, lanes, emit, onForeign } = this.#parts;
    try {
      for (const [key, state] of await journal.takeForeign()) {
        const { service, owner } = parseLaneKey(key satisfies LaneKey);
        onForeign(await lanes.load(service, owner), state);
      }
    } catch (error) {
      emit('journal:failed', { reason: messageOf(error) });
    }
  }
}
