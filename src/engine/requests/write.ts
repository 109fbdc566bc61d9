import { ConnectionError, type CrossfadeError, StorageError } from '../../domain/errors.ts';
import type { Outcome } from '../../domain/outcome.ts';
import { readReply } from '../../domain/request.ts';
import type { CallLegacy, TimedReply } from '../calls/call-legacy.ts';
import type { Decision } from '../ports/decision.ts';
import type { Answer, OwnedOperation } from '../ports/operation.ts';
import type { Lane } from '../lane/lane.ts';
import type { Clock } from '../../shared/clock.ts';
import type { PendingWrite, Reply } from '../ports/ports.ts';
import {
  latestSend,
  type Sequenced,
  sequencedLabels as labelsOf,
  type Sequencer,
  naming,
} from '../writes/sequence-write.ts';
import type { Repeats, Replying, Verdict } from '../writes/repeats.ts';
import { type OrchestratorPrimary, stillOpen, UnknownEnd } from '../writes/orchestrator-primary.ts';
import { asleep, legacyIsReadOnly, tooLate } from '../writes/not-sent.ts';
import type { OutcomeRecorder } from '../writes/outcome-recorder.ts';
import type { Settling } from '../writes/settle.ts';
import {
  type LateReplies,
  mayBeStoredLate,
  outcomeOfFailure,
  beginsAgain,
  seedOf,
  writeActionOf,
} from '../writes/late-reply.ts';
import type { CopyCause, Emit } from '../ports/events.ts';
import type { Lanes } from '../lane/lanes.ts';
import type { Coverage } from '../ports/service-runtime.ts';
import type { SpillPath } from '../spill/spill-path.ts';
import type { Unjournaled } from '../coverage/unjournaled.ts';

/** When a write was handed to the service, and the work in progress if its outcome is unknown. */
interface Sent {
  atMs: number;
  /** The lane's generation before. Undefined if a copy was in progress, because it may read before the write takes effect. */
  readonly generation: number;
  settling?: Settling;
  recorded?: Promise<boolean>;
  /** The reply on its way to the agent. */
  replying?: Replying;
}

const NO_GENERATION = -1;

/** Takes a write through its steps, with legacy as the primary: ../README.md, "Life of a write". */
export class WritePath {
  readonly #parts: WriteParts;

  constructor(parts: WriteParts) {
    this.#parts = parts;
  }

  write(operation: OwnedOperation, decision: Decision): Promise<Answer> {
    return decision.dualWrite ? this.#journaled(operation) : this.#unjournaled(operation);
  }

  async #journaled(operation: OwnedOperation): Promise<Answer> {
    const lane = this.#parts.lanes.of(operation.service.name, operation.owner, operation.lane);
    const tried = await this.#inTurn(operation, lane);
    return 'reply' in tried ? tried : this.#behindTwin(tried);
  }

  /** Waits without the lane's turn, because the copy that settles the equal write needs the turn. */
  async #behindTwin(sequenced: Sequenced): Promise<Answer> {
    const { repeats } = this.#parts;
    const end = repeats.waiting(sequenced);
    try {
      for (;;) {
        await repeats.settled(sequenced);
        const tried = await this.#inTurn(sequenced.operation, sequenced.lane);
        if ('reply' in tried) return tried;
      }
    } finally {
      end();
    }
  }

  /** Returns the write itself if an equal one must be settled before it. */
  async #inTurn(operation: OwnedOperation, lane: Lane): Promise<Answer | Sequenced> {
    const release = await lane.turn.take(latestSend(operation));
    try {
      await this.#parts.begin(operation, lane);
      if (lane.isClosing && lane.primary === 'orchestrator') throw stillOpen();
      if (lane.replying.length > 0) await this.#parts.repeats.quiet(lane, operation);
      const { sequencer, spill } = this.#parts;
      const journaled = {
        sequence: () => sequencer.sequence(operation, lane),
        send: (sequenced: Sequenced) => this.#sendNew(sequenced),
      };
      if (spill !== undefined) return await spill.write(operation, lane, journaled);
      return await journaled.send(await journaled.sequence());
    } catch (error) {
      if (isOfTheJournal(error)) this.#parts.emit('journal:failed', { reason: error.message });
      throw error;
    } finally {
      release();
    }
  }

  /** Continues unless it is a repeat of a write that has taken effect, or may have. */
  async #sendNew(sequenced: Sequenced): Promise<Answer | Sequenced> {
    const verdict = sequenced.mayRepeat ? await this.#judge(sequenced) : 'new';
    if (verdict === 'new') {
      if (sequenced.primary === 'orchestrator') return this.#sendToOrchestrator(sequenced);
      if (sequenced.writes === 'open') return this.#send(sequenced);
    }
    this.#withdraw(sequenced);
    if (verdict === 'new') throw legacyIsReadOnly();
    if (verdict === 'wait') return sequenced;
    const { reply } = this.#parts.repeats.replying(sequenced, verdict.reply, 'applied');
    return { reply, backend: sequenced.primary, primaryMs: 0 };
  }

  async #judge(sequenced: Sequenced): Promise<Verdict> {
    try {
      return await this.#parts.repeats.judge(sequenced);
    } catch (error) {
      this.#withdraw(sequenced);
      throw error;
    }
  }

  /** Records that nothing of it was sent. */
  #withdraw(sequenced: Sequenced): void {
    const outcome = 'not_applied';
    this.#parts.emit('write:answered', { ...labelsOf(sequenced), outcome });
    void this.#record(sequenced, { outcome });
  }

  async #send(sequenced: Sequenced): Promise<Answer> {
    const { operation, lane } = sequenced;
    const generation = lane.condition === 'copying' ? NO_GENERATION : lane.generation;
    const sent: Sent = { atMs: this.#parts.clock.now(), generation };
    lane.beginWrite();
    try {
      const { reply, durationMs } = await this.#call(sequenced, sent);
      const outcome = writeActionOf(operation).outcome(readReply(reply.body), operation.message);
      const replying = this.#parts.repeats.replying(sequenced, reply, outcome);
      sent.replying = replying;
      this.#conclude(sequenced, outcome, sent);
      return {
        reply: replying.reply,
        backend: 'legacy',
        primaryMs: durationMs,
        status: outcome === 'refused' ? 'refused' : 'answered',
      };
    } catch (error) {
      this.#conclude(sequenced, outcomeOfFailure(error), sent);
      throw error;
    }
  }

  async #sendToOrchestrator(sequenced: Sequenced): Promise<Answer> {
    const { clock, emit, orchestratorPrimary, repeats } = this.#parts;
    const { operation, lane } = sequenced;
    const sentAtMs = clock.now();
    lane.beginWrite();
    try {
      if (!(await this.#parts.outcomeRecorder.recorded(lane.key, latestSend(operation)))) throw stillOpen();
      await this.#parts.admit(lane);
      emit('write:sent', labelsOf(sequenced));
      const { outcome, reply, named } = await orchestratorPrimary.write(sequenced);
      const replying = repeats.replying(sequenced, reply, outcome);
      this.#ended(naming(sequenced, named), outcome, repeats.handedOver(replying));
      return {
        reply: replying.reply,
        backend: 'orchestrator',
        primaryMs: clock.now() - sentAtMs,
        status: outcome === 'refused' ? 'refused' : 'answered',
      };
    } catch (error) {
      if (!(error instanceof UnknownEnd)) {
        this.#ended(sequenced, 'not_applied');
        throw error;
      }
      void this.#close(sequenced, error.open);
      throw new ConnectionError('the orchestrator did not answer', { effect: 'unknown', reason: 'timeout' });
    }
  }

  /** The lane takes no write until the orchestrator has said what became of this one (W11), or a return to legacy has recorded that. */
  async #close(sequenced: Sequenced, open: UnknownEnd['open']): Promise<void> {
    const { lane, write } = sequenced;
    const { orchestratorPrimary, repeats } = this.#parts;
    const { promise: known, resolve: end } = Promise.withResolvers<void>();
    repeats.unanswered(sequenced, known);
    lane.beginClosing();
    try {
      // Another replica that is the lane's home does not close it, because it closes only what dead replicas left open.
      const closed = await orchestratorPrimary.close(open, () => lane.epoch > sequenced.epoch);
      if (closed === 'given_up') return lane.endWrite();
      if (closed.reply !== undefined) await repeats.keep(write, closed.reply);
      this.#ended(naming(sequenced, open.named), closed.outcome);
    } finally {
      lane.endClosing();
      end();
    }
  }

  /** The outcome of a write whose primary is the orchestrator. */
  #ended(sequenced: Sequenced, outcome: Outcome, known?: Promise<unknown>): void {
    const { lane, write } = sequenced;
    lane.endWrite();
    this.#parts.emit('write:answered', { ...labelsOf(sequenced), outcome });
    if (outcome === 'applied') {
      lane.appliedUpTo(write.sequence);
      // Legacy gets nothing that came after the service had become read-only. The journal keeps it.
      if (isStillHome(sequenced) && sequenced.writes === 'open') this.#parts.deliver(lane, write);
    }
    void this.#record(sequenced, { outcome }, known);
  }

  /** While it waits for the service, another write's outcome may become unknown. It then waits until that one is settled. */
  async #call(sequenced: Sequenced, sent: Sent): Promise<TimedReply> {
    const { operation } = sequenced;
    for (;;) {
      let isShut = false;
      if (this.#parts.clock.now() > latestSend(operation)) throw tooLate();
      const maySend = (): boolean => {
        isShut = this.#parts.isShut(operation);
        return !isShut && this.#parts.mayAct();
      };
      try {
        return await this.#parts.callLegacy(operation, 'live', {
          maySend,
          onSent: () => {
            sent.atMs = this.#parts.clock.now();
            this.#parts.emit('write:sent', labelsOf(sequenced));
          },
          onLate: (reply) => void this.#cameLate(sequenced, sent, reply),
        });
      } catch (error) {
        if (!isShut) throw error;
        await this.#parts.gate(operation);
      }
    }
  }

  /**
   * A copy that has already begun, here or at another home, may have read before the write took effect. The lane is then settled
   * again.
   */
  async #cameLate(sequenced: Sequenced, sent: Sent, reply: Reply): Promise<void> {
    const { lane, operation } = sequenced;
    const { settling, recorded, generation } = sent;
    // First, because a known outcome hides the missing reply from later repeats.
    await this.#parts.repeats.keep(sequenced.write, reply);
    const outcome = writeActionOf(operation).outcome(readReply(reply.body), operation.message);
    const isResolved =
      settling !== undefined &&
      recorded !== undefined &&
      outcome !== 'unknown' &&
      // The copy that is due knows when, and hides the owner's earlier life.
      !(outcome === 'applied' && (this.#isStoredLate(sequenced) || beginsAgain(sequenced))) &&
      (await this.#parts.lateReplies.resolve({ sequenced, settling, recorded, generation }, outcome));
    if (!isResolved && (lane.generation !== generation || !this.#parts.isAlone()))
      this.#parts.settleAnew(lane, operation, sent.atMs);
  }

  #isStoredLate({ operation, acceptedAtMs }: Sequenced): boolean {
    return mayBeStoredLate(operation.service, this.#parts.clock.now() - acceptedAtMs);
  }

  /** Records the outcome with the next group commit. The agent does not wait for it. */
  #conclude(sequenced: Sequenced, outcome: Outcome, sent: Sent): void {
    const { emit } = this.#parts;
    const { lane, operation } = sequenced;
    lane.endWrite();
    emit('write:answered', { ...labelsOf(sequenced), outcome });
    const seedsUnder = seedOf(sequenced);
    if (outcome === 'applied') this.#applied(sequenced, seedsUnder);
    const settling = outcome === 'unknown' ? this.#parts.settle(lane, operation, sent.atMs) : undefined;
    const known = this.#knownOf(sequenced, { marked: settling?.marked, replying: sent.replying });
    const record = (after = known): Promise<boolean> =>
      this.#record(sequenced, { outcome, seedsUnder }, after);
    const isAgain = outcome === 'applied' && beginsAgain(sequenced);
    const recorded = isAgain
      ? this.#parts.beganAgain(lane, (marked) => record(Promise.all([known, marked])))
      : record();
    if (settling !== undefined) Object.assign(sent, { settling, recorded });
  }

  /**
   * Must be recorded before the outcome. First, whether the agent has its reply, because otherwise a repeat after a crash would
   * count as new. Second, that the outcome is unknown, before another replica may write to the lane. This replica's own writes
   * check `lane.replying`.
   */
  #knownOf(
    sequenced: Sequenced,
    {
      marked,
      replying,
    }: { readonly marked?: Promise<void> | undefined; readonly replying?: Replying | undefined },
  ): Promise<unknown> | undefined {
    const { repeats } = this.#parts;
    if (marked !== undefined) repeats.unanswered(sequenced, marked);
    const isHandedOver = replying && repeats.handedOver(replying);
    return this.#parts.isAlone() ? isHandedOver : Promise.all([marked, isHandedOver]);
  }

  async #record(
    sequenced: Sequenced,
    end: { readonly outcome: Outcome; readonly seedsUnder?: number | undefined },
    known?: Promise<unknown>,
  ): Promise<boolean> {
    const { outcome, seedsUnder } = end;
    const recorded = { ref: sequenced.write, outcome, ...(seedsUnder !== undefined && { seedsUnder }) };
    const when = { after: known, isInOrder: sequenced.primary === 'orchestrator' };
    const isDurable = await this.#parts.outcomeRecorder.record(recorded, when);
    this.#recorded(sequenced, outcome, isDurable);
    return isDurable;
  }

  #recorded(sequenced: Sequenced, outcome: Outcome, isDurable: boolean): void {
    const { lane } = sequenced;
    if (!isDurable) return this.#notRecorded(sequenced);
    this.#parts.written(lane);
    this.#parts.emit('write:recorded', { ...labelsOf(sequenced), outcome });
    const waits = outcome === 'applied' && !this.#parts.released(sequenced);
    if (waits && !isStillHome(sequenced)) this.#parts.tellHome(lane);
    // The journal has a row of the lane from now on, and no delivery of this write would request its first copy.
    if (
      sequenced.primary === 'legacy' &&
      hasNoEffect(outcome) &&
      isStillHome(sequenced) &&
      lane.seededCoverage !== sequenced.coverage
    )
      this.#parts.copySoon(lane, 'unseeded');
  }

  /** The intent stays open in the journal. The next start settles it, or closes its sequence. */
  #notRecorded({ lane, primary }: Sequenced): void {
    if (primary === 'legacy') this.#parts.copySoon(lane, 'outcome_not_recorded');
  }

  #applied(sequenced: Sequenced, seedsUnder: number | undefined): void {
    const { lane, write, coverage } = sequenced;
    lane.appliedUpTo(write.sequence);
    if (seedsUnder !== undefined) lane.seededUnder(coverage);
    // Before its delivery, which waits for the copy.
    if (this.#isStoredLate(sequenced)) this.#parts.copySoon(lane, 'stored_late');
    // The lane's home is notified when the outcome is durable.
    if (!isStillHome(sequenced)) return;
    this.#parts.deliver(lane, write);
    if (lane.seededCoverage !== coverage) this.#parts.copySoon(lane, 'unseeded');
  }

  async #unjournaled(operation: OwnedOperation): Promise<Answer> {
    if (!this.#parts.mayPass()) throw asleep();
    const end = this.#parts.unjournaled.begin(operation.service);
    try {
      const { reply, durationMs } = await this.#parts.callLegacy(operation, 'live', {
        onLate: () => this.#unjournaledCameLate(operation),
      });
      end('certain');
      return { reply, backend: 'legacy', primaryMs: durationMs };
    } catch (error) {
      end(outcomeOfFailure(error) === 'unknown' ? 'unknown' : 'certain');
      throw error;
    }
  }

  /** Coverage may have begun meanwhile, and the lane may have been copied without this write. */
  #unjournaledCameLate(operation: OwnedOperation): void {
    if (this.#coverageOf(operation) === 0) return;
    const lane = this.#parts.lanes.of(operation.service.name, operation.owner, operation.lane);
    // An agent deleted the items, as with anything that vanished while writes were not journaled.
    lane.unseed();
    this.#parts.copySoon(lane, 'late_unjournaled');
  }

  #coverageOf(operation: OwnedOperation): number {
    return this.#parts.coverage.get(operation.service.name)?.number ?? 0;
  }
}

/** The agent gets an error that says that the journal cannot be written. */
function isOfTheJournal(error: unknown): error is CrossfadeError {
  if (error instanceof StorageError) return true;
  return error instanceof ConnectionError && (error.reason === 'slow' || error.reason === 'no_lease');
}

function hasNoEffect(outcome: Outcome): boolean {
  return outcome === 'refused' || outcome === 'not_applied';
}

/**
 * While the write waited for its reply or a durable outcome, the others may have removed this replica, or it may have lost the
 * lane. If it has become the home again, it does not know what waits.
 */
function isStillHome({ lane, isHome, forgotten }: Sequenced): boolean {
  return isHome && lane.isHome && lane.forgotten === forgotten;
}

/** What a write needs of {@link Repeats}. */
type WrittenRepeats = Pick<
  Repeats,
  'judge' | 'settled' | 'quiet' | 'waiting' | 'replying' | 'unanswered' | 'handedOver' | 'keep'
>;

export interface WriteParts {
  readonly sequencer: Pick<Sequencer, 'sequence'>;
  /** Where writes go while the journal is away. Absent: they are refused. */
  readonly spill?: SpillPath | undefined;
  readonly outcomeRecorder: Pick<OutcomeRecorder, 'record' | 'recorded'>;
  readonly lateReplies: Pick<LateReplies, 'resolve'>;
  readonly lanes: Lanes;
  readonly callLegacy: CallLegacy;
  readonly orchestratorPrimary: Pick<OrchestratorPrimary, 'write' | 'close'>;
  /** Undefined if the lane may answer now. Rejects while a restored database lacks something of it. */
  admit(lane: Lane): Promise<void> | undefined;
  readonly clock: Clock;
  readonly emit: Emit;
  readonly coverage: ReadonlyMap<string, Coverage>;
  readonly unjournaled: Pick<Unjournaled, 'begin'>;
  readonly repeats: WrittenRepeats;
  /** Whether no other replica writes. */
  isAlone(): boolean;
  /** An applied write waits for delivery. Takes it over at once and never throws. */
  deliver(lane: Lane, write: PendingWrite): void;
  /** An applied write waits for delivery by the lane's home, which is another replica. Never throws. */
  tellHome(lane: Lane): void;
  /** Whether legacy never gets the applied write. The journal then need not keep it. Never throws. */
  released(written: Sequenced): boolean;
  /** The outcome of a write of the lane is durable, or its durability is unknown. Never throws. */
  written(lane: Lane): void;
  /** The lane has no copy on the secondary yet, or its history is uncertain. It must be copied. */
  copySoon(lane: Lane, reason: CopyCause): void;
  /** The service had forgotten what the orchestrator holds of the owner's earlier life. The lane is marked, recorded, then copied. */
  beganAgain(lane: Lane, record: (marked: Promise<void>) => Promise<boolean>): Promise<boolean>;
  /** The outcome of a write that was sent at this time is unknown (W7). Settles it in the background. */
  settle(lane: Lane, operation: OwnedOperation, sentAtMs: number): Settling;
  /** Its late reply has come, and a copy may have read before it took effect. The lane is settled again. */
  settleAnew(lane: Lane, operation: OwnedOperation, sentAtMs: number): void;
  /** Whether this replica may still send a write, because no other replica takes over its lanes. */
  mayAct(): boolean;
  /** Whether it knows what the others do. While it was paused, they may have begun to journal. */
  mayPass(): boolean;
  /** Resolves when a write of the lane may begin. Legacy's probes are awaited only where legacy gets the write. */
  begin(operation: OwnedOperation, lane: Lane): Promise<void>;
  /** Resolves when the service may be written to: after an unknown outcome, only once it has answered its probes. */
  gate(operation: OwnedOperation): Promise<void>;
  /** Whether the service must not be written to now. */
  isShut(operation: OwnedOperation): boolean;
}
