import { parseLaneKey, type LaneKey, type ServiceName } from '../domain/ids.ts';
import type { LaneState } from '../domain/lane.ts';
import type { CopyQueue } from './copy-queue.ts';
import type { Deliverer } from './deliver.ts';
import type { Emit } from './events.ts';
import type { Lane, Lanes } from './lanes.ts';
import type { Journal } from './ports.ts';
import type { Coverage, ServiceRuntime } from './service-runtime.ts';
import type { Settlements } from './settlements.ts';
import type { Settler } from './settle.ts';
import type { ReplayedLane } from './spill/spill-ports.ts';

export interface TakeOverParts {
  readonly journal: Journal;
  readonly lanes: Lanes;
  readonly services: ReadonlyMap<ServiceName, ServiceRuntime>;
  readonly coverage: ReadonlyMap<ServiceName, Coverage>;
  readonly deliverer: Deliverer;
  readonly copies: CopyQueue;
  readonly settler: Settler;
  readonly settlements: Settlements;
  readonly emit: Emit;
  /** Asks for the copies of all lanes again that are not seeded. */
  readonly backfillAnew: () => void;
}

/** Takes up what others have left: the last process, a replica that died, and what living ones wrote to lanes of this home. */
export class TakeOver {
  readonly #parts: TakeOverParts;

  constructor(parts: TakeOverParts) {
    this.#parts = parts;
  }

  /** SEMANTICS "Crash points": what the dead left behind. @throws StorageError */
  async recover(): Promise<void> {
    const { journal, deliverer } = this.#parts;
    const found = await journal.recover();
    for (const key of found.dirty) this.#settle(await this.#lane(key, 'dirty'));
    for (const key of found.unclosed) this.#parts.settler.closeLater(await this.#lane(key));
    for (const { lane: key, newest } of found.pending) {
      const lane = await this.#lane(key);
      deliverer.resume(lane, newest);
      this.#seed(lane);
    }
  }

  /** A replica has gone, or the others had given this one up. Tried again until it is done. */
  changed(what: 'expelled' | 'gone'): void {
    const { lanes, deliverer, copies, emit } = this.#parts;
    if (what === 'expelled') {
      lanes.forget();
      deliverer.forget();
      copies.forget();
    }
    emit('replica:took_over', { what });
    // Lanes that were adopted, and not taken up because the journal went away, nobody else takes up while this replica lives.
    void this.#parts.settlements
      .untilDone(() => this.recover())
      .then((isDone) => {
        // What it was copying, or had listed to be copied, nobody else knows of.
        if (isDone) this.#parts.backfillAnew();
      });
  }

  /** Another replica wrote to a lane whose home is this one, or found its history uncertain. */
  foreign(lane: Lane, state: LaneState): void {
    const { deliverer } = this.#parts;
    lane.adoptForeign(state);
    // A copy that has begun does not answer for what made the lane dirty since.
    if (state.condition === 'dirty') {
      if (lane.settling === 0) this.#settle(lane);
      return;
    }
    this.#seed(lane);
    deliverer.resumeForeign(lane);
  }

  /** The lane's spilled writes are in the journal. Where nobody can say what became of one, the service is probed first. */
  spilled(key: LaneKey, { state, isUncertain }: ReplayedLane): void {
    const { service, owner } = parseLaneKey(key);
    const lane = this.#parts.lanes.of(service, owner);
    lane.adopt(state);
    if (lane.condition !== 'stopped') lane.condition = 'dirty';
    this.#parts.emit('lane:dirty', { service, lane: key, reason: 'spilled' });
    if (!state.isHome) return;
    if (isUncertain) this.#settle(lane);
    else this.#parts.copies.add(lane, 'dirty');
  }

  /** A write that this replica applied waits for the lane's home; which is this one where the other has died. */
  async tellHome(lane: Lane): Promise<void> {
    const { journal, settlements } = this.#parts;
    await settlements.untilDone(async () => {
      const state = await journal.tellHome(lane.key);
      if (state?.isHome === true) this.foreign(lane, state);
    });
  }

  #seed(lane: Lane): void {
    const number = this.#parts.coverage.get(lane.service)?.number ?? 0;
    if (number > 0 && lane.seededCoverage !== number) this.#parts.copies.add(lane, 'unseeded');
  }

  #settle(lane: Lane): void {
    const service = this.#parts.services.get(lane.service);
    if (service !== undefined) this.#parts.settler.resume(lane, service);
  }

  async #lane(key: LaneKey, condition?: 'dirty'): Promise<Lane> {
    const { service, owner } = parseLaneKey(key);
    const lane = await this.#parts.lanes.load(service, owner);
    if (condition !== undefined && lane.condition !== 'stopped') lane.condition = condition;
    return lane;
  }
}
