import { ConnectionError, StorageError } from '../domain/errors.ts';
import type { Outcome } from '../domain/outcome.ts';
import { readReply } from '../domain/request.ts';
import type { CallLegacy, TimedReply } from './call-legacy.ts';
import type { Decision } from './decide.ts';
import type { Emit } from './events.ts';
import type { Answer } from './handle.ts';
import type { Lane, Lanes } from './lanes.ts';
import type { LateReplies } from './late-reply.ts';
import type { OwnedOperation } from './operation.ts';
import type { Clock, PendingWrite, Reply } from './ports.ts';
import { latestSend, sequencedLabels as labelsOf, type Sequenced, type Sequencer } from './sequence-write.ts';
import type { Coverage } from './service-runtime.ts';
import type { Settlements } from './settlements.ts';
import type { Settling } from './settle.ts';
import type { Unjournaled } from './unjournaled.ts';
import { outcomeOfFailure, seedOf, tooLate, writeActionOf } from './write-outcome.ts';

/** Why a write asks for a copy of its lane. */
export type CopyCause = 'unseeded' | 'began_again' | 'outcome_not_recorded' | 'late_unjournaled';

export interface WriteParts {
  readonly sequencer: Sequencer;
  readonly settlements: Settlements;
  readonly lateReplies: LateReplies;
  readonly lanes: Lanes;
  readonly callLegacy: CallLegacy;
  readonly clock: Clock;
  readonly emit: Emit;
  readonly coverage: ReadonlyMap<string, Coverage>;
  readonly unjournaled: Unjournaled;
  /** An applied write waits for delivery. Takes it over at once and never throws. */
  deliver(lane: Lane, write: PendingWrite): void;
  /** An applied write waits for its delivery by the lane's home, which is another replica. Never throws. */
  tellHome(lane: Lane): void;
  /** The lane has no copy on the secondary yet, or its history is uncertain: it must be copied. */
  copySoon(lane: Lane, reason: CopyCause): void;
  /** The outcome of a write that was sent at this instant is unknown (W7): settles it, off the agent's path. */
  settle(lane: Lane, operation: OwnedOperation, sentAtMs: number): Settling;
  /** Whether this replica may still send a write: nobody takes over its lanes. */
  mayAct(): boolean;
  /** Whether it knows what the others do: while it stood still, they may have begun to journal. */
  mayPass(): boolean;
  /** Resolves when the service may be written to: after an unknown outcome, only once it answered its probes. */
  gate(operation: OwnedOperation): Promise<void>;
  /** Whether the service must not be written to at this moment. */
  isShut(operation: OwnedOperation): boolean;
}

/** When a write was handed to the service, the lane's generation before, and what is under way where its outcome is unknown. */
interface Sent {
  atMs: number;
  readonly generation: number;
  settling?: Settling;
  recorded?: Promise<boolean>;
}

/** SEMANTICS "Life of a write", primary = legacy. */
export class WritePath {
  readonly #parts: WriteParts;

  constructor(parts: WriteParts) {
    this.#parts = parts;
  }

  write(operation: OwnedOperation, decision: Decision): Promise<Answer> {
    return decision.dualWrite ? this.#journaled(operation) : this.#unjournaled(operation);
  }

  async #journaled(operation: OwnedOperation): Promise<Answer> {
    const lane = this.#parts.lanes.of(operation.service.name, operation.owner);
    const release = await lane.turn.take(latestSend(operation));
    try {
      await this.#parts.gate(operation);
      const sequenced = await this.#parts.sequencer.sequence(operation, lane);
      return await this.#send(sequenced);
    } catch (error) {
      if (error instanceof StorageError) this.#parts.emit('journal:failed', { reason: error.message });
      throw error;
    } finally {
      release();
    }
  }

  async #send(sequenced: Sequenced): Promise<Answer> {
    const { operation, lane } = sequenced;
    const sent: Sent = { atMs: this.#parts.clock.now(), generation: lane.generation };
    lane.inFlight += 1;
    lane.activity += 1;
    try {
      const { reply, durationMs } = await this.#call(sequenced, sent);
      const outcome = writeActionOf(operation).outcome(readReply(reply.body), operation.message);
      this.#conclude(sequenced, outcome, sent);
      return {
        reply,
        backend: 'legacy',
        primaryMs: durationMs,
        status: outcome === 'refused' ? 'refused' : 'answered',
      };
    } catch (error) {
      this.#conclude(sequenced, outcomeOfFailure(error), sent);
      throw error;
    }
  }

  /** While it waits for the service another write's outcome may have become unknown: then it waits until that one is through. */
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

  /** A copy that has begun already may have read before the write took effect: then the lane is settled again. */
  async #cameLate(sequenced: Sequenced, sent: Sent, reply: Reply): Promise<void> {
    const { lane, operation } = sequenced;
    const { settling, recorded, generation } = sent;
    const outcome = writeActionOf(operation).outcome(readReply(reply.body), operation.message);
    if (settling !== undefined && recorded !== undefined && outcome !== 'unknown')
      await this.#parts.lateReplies.resolve({ sequenced, settling, recorded, generation }, outcome);
    if (lane.generation !== generation) this.#parts.settle(lane, operation, sent.atMs);
  }

  /** Writes the outcome down with the next group commit; the agent does not wait for it. */
  #conclude(sequenced: Sequenced, outcome: Outcome, sent: Sent): void {
    const { emit } = this.#parts;
    const { lane, operation, write } = sequenced;
    lane.inFlight -= 1;
    lane.activity += 1;
    emit('write:answered', { ...labelsOf(sequenced), outcome });
    const seedsUnder = outcome === 'applied' ? this.#applied(sequenced) : undefined;
    const recorded = this.#parts.settlements.record({
      ref: write,
      outcome,
      ...(seedsUnder !== undefined && { seedsUnder }),
    });
    if (outcome === 'unknown') {
      sent.settling = this.#parts.settle(lane, operation, sent.atMs);
      sent.recorded = recorded;
    }
    void recorded.then((isDurable) => this.#recorded(sequenced, outcome, isDurable));
  }

  #recorded(sequenced: Sequenced, outcome: Outcome, isDurable: boolean): void {
    const { lane, isHome } = sequenced;
    // The intent stays unsettled in the journal: its lane is copied, now and at the next start.
    if (!isDurable) return this.#parts.copySoon(lane, 'outcome_not_recorded');
    this.#parts.emit('write:settled', { ...labelsOf(sequenced), outcome });
    if (outcome === 'applied' && !isHome) this.#parts.tellHome(lane);
  }

  #applied(sequenced: Sequenced): number | undefined {
    const { operation, lane, write, coverage, isHome } = sequenced;
    lane.applied = write.sequence;
    const seedsUnder = seedOf(sequenced);
    if (seedsUnder !== undefined) lane.seededCoverage = coverage;
    // The lane's home is told when the outcome is durable.
    if (!isHome) return seedsUnder;
    this.#parts.deliver(lane, write);
    const provesEmpty = writeActionOf(operation).provesEmpty === true;
    if (lane.seededCoverage !== coverage) this.#parts.copySoon(lane, 'unseeded');
    // What the orchestrator still holds of the owner's earlier life was forgotten by the service.
    else if (provesEmpty && seedsUnder === undefined) this.#parts.copySoon(lane, 'began_again');
    return seedsUnder;
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

  /** Coverage may have begun meanwhile, and the lane been copied without it. */
  #unjournaledCameLate(operation: OwnedOperation): void {
    if (this.#coverageOf(operation) === 0) return;
    const lane = this.#parts.lanes.of(operation.service.name, operation.owner);
    // What it deleted was deleted by an agent, as what vanished while nothing was journaled.
    lane.seededCoverage = 0;
    this.#parts.copySoon(lane, 'late_unjournaled');
  }

  #coverageOf(operation: OwnedOperation): number {
    return this.#parts.coverage.get(operation.service.name)?.number ?? 0;
  }
}

function asleep(): ConnectionError {
  return new ConnectionError('this replica has not heard of the others for seconds', {
    effect: 'not_applied',
    reason: 'no_lease',
  });
}
