import { messageOf } from '../../domain/errors.ts';
import {
  type LaneKey,
  type OperationId,
  parseLaneKey,
  type ReplicaId,
  type ServiceName,
} from '../../domain/ids.ts';
import type { LaneState } from '../../domain/lane.ts';
import type { CopyQueue } from '../copies/copy-queue.ts';
import type { Deliverer } from '../delivery/deliver.ts';
import type { CopyCause, Emit } from '../ports/events.ts';
import type { Lane } from '../lane/lane.ts';
import type { Lanes } from '../lane/lanes.ts';
import type { Clock } from '../../shared/clock.ts';
import type { Journal } from '../ports/ports.ts';
import type { ReplicaIdentity } from '../ports/replica-ports.ts';
import type { Coverage, ServiceRuntime } from '../ports/service-runtime.ts';
import type { Signals } from '../signals.ts';
import type { OpenIntent } from '../ports/journal-facts.ts';
import type { OrchestratorPrimary } from '../writes/orchestrator-primary.ts';
import type { OutcomeRecorder } from '../writes/outcome-recorder.ts';
import type { KeptReplies } from '../writes/repeats.ts';
import type { Settler } from '../writes/settle.ts';
import type { ReplayedLane } from '../ports/spill-ports.ts';

/** The reason of a dirty lane that a late unjournaled write of this replica has changed. */
const LATE_UNJOURNALED: CopyCause = 'late_unjournaled';
/** A statement of a dead process may commit later than the recovery. It cannot run longer than this. */
const LATE_STATEMENT_MS = 30_000;

export interface TakeOverParts {
  readonly identity: Pick<ReplicaIdentity, 'id'>;
  readonly journal: Pick<Journal, 'recover' | 'markDirty' | 'lanes' | 'tellHome'>;
  readonly lanes: Lanes;
  readonly services: ReadonlyMap<ServiceName, ServiceRuntime>;
  readonly coverage: ReadonlyMap<ServiceName, Coverage>;
  readonly deliverer: Pick<Deliverer, 'resume' | 'resumeForeign' | 'forget'>;
  readonly copies: Pick<CopyQueue, 'add' | 'forget'>;
  readonly settler: Pick<Settler, 'resume' | 'closeFound' | 'copyAnew'>;
  readonly outcomeRecorder: OutcomeRecorder;
  readonly kept: Pick<KeptReplies, 'lost'>;
  readonly orchestratorPrimary: Pick<OrchestratorPrimary, 'close'>;
  readonly clock: Clock;
  readonly emit: Emit;
  /** Requests the copies of all lanes again that are not seeded. */
  readonly backfillAnew: () => void;
  readonly signals: Pick<Signals, 'note'>;
}

/** Takes over what others have left: the last process, a dead replica, and writes of live replicas to lanes of this home. */
export class TakeOver {
  readonly #parts: TakeOverParts;
  #isAsked = false;
  /** When the last recovery is repeated, for what a dead process has stored since. */
  #againAtMs: number | undefined;
  #underWay: Promise<boolean> | undefined;
  /** Writes whose sequences are being closed, of each identity. Every further recovery finds them again until then. */
  readonly #closing = new Map<OperationId, ReplicaId>();

  constructor(parts: TakeOverParts) {
    this.#parts = parts;
  }

  /**
   * Recovers what dead replicas left: ../README.md, "Crash points".
   * @param only in this lane. @defaultValue in all of them
   * @throws StorageError
   */
  async recover(only?: LaneKey): Promise<void> {
    await this.#recover(only);
    if (only === undefined) this.#againAtMs = this.#parts.clock.now() + LATE_STATEMENT_MS;
  }

  /** Repeats the last recovery once, when it is due. @throws StorageError */
  async recoverAgain(): Promise<void> {
    const dueMs = this.#againAtMs;
    if (dueMs === undefined || this.#parts.clock.now() < dueMs) return;
    await this.#recover();
    if (this.#againAtMs === dueMs) this.#againAtMs = undefined;
  }

  async #recover(only?: LaneKey): Promise<void> {
    const { journal, deliverer, identity, settler } = this.#parts;
    const me = identity.id;
    const found = await journal.recover(only);
    const each = (keys: readonly LaneKey[], work: (lane: Lane) => void): Promise<void> =>
      this.#each(keys, { me, work });
    await each(found.dirty, (lane) => this.attend(lane));
    await each([...new Set(found.open.map(({ ref }) => ref.lane))], (lane) =>
      this.#closeAll(
        lane,
        found.open.filter(
          ({ ref, operationId: id }) => ref.lane === lane.key && this.#closing.get(id) !== me,
        ),
      ),
    );
    await each(found.unclosed, (lane) => settler.closeFound(lane));
    const newest = new Map(found.pending.map((pending) => [pending.lane, pending.newest]));
    await each([...newest.keys()], (lane) => {
      deliverer.resume(lane, newest.get(lane.key) ?? 0);
      this.#seed(lane);
    });
  }

  /** The lane takes no write until the orchestrator, or a return to legacy, has said what became of those that a dead replica left. */
  #closeAll(lane: Lane, open: readonly OpenIntent[]): void {
    const me = this.#parts.identity.id;
    for (const { operationId } of open) this.#closing.set(operationId, me);
    lane.beginClosing();
    void (async () => {
      for (const intent of open) await this.#close(lane, intent);
    })().finally(() => {
      for (const { operationId } of open)
        if (this.#closing.get(operationId) === me) this.#closing.delete(operationId);
      lane.endClosing();
    });
  }

  async #close(lane: Lane, { ref, operationId, epoch, generation }: OpenIntent): Promise<void> {
    const { orchestratorPrimary, outcomeRecorder, identity, kept } = this.#parts;
    const me = identity.id;
    const fence = { key: ref.lane, epoch, generation, sequence: ref.sequence, operationId };
    // While the others count on this replica, no other closes it. A return to legacy has recorded what became of the write.
    const end = await orchestratorPrimary.close({ fence }, () => identity.id !== me || lane.epoch > epoch);
    if (end === 'given_up') return;
    if (end.outcome === 'applied') {
      lane.appliedUpTo(ref.sequence);
      // Before other writes of the lane, which may repeat this one: its agent has no reply.
      await outcomeRecorder.untilDone(() => kept.lost(ref));
    }
    await outcomeRecorder.record({ ref, outcome: end.outcome });
    this.#parts.deliverer.resumeForeign(lane);
  }

  /**
   * Loads lanes, and continues with each. The recovery has made this replica their home, which memory may not know. If the others have
   * given this replica up meanwhile, the lanes belong to them.
   */
  async #each(
    keys: readonly LaneKey[],
    { me, work }: { readonly me: ReplicaId; readonly work: (lane: Lane) => void },
  ): Promise<void> {
    const { lanes, identity } = this.#parts;
    for await (const page of lanes.loadAll(keys, ({ isLoaded, isHome }) => isLoaded && isHome)) {
      if (identity.id !== me) return;
      for (const lane of page) work(lane);
    }
  }

  /**
   * Another replica has been busy with the lane for longer than a write takes. It may be dead, and a statement that outlived its
   * process may have stored the intent after its lanes were taken over.
   */
  busy(lane: LaneKey): void {
    this.recover(lane).catch((error: unknown) => {
      // The statement may have made this replica the home despite the error.
      this.#parts.signals.note(lane);
      this.#parts.emit('journal:failed', { reason: messageOf(error) });
    });
  }

  /**
   * A replica has gone, or the others had given this one up. Retries until it is done, one attempt at a time. Resolves with
   * whether it is done: false if the process ends.
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
    const { outcomeRecorder, lanes, backfillAnew } = this.#parts;
    let isDone = true;
    while (this.#isAsked) {
      this.#isAsked = false;
      // This replica may have adopted lanes and not continued them, because the journal went away. While it lives, no other replica
      // continues them.
      isDone = await outcomeRecorder.untilDone(() => this.recover());
      if (!isDone) continue;
      // What the departed replica found out about lanes, and the results for lanes of its home, are only in the journal.
      lanes.reread();
      // No other replica knows what it was copying, or had queued for a copy.
      backfillAnew();
    }
    return isDone;
  }

  /** The lane is dirty or copying in the journal, for an unknown reason. */
  attend(lane: Lane): void {
    lane.markDirty();
    this.#settle(lane);
  }

  /** Another replica wrote to a lane whose home is this one, or found its history uncertain. */
  foreign(lane: Lane, state: LaneState): void {
    lane.adoptForeign(state);
    // A copy that has already begun does not settle a later dirty mark.
    if (state.condition === 'dirty') {
      // An unjournaled write may have deleted what vanished, so it does not count as lost.
      if (state.reason === LATE_UNJOURNALED || state.seededCoverage === 0) lane.unseed();
      const isNew = lane.foundUncertain(state.foundUncertain);
      // A settlement in progress may have probed before the new mark. Other replicas' writes alone are no reason to start again.
      if (isNew || !lane.isSettling) this.#settle(lane);
      return;
    }
    this.goOn(lane);
  }

  /** The lane's spilled writes are in the journal. If an outcome is unknown, the service is probed first. */
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
   * Another replica is the lane's home. If a write of this replica had an unknown outcome and its last copy is due, the home
   * makes that copy. An earlier copy may have read before the write took effect. @throws StorageError
   */
  async letGo(lane: Lane): Promise<void> {
    const { journal, deliverer, clock } = this.#parts;
    if (lane.closesAtMs > 0 && clock.now() >= lane.closesAtMs) {
      await journal.markDirty(lane.key, 'unclosed');
      lane.closed();
    }
    lane.forget();
    deliverer.forget(lane);
    // Unless a write that was answered meanwhile has made this replica its home.
    this.#parts.signals.note(lane.key);
  }

  /** The secondary knows of a copy of the lane that this replica missed while it was paused. @throws StorageError */
  async overtaken(lane: Lane): Promise<void> {
    const { journal, settler } = this.#parts;
    const state = (await journal.lanes([lane.key])).get(lane.key);
    if (state?.isHome !== true) return this.letGo(lane);
    if (state.generation > lane.generation) this.foreign(lane, state);
    // The journal does not know of it either: it is older than the secondary's data.
    else settler.copyAnew(lane, 'overtaken');
  }

  /** A write that this replica applied waits for the lane's home, which is this replica if the other has died. */
  async tellHome(lane: Lane): Promise<void> {
    const { journal, outcomeRecorder } = this.#parts;
    await outcomeRecorder.untilDone(async () => {
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

  /** The lane's writes in the journal wait for delivery, and perhaps for a copy before that. */
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
