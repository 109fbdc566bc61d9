import type { NamedItem } from '../../domain/lane.ts';
import { ConnectionError, CrossfadeError, messageOf, OperationError } from '../../domain/errors.ts';
import type { OrchestratorAnswer, PrimaryResult, PrimaryWrite } from '../../domain/orchestrator-call.ts';
import type { PrimaryFacts, PrimaryMapping } from '../../domain/service-definition.ts';
import { backoffMs } from '../../shared/backoff.ts';
import { type LaneKey, type MemoryId, type ServiceName, sessionIdOf } from '../../domain/ids.ts';
import type { Clock } from '../../shared/clock.ts';
import { nameItems } from '../items/copy-plan.ts';
import { within } from '../../shared/within.ts';
import { readContents } from '../items/lane-contents.ts';
import { writeFactsOf } from '../items/write-facts.ts';
import type { Outcome } from '../../domain/outcome.ts';
import type {
  ClosedSequence,
  Journal,
  Orchestrator,
  OrchestratorOptions,
  PrimaryFence,
  Reply,
} from '../ports/ports.ts';
import type { Emit } from '../ports/events.ts';
import type { Sequenced } from './sequence-write.ts';

/** A definition that asks for more after this many rounds of reads would never end. */
const ROUNDS = 100;
/** Pause before a write of unknown outcome, or the close of its sequence, is sent again. */
const RETRY = { firstMs: 20, longestMs: 1_000 };
/** An attempt to close a sequence may take this long. */
const CLOSE_TIMEOUT_MS = 2_000;

/** What became of a write, and the reply that legacy would have given. */
export interface PrimaryEnd {
  readonly outcome: 'applied' | 'refused';
  readonly reply: Reply;
  /** What the write names, as stored. Legacy gets the write for these. */
  readonly named?: readonly NamedItem[] | undefined;
}

/** What became of a write whose sequence is closed. The reply is absent if the process that planned the write has died. */
export interface ClosedEnd {
  readonly outcome: Exclude<Outcome, 'unknown'>;
  readonly reply?: Reply;
}

export interface OrchestratorPrimaryParts {
  readonly orchestrator: Pick<Orchestrator, 'read' | 'writeAsPrimary' | 'closeSequence'>;
  readonly journal: Pick<Journal, 'nameItems'>;
  readonly clock: Clock;
  readonly emit: Emit;
  /** Whether this replica may still send a write, because no other replica takes over its lanes. */
  readonly mayAct: () => boolean;
  /**
   * Rejects while a restored database lacks something of the lane. A later write or a closed sequence would keep out the earlier writes
   * that the orchestrator must be given again.
   */
  readonly admit: (lane: LaneKey) => Promise<void> | undefined;
  /** Whether this process answers writes of flipped lanes as all replicas have agreed. */
  readonly agrees: (service: ServiceName) => boolean;
}

/** A write of unknown outcome. Only the close of its sequence tells what became of it. */
export interface OpenWrite {
  readonly fence: PrimaryFence;
  /** Makes the reply of a result. Absent if the process that planned the write has died. */
  readonly answer?: (result: PrimaryResult) => string;
  readonly named?: readonly NamedItem[] | undefined;
}

/** The outcome of the write is unknown: its sequence must be closed. */
export class UnknownEnd extends Error {
  readonly open: OpenWrite;

  constructor(open: OpenWrite, cause: unknown) {
    super('the orchestrator has not said what became of a write', { cause });
    this.open = open;
  }
}

/** The items that a write names: their ids on the orchestrator, and what they are. */
interface Found {
  readonly items: readonly MemoryId[];
  readonly named?: readonly NamedItem[] | undefined;
}

/** Takes a journaled write to the orchestrator as its primary: ../README.md, "Moving the writes of a lane". */
export class OrchestratorPrimary {
  readonly #parts: OrchestratorPrimaryParts;
  #isStopped = false;

  constructor(parts: OrchestratorPrimaryParts) {
    this.#parts = parts;
  }

  /** @throws UnknownEnd, or CrossfadeError if the write has no effect */
  async write(sequenced: Sequenced): Promise<PrimaryEnd> {
    if (!this.#parts.agrees(sequenced.lane.service)) throw otherVersion();
    const mapping = mappingOf(sequenced);
    const { items, named } = await this.#found(sequenced);
    const { plan, facts } = await this.#planned(sequenced, mapping, items);
    if ('reply' in plan) return { outcome: 'refused', reply: replyOf(plan.reply) };
    const answer = (result: PrimaryResult): string => mapping.answer(result, facts);
    const result = await this.#untilKnown(plan, sequenced, { fence: fenceOf(sequenced), answer, named });
    return { outcome: outcomeOf(result), reply: replyOf(answer(result)), named };
  }

  /** Reads what the definition asks for. Nothing else changes the lane meanwhile. @throws CrossfadeError effect `not_applied` */
  async #planned(
    sequenced: Sequenced,
    mapping: PrimaryMapping,
    items: readonly MemoryId[],
  ): Promise<{ plan: { readonly reply: string } | PrimaryWrite; facts: PrimaryFacts }> {
    const answers: OrchestratorAnswer[] = [];
    const facts = { ...factsOf(sequenced, items), answers };
    for (let round = 0; round < ROUNDS; round += 1) {
      const plan = mapping.plan(facts);
      if (!('next' in plan)) return { plan, facts };
      const reads = plan.next.map((read) => this.#parts.orchestrator.read(read, optionsOf(sequenced)));
      answers.push(...(await withoutEffect(Promise.all(reads))));
    }
    throw new OperationError(`"${sequenced.operation.name}" asked for more than ${ROUNDS} rounds of reads`, {
      code: 'internal_error',
      effect: 'rejected',
    });
  }

  /**
   * The items that the write names by place or condition, as the orchestrator shows them now. What they are is stored, so that legacy gets
   * the write for the same items.
   */
  async #found(sequenced: Sequenced): Promise<Found> {
    const { operation, write } = sequenced;
    const names = operation.action.kind === 'write' ? operation.action.names : undefined;
    if (names === undefined) return { items: [] };
    const { orchestrator, journal } = this.#parts;
    const { lanes } = operation.service.definition;
    const sessionId = sessionIdOf(lanes.sessionPrefix, operation.owner);
    const options = (): OrchestratorOptions => optionsOf(sequenced);
    const { listed } = await withoutEffect(readContents({ orchestrator, sessionId, lanes, options }));
    const shown = listed.map(({ fields, memory }) => ({ fields, timestamp: '', at: memory.created_at }));
    const lane = { exists: true, items: shown };
    const places = names.find(operation.message, lane);
    const named = nameItems(lane, places);
    await withoutEffect(journal.nameItems(write, named));
    const items = places.flatMap((place) => (listed[place]?.memory.memory_id as MemoryId | undefined) ?? []);
    return { items, named };
  }

  /** Sends the same write until its outcome is known, or until the agent's deadline. */
  async #untilKnown(plan: PrimaryWrite, sequenced: Sequenced, open: OpenWrite): Promise<PrimaryResult> {
    const { orchestrator, clock, mayAct } = this.#parts;
    for (let tried = 1; ; tried += 1) {
      const isFirst = tried === 1;
      if (!mayAct()) throw isFirst ? noLease() : new UnknownEnd(open, noLease());
      try {
        await this.#admitted(sequenced);
        return await orchestrator.writeAsPrimary(plan, open.fence, optionsOf(sequenced));
      } catch (error) {
        // The first attempt was the only one, so its refusal says what became of the write.
        if (isFirst && isWithoutEffect(error)) throw error;
        const retryInMs = backoffMs(tried, RETRY);
        if (clock.now() + retryInMs >= sequenced.operation.deadlineAtMs) throw new UnknownEnd(open, error);
        await clock.sleep(retryInMs);
      }
    }
  }

  /** The orchestrator may have been restored since the write was planned or sent. @throws ConnectionError, also at the agent's deadline */
  async #admitted({ lane, operation }: Sequenced): Promise<void> {
    const admitted = this.#parts.admit(lane.key);
    const leftMs = operation.deadlineAtMs - this.#parts.clock.now();
    if (admitted !== undefined) await within(admitted, leftMs, { what: 'the orchestrator' });
  }

  /**
   * Closes the sequence of a write, however long the orchestrator is away. A write that had no effect never has one afterwards.
   * @param isOver ends the attempts, and a later answer does not count. Another replica or the next start closes the sequence then, or a
   * return to legacy has recorded the outcome. @defaultValue never
   */
  async close({ fence, answer }: OpenWrite, isOver?: () => boolean): Promise<ClosedEnd | 'given_up'> {
    const { orchestrator, clock } = this.#parts;
    for (let tried = 1; !this.#isStopped && isOver?.() !== true; tried += 1) {
      const deadlineAtMs = clock.now() + CLOSE_TIMEOUT_MS;
      const options = { purpose: 'probe', deadlineAtMs, operations: [fence.operationId] } as const;
      try {
        await this.#parts.admit(fence.key);
        const found = await orchestrator.closeSequence(fence, options);
        return isOver?.() === true ? 'given_up' : endOf(found, answer);
      } catch (error) {
        this.#parts.emit('write:not_closed', {
          lane: fence.key,
          sequence: fence.sequence,
          reason: messageOf(error),
        });
        await clock.sleep(backoffMs(tried, RETRY));
      }
    }
    return 'given_up';
  }

  /** The next start, or another replica, closes what is open. */
  stop(): void {
    this.#isStopped = true;
  }
}

function endOf(found: ClosedSequence, answer: OpenWrite['answer']): ClosedEnd {
  // The outcome of a write is durable before the lane's next write is sent. So a write before one that took effect was never sent.
  if (found === 'closed' || found === 'forgotten') return { outcome: 'not_applied' };
  const reply = answer === undefined ? undefined : replyOf(answer(found));
  return { outcome: outcomeOf(found), ...(reply !== undefined && { reply }) };
}

function outcomeOf(result: PrimaryResult): 'applied' | 'refused' {
  return 'results' in result ? 'applied' : 'refused';
}

function mappingOf({ operation }: Sequenced): PrimaryMapping {
  const mapping = operation.action.kind === 'write' ? operation.action.asPrimary : undefined;
  // Lanes of such a service are not flipped. The definition may have changed since.
  if (mapping !== undefined) return mapping;
  throw new ConnectionError(`the orchestrator cannot answer "${operation.name}"`, {
    effect: 'not_applied',
    reason: 'not_mapped',
  });
}

function factsOf(
  { operation: { service, owner }, write }: Sequenced,
  items: readonly MemoryId[],
): Omit<PrimaryFacts, 'answers'> {
  return { ...writeFactsOf(service, { owner, write, items }), context: service.context };
}

function fenceOf({ lane, write, epoch, generation }: Sequenced): PrimaryFence {
  return { key: lane.key, epoch, generation, sequence: write.sequence, operationId: write.operationId };
}

function optionsOf({ operation }: Sequenced): OrchestratorOptions {
  return {
    purpose: 'live',
    deadlineAtMs: operation.deadlineAtMs,
    operations: [operation.id],
    caller: operation.request.caller,
  };
}

function replyOf(text: string): Reply {
  return { body: Buffer.from(text) };
}

/** Whether the error proves that the write has no effect, and never will have one. */
function isWithoutEffect(error: unknown): boolean {
  return error instanceof CrossfadeError && error.effect !== 'unknown';
}

/** A failed read changes nothing, whatever is known of it. */
async function withoutEffect<Value>(asked: Promise<Value>): Promise<Value> {
  try {
    return await asked;
  } catch (error) {
    if (isWithoutEffect(error)) throw error;
    throw new ConnectionError('the write could not be prepared', {
      effect: 'not_applied',
      reason: 'timeout',
    });
  }
}

function otherVersion(): ConnectionError {
  return new ConnectionError('another version of the proxy answers the writes of this lane', {
    effect: 'not_applied',
    reason: 'other_version',
  });
}

function noLease(): ConnectionError {
  return new ConnectionError('this replica may not act now', { effect: 'not_applied', reason: 'no_lease' });
}

/** W11: the orchestrator has not said yet what became of an earlier write of the lane. */
export function stillOpen(): ConnectionError {
  return new ConnectionError('an earlier write of the lane is still open on the orchestrator', {
    effect: 'not_applied',
    reason: 'lane_open',
  });
}
