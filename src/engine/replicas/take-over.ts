import { messageOf } from '../../domain/errors.ts';
import { parseLaneKey, type LaneKey, type ReplicaId, type ServiceName } from '../../domain/ids.ts';
import type { LaneState } from '../../domain/lane.ts';
import type { CopyQueue } from '../copies/copy-queue.ts';
import type { Deliverer } from '../delivery/deliver.ts';
import type { Emit } from '../ports/events.ts';
import type { Lane } from '../lane/lane.ts';
import type { Lanes } from '../lane/lanes.ts';
import type { Clock, Journal } from '../ports/ports.ts';
import type { LooseEnds } from './loose-ends.ts';
import type { ReplicaIdentity } from '../ports/replica-identity.ts';
import type { Coverage, ServiceRuntime } from '../ports/service-runtime.ts';
import type { Settlements } from '../writes/settlements.ts';
import type { Settler } from '../writes/settle.ts';
import type { ReplayedLane } from '../ports/spill-ports.ts';
import type { CopyCause } from '../ports/events.ts';

/** Why a replica calls a lane dirty that an unjournaled write of its own has changed late. */
const LATE_UNJOURNALED: CopyCause = 'late_unjournaled';

export interface TakeOverParts {
  readonly identity: ReplicaIdentity;
  readonly journal: Journal;
  readonly lanes: Lanes;
  readonly services: ReadonlyMap<ServiceName, ServiceRuntime>;
  readonly coverage: ReadonlyMap<ServiceName, Coverage>;
  readonly deliverer: Deliverer;
  readonly copies: CopyQueue;
  readonly settler: Settler;
  readonly settlements: Settlements;
  readonly clock: Clock;
  readonly emit: Emit;
  readonly looseEnds: Pick<LooseEnds, 'note'>;
  /** Asks for the copies of all lanes again that are not seeded. */
  readonly backfillAnew: () => void;
}

/** Takes up what others have left: the last process, a replica that died, and what living ones wrote to lanes of this home. */
export class TakeOver {
  readonly #parts: TakeOverParts;
  #isAsked = false;
  #underWay: Promise<boolean> | undefined;

  constructor(parts: TakeOverParts) {
    this.#parts = parts;
  }

  /**
   * What the dead left behind: ../README.md, "Crash points".
   * @param only in this lane. @defaultValue in all of them
   * @throws StorageError
   */
  async recover(only?: LaneKey): Promise<void> {
    const { journal, deliverer, identity, settler } = this.#parts;
    const me = identity.id;
    const found = await journal.recover(only);
    const each = (keys: readonly LaneKey[], work: (lane: Lane) => void): Promise<void> =>
      this.#each(keys, { me, work });
    await each(found.dirty, (lane) => this.attend(lane));
    await each(found.unclosed, (lane) => settler.closeLater(lane));
    const newest = new Map(found.pending.map((pending) => [pending.lane, pending.newest]));
    await each([...newest.keys()], (lane) => {
      deliverer.resume(lane, newest.get(lane.key) ?? 0);
      this.#seed(lane);
    });
  }

  /** Loads lanes, and goes on with each. Where the others have given this replica up meanwhile, what was found is theirs. */
  async #each(
    keys: readonly LaneKey[],
    { me, work }: { readonly me: ReplicaId; readonly work: (lane: Lane) => void },
  ): Promise<void> {
    const { lanes, identity } = this.#parts;
    for await (const page of lanes.loadAll(keys)) {
      if (identity.id !== me) return;
      for (const lane of page) work(lane);
    }
  }

  /**
   * Another replica is busy with the lane for longer than a write takes. It may be dead, and its intent have become durable after all
   * that it left was taken over: a statement outlives the process that sent it.
   */
  busy(lane: LaneKey): void {
    this.recover(lane).catch((error: unknown) => {
      // It may have become this replica's all the same.
      this.#parts.looseEnds.note(lane);
      this.#parts.emit('journal:failed', { reason: messageOf(error) });
    });
  }

  /**
   * A replica has gone, or the others had given this one up. Tried again until it is done, one time after the other. Resolves with
   * whether it is: false where the process ends.
   */
  changed(what: 'expelled' | 'gone'): Promise<boolean> {
    const { lanes, deliverer, copies, emit } = this.#parts;
    if (what === 'expelled') {
      lanes.forget();
      deliverer.forget();
      copies.forget();
    }
    emit('replica:took_over', { what });
    this.#isAsked = true;
    this.#underWay ??= this.#takeUp().finally(() => {
      this.#underWay = undefined;
    });
    return this.#underWay;
  }

  async #takeUp(): Promise<boolean> {
    const { settlements, lanes, backfillAnew } = this.#parts;
    let isDone = true;
    while (this.#isAsked) {
      this.#isAsked = false;
      // Lanes that were adopted, and not taken up because the journal went away, nobody else takes up while this replica lives.
      isDone = await settlements.untilDone(() => this.recover());
      if (!isDone) continue;
      // What it had found out of lanes, and what became of those that it was the home of, stands in the journal only.
      lanes.reread();
      // What it was copying, or had listed to be copied, nobody else knows of.
      backfillAnew();
    }
    return isDone;
  }

  /** The journal calls the lane unwell, and nobody knows why. */
  attend(lane: Lane): void {
    lane.markDirty();
    this.#settle(lane);
  }

  /** Another replica wrote to a lane whose home is this one, or found its history uncertain. */
  foreign(lane: Lane, state: LaneState): void {
    lane.adoptForeign(state);
    // A copy that has begun does not answer for what made the lane dirty since.
    if (state.condition === 'dirty') {
      // What vanished may have been deleted by a write that passed unjournaled: it is not lost.
      if (state.reason === LATE_UNJOURNALED || state.seededCoverage === 0) lane.unseed();
      const isNew = lane.foundUncertain(state.foundUncertain);
      // What settles already may have probed before what was found since. What others write is no reason to begin again.
      if (isNew || !lane.isSettling) this.#settle(lane);
      return;
    }
    this.goOn(lane);
  }

  /** The lane's spilled writes are in the journal. Where nobody can say what became of one, the service is probed first. */
  spilled(key: LaneKey, { state, isUncertain }: ReplayedLane): void {
    const lane = this.#laneOf(key);
    lane.adopt(state);
    lane.markDirty();
    this.#parts.emit('lane:dirty', { service: lane.service, lane: key, reason: 'spilled' });
    if (!state.isHome) return;
    if (isUncertain) this.#settle(lane);
    else this.#parts.copies.add(lane, 'dirty');
  }

  /**
   * Another replica is the lane's home. Where a write of this one was of unknown outcome, and the time has come to look once more, that
   * one does: its copy may have read before the write took effect. @throws StorageError
   */
  async letGo(lane: Lane): Promise<void> {
    const { journal, deliverer, clock } = this.#parts;
    if (lane.closesAtMs > 0 && clock.now() >= lane.closesAtMs) {
      await journal.markDirty(lane.key, 'unclosed');
      lane.closed();
    }
    lane.forget();
    deliverer.forget(lane);
    // Unless a write that was answered meanwhile has made this one its home.
    this.#parts.looseEnds.note(lane.key);
  }

  /** The secondary knows of a copy of the lane that this replica, which has stood still, does not. @throws StorageError */
  async overtaken(lane: Lane): Promise<void> {
    const { journal, settler } = this.#parts;
    const state = (await journal.lanes([lane.key])).get(lane.key);
    if (state?.isHome !== true) return this.letGo(lane);
    if (state.generation > lane.generation) this.foreign(lane, state);
    // Nor does the journal: it is an older one than the secondary's.
    else settler.copyAnew(lane, 'overtaken');
  }

  /** A write that this replica applied waits for the lane's home; which is this one where the other has died. */
  async tellHome(lane: Lane): Promise<void> {
    const { journal, settlements } = this.#parts;
    await settlements.untilDone(async () => {
      const state = await journal.tellHome(lane.key);
      if (state?.isHome === true) this.foreign(lane, state);
    });
  }

  #laneOf(key: LaneKey): Lane {
    const { service, owner } = parseLaneKey(key);
    return this.#parts.lanes.of(service, owner);
  }

  /** The journal does not know that the lane was seeded. */
  unseeded(lane: Lane, { seededCoverage }: LaneState): void {
    lane.seededUnder(seededCoverage);
    this.#seed(lane);
  }

  /** What the journal holds of the lane waits for its delivery, and perhaps for a copy before that. */
  goOn(lane: Lane): void {
    this.#seed(lane);
    this.#parts.deliverer.resumeForeign(lane);
  }

  #seed(lane: Lane): void {
    const number = this.#parts.coverage.get(lane.service)?.number ?? 0;
    if (number > 0 && lane.seededCoverage !== number) this.#parts.copies.add(lane, 'unseeded');
  }

  #settle(lane: Lane): void {
    const service = this.#parts.services.get(lane.service);
    if (service !== undefined) this.#parts.settler.resume(lane, service);
  }
}
