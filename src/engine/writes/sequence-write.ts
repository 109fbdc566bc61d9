import { randomUUID } from 'node:crypto';
import type { Backend } from '../../domain/backend.ts';
import { ConnectionError, messageOf, StorageError } from '../../domain/errors.ts';
import { type LaneKey, operationId, type ServiceName } from '../../domain/ids.ts';
import type { LaneState, NamedItem, PlacedLane } from '../../domain/lane.ts';
import type { Emit } from '../ports/events.ts';
import type { WritesState } from '../../domain/stage.ts';
import type { Lane } from '../lane/lane.ts';
import type { OwnedOperation } from '../ports/operation.ts';
import type { Clock } from '../../shared/clock.ts';
import type { Intent, Journal, PendingWrite, WriteRef } from '../ports/ports.ts';
import type { Coverage } from '../ports/service-runtime.ts';
import { within } from '../../shared/within.ts';
import type { NamedItems } from '../../domain/service-definition.ts';
import { nameItems } from '../items/copy-plan.ts';
import type { OutcomeRecorder } from './outcome-recorder.ts';
import { backoffMs } from '../../shared/backoff.ts';

/** A write with less than this share of its deadline left is not sent (W6). */
const LEAST_SHARE_LEFT = 0.2;
/** A commit that takes longer than this share of the deadline, or beyond the latest send, is not awaited (W6). */
const LONGEST_COMMIT = 0.5;
/** Pause before a lane that another replica is busy with is tried again. */
const RETRY = { firstMs: 5, longestMs: 100 };

interface SequencerParts {
  readonly journal: Pick<Journal, 'append'>;
  readonly outcomeRecorder: OutcomeRecorder;
  readonly clock: Clock;
  readonly emit: Emit;
  readonly coverage: ReadonlyMap<string, Coverage>;
  readonly resolveItems: ResolveItems;
  /** Whether every replica journals its writes to the service, and no unjournaled write is under way. */
  readonly maySeed: (service: ServiceName) => boolean;
  /** Another replica has been busy with the lane for longer than a write takes. */
  busy(lane: LaneKey): void;
  /** This replica has become the home of a lane that another has left inside a copy. */
  settleLeftOver(lane: Lane, operation: OwnedOperation): void;
}

/** A write on its way: journaled, in its lane's turn. */
export interface Sequenced {
  readonly operation: OwnedOperation;
  readonly lane: Lane;
  readonly write: PendingWrite;
  /** When it was accepted, by the monotonic clock. */
  readonly acceptedAtMs: number;
  readonly coverage: number;
  /** The backend that is primary for it, as the journal said when it stored the intent. */
  readonly primary: Backend;
  readonly epoch: number;
  /** The lane's generation when it got its place. */
  readonly generation: number;
  /** Whether its success may seed the lane, because no unjournaled write passed at the same time. */
  readonly maySeed: boolean;
  /** Whether this replica delivers and copies the lane. */
  readonly isHome: boolean;
  /** Its lane's {@link Lane.forgotten} when it got its place. */
  readonly forgotten: number;
  /** Whether it may be the repeat of a write whose agent got no reply. */
  readonly mayRepeat: boolean;
  /** Whether legacy still takes writes of the service, as the journal said when it stored the intent. */
  readonly writes: WritesState;
}

/**
 * Journals a write's intent, which gives the write its place in the lane: steps 1 and 2 of ../README.md, "Life of a write".
 */
export class Sequencer {
  readonly #parts: SequencerParts;
  /** Operations whose id an intent has. The next intent of such an operation gets another id. */
  readonly #journaled = new WeakSet<OwnedOperation>();

  constructor(parts: SequencerParts) {
    this.#parts = parts;
  }

  async sequence(operation: OwnedOperation, lane: Lane): Promise<Sequenced> {
    const { clock, emit, maySeed } = this.#parts;
    const startedAtMs = clock.now();
    const isFirst = !this.#journaled.has(operation);
    this.#journaled.add(operation);
    // An intent may be abandoned by its id, and late. A copy may give an item the id of a withdrawn write whose withdrawal is not durable yet.
    // Neither may affect the write that is tried again.
    const intent = {
      operationId: isFirst ? operation.id : operationId(randomUUID()),
      action: operation.name,
      request: operation.message.text,
      acceptedAtMs: clock.wallMs(),
      lane: operation.lane,
    };
    const { name: service } = operation.service;
    const state = await this.#inTime(operation, {
      ...intent,
      service,
      owner: operation.owner,
      // Read before the intent is stored: unjournaled writes until then took effect before it.
      coverage: maySeed(service) ? this.#coverageOf(service) : 0,
    });
    const durationMs = clock.now() - startedAtMs;
    this.#adopt(operation, lane, state);
    const { message } = operation;
    const write = await this.#named(operation, state.primary, {
      ...intent,
      message,
      laneId: state.id,
      sequence: state.sequence,
    });
    const { isHome, mayRepeat, primary, epoch, generation, writes } = state;
    const sequenced = {
      operation,
      lane,
      write,
      acceptedAtMs: startedAtMs,
      coverage: this.#coverageOf(service),
      primary,
      epoch,
      generation,
      maySeed: state.sequence === 1 && maySeed(service),
      isHome,
      forgotten: lane.forgotten,
      mayRepeat,
      writes,
    };
    emit('write:journaled', { ...sequencedLabels(sequenced), durationMs });
    return sequenced;
  }

  #coverageOf(service: ServiceName): number {
    return this.#parts.coverage.get(service)?.number ?? 0;
  }

  #inTime(operation: OwnedOperation, intent: Intent): Promise<PlacedLane> {
    const nowMs = this.#parts.clock.now();
    const mostMs = operation.service.deadlineMs * LONGEST_COMMIT;
    const patienceMs = Math.min(mostMs, latestSend(operation) - nowMs);
    return within(this.#append(intent, nowMs + patienceMs), patienceMs, {
      what: 'the journal',
      onLate: (late) => this.#notSent(operation, late),
    });
  }

  /** Where the orchestrator is primary, its items are found there. */
  async #named(operation: OwnedOperation, primary: Backend, write: PendingWrite): Promise<PendingWrite> {
    const names = operation.action.kind === 'write' ? operation.action.names : undefined;
    if (names === undefined || primary !== 'legacy') return write;
    const naming = { operation, names, ref: write, sendUntilMs: latestSend(operation) };
    const items = await this.#parts.resolveItems(naming);
    return items === undefined ? write : { ...write, items };
  }

  /** With its first write to a lane, a replica may become the home of a lane that another has left inside a copy. */
  #adopt(operation: OwnedOperation, lane: Lane, state: LaneState): void {
    const wasHome = lane.isHome;
    lane.adopt(state);
    lane.sequenced(state.sequence);
    const isLeftOver = lane.isHome && !wasHome && lane.condition === 'dirty' && !lane.isSettling;
    if (isLeftOver) this.#parts.settleLeftOver(lane, operation);
  }

  /** One write of a lane is open at a time, over all replicas. @throws ConnectionError effect `not_applied` */
  async #append(intent: Intent, untilMs: number): Promise<PlacedLane> {
    const { clock } = this.#parts;
    let isSaid = false;
    for (let tried = 1; ; tried += 1) {
      const state = await this.#tryAppend(intent);
      if (state !== undefined) return state;
      const retryInMs = backoffMs(tried, RETRY);
      if (clock.now() + retryInMs > untilMs)
        throw new ConnectionError('another replica was busy with the lane', {
          effect: 'not_applied',
          reason: 'lane_busy',
        });
      if (retryInMs === RETRY.longestMs && !isSaid) {
        isSaid = true;
        this.#parts.busy(intent.lane);
      }
      await clock.sleep(retryInMs);
    }
  }

  async #tryAppend(intent: Intent): Promise<PlacedLane | undefined> {
    const { journal, outcomeRecorder } = this.#parts;
    try {
      return await journal.append(intent);
    } catch (error) {
      const mayBeDurable = !(error instanceof StorageError) || error.effect === 'unknown';
      if (mayBeDurable) outcomeRecorder.abandon(intent.lane, intent.operationId);
      throw error;
    }
  }

  /** Its intent became durable after the agent got an error. Nothing was sent. */
  #notSent(operation: OwnedOperation, { id, sequence }: LaneState): void {
    const ref = { laneId: id, lane: operation.lane, sequence };
    void this.#parts.outcomeRecorder.record({ ref, outcome: 'not_applied' }, { isInOrder: true });
  }
}

/** After this time a write is not sent. */
export function latestSend(operation: OwnedOperation): number {
  return operation.deadlineAtMs - operation.service.deadlineMs * LEAST_SHARE_LEFT;
}

/** Legacy gets the write for the items that it was executed for. */
export function naming(sequenced: Sequenced, items: PendingWrite['items']): Sequenced {
  return items === undefined ? sequenced : { ...sequenced, write: { ...sequenced.write, items } };
}

/** The members that every event of a sequenced write has. */
export function sequencedLabels({ operation, write }: Sequenced) {
  return {
    operationId: operation.id,
    service: operation.service.name,
    action: operation.name,
    lane: operation.lane,
    sequence: write.sequence,
  };
}

/** Share of the time until the latest send that finding the items may take. */
const LONGEST_SHARE = 0.5;

interface ResolveParts {
  readonly journal: Pick<Journal, 'nameItems'>;
  readonly clock: Clock;
  readonly emit: Emit;
}

/** A journaled write that names its items by place, with its latest send. */
interface Naming {
  readonly operation: OwnedOperation;
  readonly names: NamedItems;
  readonly ref: WriteRef;
  readonly sendUntilMs: number;
}

/**
 * Finds the items that a write names, and stores them before the write is sent. It is its lane's only open write, so nothing
 * changes meanwhile. Undefined if the items are not certain. The write is then still sent, and its lane is copied. Never
 * rejects.
 */
type ResolveItems = (naming: Naming) => Promise<readonly NamedItem[] | undefined>;

export function createResolveItems({ journal, clock, emit }: ResolveParts): ResolveItems {
  const find = async (naming: Naming, untilMs: number): Promise<readonly NamedItem[]> => {
    const { operation, names } = naming;
    const { definition, access, context } = operation.service;
    const read = definition.lanes.readLegacy(operation.owner, access, context);
    // A later read may already show the effect of the write.
    const lane = await within(read, untilMs - clock.now(), { what: 'reading the lane' });
    return nameItems(lane, names.find(operation.message, lane));
  };
  return async (naming) => {
    const { operation, ref } = naming;
    const facts = { service: operation.service.name, operationId: operation.id, action: operation.name };
    const untilMs = clock.now() + (naming.sendUntilMs - clock.now()) * LONGEST_SHARE;
    try {
      const items = await find(naming, untilMs);
      const stored = journal.nameItems(ref, items);
      const isCertain = await within(stored, untilMs - clock.now(), { what: 'the journal' });
      emit('write:named', { ...facts, lane: ref.lane, result: isCertain ? 'found' : 'unsettled' });
      return isCertain ? items : undefined;
    } catch (error) {
      emit('write:named', { ...facts, lane: ref.lane, result: 'unreadable', reason: messageOf(error) });
      return undefined;
    }
  };
}
