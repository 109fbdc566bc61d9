import { ConnectionError } from '../../domain/errors.ts';
import type { Outcome } from '../../domain/outcome.ts';
import type { Emit } from '../ports/events.ts';
import type { Lane, ReplyUnderWay } from '../lane/lane.ts';
import type { AgentReply, OwnedOperation } from '../ports/operation.ts';
import type { Clock } from '../../shared/clock.ts';
import type { Reply, WriteRef } from '../ports/ports.ts';
import { within } from '../../shared/within.ts';
import { latestSend, type Sequenced } from './sequence-write.ts';
import { backoffMs } from '../../shared/backoff.ts';

/** Share of its deadline that a repeat waits for the equal write to be settled. */
const LONGEST_WAIT = 0.5;
/** Intervals of checks whether the equal write is settled. */
const LOOK = { firstMs: 5, longestMs: 100 };
/** A frontend usually knows within microseconds whether a reply can be sent. This limit is for one that never reports it. */
const LONGEST_REPLYING_MS = 100;

interface RepeatParts {
  readonly kept: KeptReplies;
  readonly clock: Clock;
  readonly emit: Emit;
  /** Repeats a write to the journal until it is durable. Never rejects. */
  untilDone(work: () => Promise<void>): Promise<boolean>;
}

/**
 * The verdict on a request that equals an earlier one without a reply: already answered, wait, or a write of its own.
 */
export type Verdict = { readonly reply: Reply } | 'wait' | 'new';

/** A reply on its way to its agent. */
export interface Replying {
  readonly reply: AgentReply;
  /** Resolves when the agent has it, or when it is kept for a repeat. */
  readonly known: Promise<void>;
  /** Resolves with whether the agent has it, when the frontend reports that. */
  readonly told: Promise<boolean>;
}

/**
 * Agents that got no reply send the request again. A repeat is answered from the stored reply only while the first call's outcome
 * is unknown or its reply could not be delivered. Anything else is a new write, because request ids repeat, are empty or
 * constant. A new write that was taken for a repeat would be lost.
 */
export class Repeats {
  readonly #parts: RepeatParts;
  /** Writes whose replies are awaited, oldest first. Most have come already. */
  readonly #patient: { readonly untilMs: number; readonly end: () => void }[] = [];

  constructor(parts: RepeatParts) {
    this.#parts = parts;
  }

  /**
   * Resolves when it is known for every equal request of the lane whether its agent has the reply, and the journal has recorded
   * that.
   * @throws ConnectionError effect `not_applied`, reason `unsettled_twin`, at half the deadline
   */
  async quiet(lane: Lane, operation: OwnedOperation): Promise<void> {
    const { clock } = this.#parts;
    const seen = new Set<ReplyUnderWay>();
    for (;;) {
      const under = lane.replying.find((one) => !seen.has(one) && isEqual(one, operation));
      if (under === undefined) return;
      seen.add(under);
      // It may have waited for the service until no time is left.
      const leftMs = Math.max(0, this.#leftMs(operation));
      await Promise.race([under.known, clock.sleep(Math.min(LONGEST_REPLYING_MS, leftMs))]);
      if (!under.lacksReply) continue;
      await Promise.race([under.known, clock.sleep(waitUntil(operation) - clock.now())]);
      if (lane.replying.includes(under)) throw this.#comeAgain(operation);
    }
  }

  /** @throws StorageError */
  async judge(sequenced: Sequenced): Promise<Verdict> {
    const { operation } = sequenced;
    const twins = await this.#twins(sequenced);
    if (twins.length === 0) return 'new';
    const mayAnswer = isAnswerable(operation, twins);
    if (!mayAnswer && twins.some(({ isUnsettled }) => isUnsettled)) return 'wait';
    const sequences = twins.map(({ sequence }) => sequence);
    // First, because if the answer of the journal is lost, the equal writes cannot be found a second time.
    if (!mayAnswer) this.#said(operation, 'suspected_duplicate');
    const reply = await this.#take(sequenced, sequences);
    if (!mayAnswer) return 'new';
    this.#said(operation, reply === undefined ? 'suspected_duplicate' : 'answered');
    return reply === undefined ? 'new' : { reply };
  }

  /**
   * If the journal does not answer in time with the kept reply, the reply is kept again, because this repeat's agent got none.
   * The next repeat would otherwise find the equal writes taken.
   * @throws StorageError, ConnectionError effect `not_applied`
   */
  async #take({ operation, write }: Sequenced, sequences: readonly number[]): Promise<Reply | undefined> {
    const { kept } = this.#parts;
    const take = (): Promise<Reply | undefined> => kept.take(write, sequences);
    try {
      return await within(take(), this.#leftMs(operation), { what: 'the journal' });
    } catch (error) {
      void this.#parts.untilDone(async () => {
        const reply = await take();
        if (reply !== undefined) await kept.keep(write, reply);
      });
      throw error;
    }
  }

  /**
   * Resolves when the equal writes of a request are settled.
   * @throws ConnectionError effect `not_applied`, reason `unsettled_twin`, at half the deadline
   */
  async settled(sequenced: Sequenced): Promise<void> {
    const { operation } = sequenced;
    const { clock } = this.#parts;
    for (let looks = 1; ; looks += 1) {
      const lookInMs = backoffMs(looks, LOOK);
      if (clock.now() + lookInMs > waitUntil(operation)) throw this.#comeAgain(operation);
      await clock.sleep(lookInMs);
      const twins = await this.#twins(sequenced);
      if (isAnswerable(operation, twins) || !twins.some(({ isUnsettled }) => isUnsettled)) return;
    }
  }

  /** Equal writes whose agent has no reply. @throws StorageError, ConnectionError effect `not_applied` at the latest send */
  async #twins({ operation, write }: Sequenced): Promise<UnansweredWrite[]> {
    const looked = this.#parts.kept.unanswered(write, operation.name);
    const writes = await within(looked, this.#leftMs(operation), { what: 'the journal' });
    return writes.filter(({ request }) => request === write.request);
  }

  #leftMs(operation: OwnedOperation): number {
    return latestSend(operation) - this.#parts.clock.now();
  }

  #comeAgain(operation: OwnedOperation): ConnectionError {
    this.#said(operation, 'waited');
    return new ConnectionError(`an equal write of ${operation.service.name} is not settled yet`, {
      effect: 'not_applied',
      reason: 'unsettled_twin',
    });
  }

  #said(operation: OwnedOperation, result: 'answered' | 'waited' | 'suspected_duplicate'): void {
    const { id, service, name, lane } = operation;
    this.#parts.emit('write:repeated', {
      operationId: id,
      service: service.name,
      action: name,
      lane,
      result,
    });
  }

  /** The reply is about to go to the agent. If the agent is gone, the reply is kept. */
  replying({ operation, lane, write }: Sequenced, reply: Reply, outcome: Outcome): Replying {
    let tell: (isDelivered: boolean) => void = () => undefined;
    const told = new Promise<boolean>((resolve) => {
      tell = resolve;
    });
    const known = told.then((isDelivered) => {
      under.lacksReply = !isDelivered;
      if (!isDelivered) return this.keep(write, reply);
      // An agent that got any reply does not repeat the request; an equal one is a new request.
      return outcome === 'unknown' ? this.#close(write) : undefined;
    });
    const under = this.#underWay(lane, operation, known);
    return { reply: { ...reply, delivered: tell }, known, told };
  }

  /** It waits without the lane's turn. Equal requests that came later wait until it ends. */
  waiting({ operation, lane }: Sequenced): () => void {
    let end = (): void => undefined;
    const ended = new Promise<void>((resolve) => {
      end = resolve;
    });
    this.#underWay(lane, operation, ended).lacksReply = true;
    return end;
  }

  /** A write has no reply. Its repeats wait until the journal knows. */
  unanswered({ operation, lane }: Sequenced, known: Promise<void>): void {
    this.#underWay(lane, operation, known).lacksReply = true;
  }

  #underWay(lane: Lane, { id, name, message }: OwnedOperation, known: Promise<void>): ReplyUnderWay {
    const sinceMs = this.#parts.clock.now();
    const under = { operation: id, action: name, request: message.text, known, lacksReply: false, sinceMs };
    const [first] = lane.replying;
    // A frontend that never reports the end of a reply must not make memory grow.
    if (first !== undefined && !first.lacksReply && sinceMs - first.sinceMs > LONGEST_REPLYING_MS)
      lane.replyKnown(first);
    lane.awaitReply(under);
    void known.then(() => lane.replyKnown(under));
    return under;
  }

  /**
   * Resolves when a reply is known to be with its agent, or is kept, however long the journal takes. Does not wait for a frontend
   * that never reports the end of a reply. One timer serves all waits, because every write has one.
   */
  handedOver({ known, told }: Pick<Replying, 'known' | 'told'>): Promise<void> {
    return new Promise((resolve) => {
      let isLost = false;
      void told.then((isDelivered) => (isLost = !isDelivered));
      void known.then(resolve);
      const end = (): void => (isLost ? undefined : resolve());
      this.#patient.push({ untilMs: this.#parts.clock.now() + LONGEST_REPLYING_MS, end });
      if (this.#patient.length === 1) this.#endLater();
    });
  }

  /** All wait equally long, so the oldest ends first. */
  #endLater(): void {
    const { clock } = this.#parts;
    const [oldest] = this.#patient;
    if (oldest === undefined) return;
    void clock.sleep(oldest.untilMs - clock.now()).then(() => {
      const nowMs = clock.now();
      const rest = this.#patient.findIndex(({ untilMs }) => untilMs > nowMs);
      for (const { end } of this.#patient.splice(0, rest < 0 ? this.#patient.length : rest)) end();
      this.#endLater();
    });
  }

  /** Keeps a reply that no agent got. Never rejects. */
  async keep(ref: WriteRef, reply: Reply): Promise<void> {
    await this.#parts.untilDone(() => this.#parts.kept.keep(ref, reply));
  }

  async #close(ref: WriteRef): Promise<void> {
    await this.#parts.untilDone(async () => void (await this.#parts.kept.take(ref, [ref.sequence])));
  }
}

function isEqual(
  { operation, action, request }: ReplyUnderWay,
  { id, name, message }: OwnedOperation,
): boolean {
  return operation !== id && action === name && request === message.text;
}

function waitUntil({ request, service }: OwnedOperation): number {
  return request.receivedAtMs + service.deadlineMs * LONGEST_WAIT;
}

/** Without an id, a repeat cannot be distinguished from an agent that sends the same text twice. */
function isAnswerable(operation: OwnedOperation, twins: readonly UnansweredWrite[]): boolean {
  return hasRequestId(operation) && twins.some(({ hasReply }) => hasReply);
}

function hasRequestId({ service, message }: OwnedOperation): boolean {
  const { requestId } = service.definition;
  const id = requestId === undefined ? undefined : message.fields[requestId];
  return typeof id === 'number' || (typeof id === 'string' && id !== '');
}

/** A write whose agent may have no reply: its outcome is unknown, or its reply could not be delivered or is lost. */
export interface UnansweredWrite {
  readonly sequence: number;
  readonly request: string;
  /** Its effect is unknown so far. */
  readonly isUnsettled: boolean;
  /** The primary's reply is kept, because it came late or its agent was gone. */
  readonly hasReply: boolean;
}

/** Replies that no agent got, for 60 s. Every replica sees the same. @throws StorageError */
export interface KeptReplies {
  /** Keeps the primary's reply to a write, unless a repeat has taken the write's place meanwhile. */
  keep(ref: WriteRef, reply: Reply): Promise<void>;
  /** The write took effect, and the process that had the reply has ended. No repeat of it can be answered. */
  lost(ref: WriteRef): Promise<void>;
  /** Earlier writes of the same lane and action that may have repeats, oldest first, of the last 60 s. */
  unanswered(ref: WriteRef, action: string): Promise<readonly UnansweredWrite[]>;
  /**
   * A repeat, `by`, takes the place of these writes of its lane. None of them counts as unanswered any more.
   * @returns the kept reply of one of them; only for this repeat, any number of times
   */
  take(by: WriteRef, sequences: readonly number[]): Promise<Reply | undefined>;
}
