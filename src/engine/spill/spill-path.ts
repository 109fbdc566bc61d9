import { randomUUID } from 'node:crypto';
import { ConnectionError, CrossfadeError, StorageError } from '../../domain/errors.ts';
import { operationId, type LaneKey, type OperationId, type ServiceName } from '../../domain/ids.ts';
import type { Outcome } from '../../domain/outcome.ts';
import { readReply } from '../../domain/request.ts';
import type { CallLegacy, TimedReply } from '../calls/call-legacy.ts';
import type { Emit } from '../ports/events.ts';
import type { Answer } from '../ports/operation.ts';
import type { Lane } from '../lane/lane.ts';
import type { OwnedOperation } from '../ports/operation.ts';
import type { Clock } from '../../shared/clock.ts';
import type { ReplicaIdentity } from '../ports/replica-ports.ts';
import type { Membership } from '../replicas/membership.ts';
import type { Coverage } from '../ports/service-runtime.ts';
import { latestSend, type Sequenced } from '../writes/sequence-write.ts';
import type { OutcomeRecorder } from '../writes/outcome-recorder.ts';
import { outcomeOfFailure, writeActionOf } from '../writes/late-reply.ts';
import { tooLate } from '../writes/not-sent.ts';
import type { Outage } from './outage.ts';
import type { SpillJournal, SpillStore } from '../ports/spill-ports.ts';

/** If a commit takes longer, the write checks whether the journal is away. */
const SLOW_COMMIT_MS = 250;
/** Pause before a write tries the journal again that has failed and is not away. */
const RETRY_MS = 100;
/** Failures of the journal only, in which the write was not sent. */
const OF_THE_JOURNAL = new Set(['slow', 'no_lease']);

interface SpillPathParts {
  readonly outage: Pick<Outage, 'admit' | 'ask' | 'state'>;
  readonly membership: Pick<Membership, 'isOnlyOne' | 'claimedAtMs' | 'journalMs'>;
  readonly store: Pick<SpillStore, 'append' | 'recordOutcome'>;
  readonly journal: Pick<SpillJournal, 'recordOutcomes'>;
  readonly identity: Pick<ReplicaIdentity, 'id'>;
  readonly outcomeRecorder: OutcomeRecorder;
  readonly coverage: ReadonlyMap<ServiceName, Coverage>;
  readonly callLegacy: CallLegacy;
  readonly clock: Clock;
  readonly emit: Emit;
  /** The outcome of a write is unknown (W7). */
  readonly settle: (lane: Lane, operation: OwnedOperation) => void;
  /** Whether the service must not be written to now, and the wait for that. */
  readonly isShut: (operation: OwnedOperation) => boolean;
  readonly gate: (operation: OwnedOperation) => Promise<void>;
  /** Whether the orchestrator may be primary of the lane. Only the journal says whether it is. */
  readonly mayBeFlipped: (lane: Lane) => boolean;
}

/** Where journaling and sending a write is tried. */
interface Journaled<Result> {
  readonly sequence: () => Promise<Sequenced>;
  readonly send: (sequenced: Sequenced) => Promise<Result>;
}

interface Spilled {
  readonly id: OperationId;
  readonly operation: OwnedOperation;
  readonly lane: Lane;
}

/**
 * W10 of ../README.md: writes while the journal is away. Each record is durable on this replica's disk before the write is sent.
 */
export class SpillPath {
  readonly #parts: SpillPathParts;
  readonly #underWay = new Set<OperationId>();
  /** The journal already holds the intents of these writes, so their outcomes go there. */
  readonly #replayed = new Set<OperationId>();
  /** Operations whose intent the journal may hold although nothing was sent. A retry uses a new id. */
  readonly #tried = new WeakSet<OwnedOperation>();
  /** Records that are being written. */
  #entering = 0;

  constructor(parts: SpillPathParts) {
    this.#parts = parts;
  }

  /** Spilled writes whose replies are awaited. */
  isUnderWay(id: OperationId): boolean {
    return this.#underWay.has(id);
  }

  get isEntering(): boolean {
    return this.#entering > 0;
  }

  /** The journal holds these intents from now on. */
  replayed(ids: Iterable<OperationId>): void {
    for (const id of ids) if (this.#underWay.has(id)) this.#replayed.add(id);
  }

  /** Through the journal if it answers, else through the spill. @throws CrossfadeError */
  async write<Result>(
    operation: OwnedOperation,
    lane: Lane,
    journaled: Journaled<Result>,
  ): Promise<Answer | Result> {
    for (;;) {
      if ((await this.#admit(operation, lane)) === 'spill')
        return this.#spill({ id: this.#tried.has(operation) ? anotherId() : operation.id, operation, lane });
      this.#tried.add(operation);
      try {
        const sequenced = await this.#unlessAway(journaled.sequence());
        if (sequenced !== undefined) return await journaled.send(sequenced);
      } catch (error) {
        if (!isOfTheJournal(error) || !(await this.#mayTryAgain(operation))) throw error;
      }
    }
  }

  /** Without the journal nothing is accepted for a lane whose primary may be the orchestrator (W11). Such a write does not wait. */
  async #admit(operation: OwnedOperation, lane: Lane): Promise<'journal' | 'spill'> {
    const { outage, membership, mayBeFlipped } = this.#parts;
    const isKept = lane.primary === 'legacy' && !mayBeFlipped(lane);
    if (!isKept && outage.state === 'away') throw journalAway();
    const place = await outage.admit(operation, membership);
    if (!isKept && place === 'spill') throw journalAway();
    return place;
  }

  /** Undefined if the journal has gone away meanwhile. Even if the intent still becomes durable, its request was not sent. */
  async #unlessAway(sequencing: Promise<Sequenced>): Promise<Sequenced | undefined> {
    const stop = new AbortController();
    const slow = this.#parts.clock.sleep(SLOW_COMMIT_MS, stop.signal).then(() => 'slow' as const);
    const first = await Promise.race([sequencing, slow]).finally(() => stop.abort());
    if (first !== 'slow') return first;
    const away = this.#parts.outage.ask().then((isAway) => (isAway ? undefined : sequencing));
    const result = await Promise.race([sequencing, away]);
    if (result === undefined) this.#withdraw(sequencing);
    return result;
  }

  #withdraw(sequencing: Promise<Sequenced>): void {
    sequencing.then(
      ({ write }) => void this.#parts.outcomeRecorder.record({ ref: write, outcome: 'not_applied' }),
      () => undefined,
    );
  }

  async #mayTryAgain(operation: OwnedOperation): Promise<boolean> {
    const { clock, outage } = this.#parts;
    const leftMs = latestSend(operation) - clock.now();
    if (leftMs <= 0) return false;
    if (await outage.ask(leftMs)) return true;
    if (clock.now() + RETRY_MS > latestSend(operation)) return false;
    await clock.sleep(RETRY_MS);
    return true;
  }

  async #spill(spilled: Spilled): Promise<Answer> {
    this.#refuseUnsettled(spilled.lane);
    this.#entering += 1;
    try {
      await this.#note(spilled);
    } finally {
      this.#entering -= 1;
    }
    return this.#send(spilled);
  }

  /** It may be the repeat of a write of unknown outcome, which only the journal could show. */
  #refuseUnsettled(lane: Lane): void {
    if (!lane.isSettling && lane.closesAtMs <= this.#parts.clock.now()) return;
    throw new ConnectionError('a write of the lane is not settled', {
      effect: 'not_applied',
      reason: 'unsettled',
    });
  }

  async #note({ id, operation, lane }: Spilled): Promise<void> {
    const { store, identity, coverage, clock, emit } = this.#parts;
    const startedAtMs = clock.now();
    const intent = {
      operationId: id,
      service: operation.service.name,
      owner: operation.owner,
      lane: operation.lane,
      action: operation.name,
      request: operation.message.text,
      acceptedAtMs: clock.wallMs(),
      coverage: coverage.get(operation.service.name)?.number ?? 0,
    };
    this.#underWay.add(id);
    try {
      await store.append(intent, identity.id);
    } catch (error) {
      this.#underWay.delete(id);
      emit('spill:failed', { reason: reasonOf(error) });
      throw error;
    }
    lane.markDirty();
    emit('write:spilled', { ...labelsOf(operation), durationMs: clock.now() - startedAtMs });
  }

  async #send(spilled: Spilled): Promise<Answer> {
    const { operation, lane } = spilled;
    lane.beginWrite();
    try {
      const { reply, durationMs } = await this.#call(spilled);
      const outcome = writeActionOf(operation).outcome(readReply(reply.body), operation.message);
      this.#conclude(spilled, outcome);
      const status = outcome === 'refused' ? 'refused' : 'answered';
      return { reply, backend: 'legacy', primaryMs: durationMs, status };
    } catch (error) {
      this.#conclude(spilled, outcomeOfFailure(error));
      throw error;
    }
  }

  /**
   * No write may overtake one of unknown outcome. Apart from that, a replica that spills needs no lease, because its lanes are
   * dirty.
   */
  async #call({ operation, lane }: Spilled): Promise<TimedReply> {
    const { callLegacy, clock, isShut, gate, settle } = this.#parts;
    for (;;) {
      if (clock.now() > latestSend(operation)) throw tooLate();
      let mayNot = false;
      const maySend = (): boolean => {
        mayNot = isShut(operation);
        return !mayNot;
      };
      try {
        return await callLegacy(operation, 'live', { maySend, onLate: () => settle(lane, operation) });
      } catch (error) {
        if (!mayNot) throw error;
        await gate(operation);
      }
    }
  }

  #conclude({ id, operation, lane }: Spilled, outcome: Outcome): void {
    const { emit, store, membership } = this.#parts;
    const { journalMs } = membership;
    lane.endWrite();
    this.#underWay.delete(id);
    if (this.#replayed.delete(id)) this.#settleInJournal(lane.key, id, outcome);
    else
      store.recordOutcome({
        lane: lane.key,
        operationId: id,
        outcome,
        ...(journalMs < Infinity && { journalMs }),
      });
    emit('write:answered', { ...labelsOf(operation), sequence: 0, outcome });
    if (outcome === 'unknown') this.#parts.settle(lane, operation);
  }

  #settleInJournal(lane: LaneKey, id: OperationId, outcome: Outcome): void {
    const { outcomeRecorder, journal } = this.#parts;
    void outcomeRecorder.untilDone(() => journal.recordOutcomes([{ lane, operationId: id, outcome }]));
  }
}

function anotherId(): OperationId {
  return operationId(randomUUID());
}

function isOfTheJournal(error: unknown): boolean {
  if (error instanceof StorageError) return true;
  return error instanceof ConnectionError && OF_THE_JOURNAL.has(error.reason ?? '');
}

function reasonOf(error: unknown): string {
  return error instanceof CrossfadeError ? (error.reason ?? error.code) : 'internal_error';
}

function labelsOf(operation: OwnedOperation) {
  return {
    operationId: operation.id,
    service: operation.service.name,
    action: operation.name,
    lane: operation.lane,
  };
}

function journalAway(): ConnectionError {
  return new ConnectionError('the journal is away', { effect: 'not_applied', reason: 'slow' });
}
