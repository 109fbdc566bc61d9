import { messageOf, StorageError } from '../../domain/errors.ts';
import type { LaneKey, OperationId } from '../../domain/ids.ts';
import type { Emit } from '../ports/events.ts';
import type { Clock } from '../../shared/clock.ts';
import type { Journal, RecordedOutcome } from '../ports/ports.ts';
import type { Signals } from '../signals.ts';
import { backoffMs } from '../../shared/backoff.ts';
import { within } from '../../shared/within.ts';

const RETRY = { firstMs: 250, longestMs: 5_000 };
/** Intervals of checks whether the outcomes of a lane are durable, and how long they are awaited. */
const LOOK = { firstMs: 2, longestMs: 250 };
const PATIENCE_MS = 2_000;
/** Most outcomes in memory while the journal is away. The next start finds further ones unsettled. */
const LIMIT = 20_000;
/**
 * A statement whose connection broke may commit up to this much later. Most do so soon, and until that is checked they block
 * other replicas.
 */
const LATE_COMMITS_MS = [1_000, 4_000, 10_000, 60_000];

/** A process that ends waits this long for a journal that does not answer. */
const LAST_PATIENCE_MS = 2_000;

/** When an outcome is written. */
interface When {
  /** Not before this. */
  readonly after?: Promise<unknown> | undefined;
  /**
   * The orchestrator tells only what became of a lane's newest write. So where it is the primary, the outcomes of a lane become durable in
   * sequence, and each before the next write is sent.
   */
  readonly isInOrder?: boolean;
}

export interface OutcomeRecorderParts {
  readonly journal: Pick<Journal, 'recordOutcome' | 'abandon'>;
  readonly clock: Clock;
  readonly emit: Emit;
  readonly signals: Pick<Signals, 'note'>;
}

/**
 * Writes outcomes until they are durable, because a write that stays open in the journal keeps every other replica out of its
 * lane.
 */
export class OutcomeRecorder {
  readonly #parts: OutcomeRecorderParts;
  #waiting = 0;
  /** One signal per wait: notifying 20,000 listeners of one signal takes a second. */
  readonly #sleepers = new Set<AbortController>();
  #isStopping = false;
  /** Nothing is retried from this time on. */
  #endsAtMs = Infinity;
  /** By lane: the sequences of writes whose outcomes are known here and not durable yet. */
  readonly #open = new Map<LaneKey, Set<number>>();
  /** By lane: whether all outcomes that are written in order are durable. Lanes without such an outcome on its way have no entry. */
  readonly #inOrder = new Map<LaneKey, Promise<boolean>>();

  constructor(parts: OutcomeRecorderParts) {
    this.#parts = parts;
  }

  /** Resolves with whether it is durable: false if there are too many, or if the process ends. */
  async record(outcome: RecordedOutcome, when: When = {}): Promise<boolean> {
    const { lane, sequence } = outcome.ref;
    const open = this.#open.get(lane) ?? new Set();
    this.#open.set(lane, open.add(sequence));
    const isDurable = await this.#record(outcome, when);
    open.delete(sequence);
    if (open.size === 0) this.#open.delete(lane);
    return isDurable;
  }

  async #record(outcome: RecordedOutcome, { after, isInOrder = false }: When): Promise<boolean> {
    const write = (): Promise<void> => this.#parts.journal.recordOutcome(outcome);
    if (isInOrder) return this.#recordInOrder(outcome.ref.lane, after, write);
    if (after !== undefined) await after;
    return this.untilDone(write);
  }

  #recordInOrder(lane: LaneKey, after: When['after'], write: () => Promise<void>): Promise<boolean> {
    const earlier = this.#inOrder.get(lane);
    const recorded = (async () => {
      await after;
      return (await earlier) !== false && (await this.#repeat(write));
    })();
    this.#inOrder.set(lane, recorded);
    void recorded.then((isDurable) => {
      if (isDurable && this.#inOrder.get(lane) === recorded) this.#inOrder.delete(lane);
    });
    return recorded;
  }

  /** Waits until the outcomes of the lane's earlier writes are durable. Resolves with whether they are at that time. */
  async recorded(lane: LaneKey, untilMs: number): Promise<boolean> {
    const earlier = this.#inOrder.get(lane);
    if (earlier === undefined) return true;
    const late = new Error('not durable in time');
    return within(earlier, untilMs - this.#parts.clock.now(), { what: () => late }).catch(() => false);
  }

  /**
   * Resolves when every outcome that is known here, up to this sequence, is durable. Until then the journal says less of the lane.
   * @throws StorageError if the journal takes them too late
   */
  async recordedUpTo(lane: LaneKey, sequence: number): Promise<void> {
    const { clock } = this.#parts;
    const untilMs = clock.now() + PATIENCE_MS;
    const isOpen = (): boolean => [...(this.#open.get(lane) ?? [])].some((open) => open <= sequence);
    for (let looks = 1; isOpen(); looks += 1) {
      if (clock.now() >= untilMs)
        throw new StorageError('an outcome of the lane is not durable yet', { effect: 'not_applied' });
      await clock.sleep(backoffMs(looks, LOOK));
    }
  }

  /** An intent may be durable although its commit was reported as failed. Nothing of it was or will be sent. */
  abandon(lane: LaneKey, operationId: OperationId): void {
    void this.#abandon(async () => {
      await this.#inOrder.get(lane);
      await this.#parts.journal.abandon(lane, operationId);
      // The intent became durable, or may do so, without a confirmation. This replica may be the lane's home then.
      this.#parts.signals.note(lane);
    });
  }

  async #abandon(look: () => Promise<void>): Promise<void> {
    const { clock } = this.#parts;
    await this.untilDone(look);
    const sinceMs = clock.now();
    for (const afterMs of LATE_COMMITS_MS) {
      await this.#pause(Math.max(0, sinceMs + afterMs - clock.now()));
      if (this.#isStopping) return;
      await this.untilDone(look);
    }
  }

  /**
   * Retries everything at once. Resolves when all of it is in the journal, or after a time limit, because a take-over would find
   * it open.
   */
  async stop(): Promise<void> {
    const { clock } = this.#parts;
    this.#endsAtMs = clock.now() + LAST_PATIENCE_MS;
    this.#isStopping = true;
    for (const sleeper of this.#sleepers) sleeper.abort();
    while (this.#waiting > 0 && clock.now() < this.#endsAtMs) await clock.sleep(1);
  }

  /** Repeats a write to the journal until it is durable. Resolves with whether it is. */
  async untilDone(work: () => Promise<void>): Promise<boolean> {
    return this.#waiting < LIMIT && this.#repeat(work);
  }

  async #repeat(work: () => Promise<void>): Promise<boolean> {
    this.#waiting += 1;
    try {
      for (let tried = 1; ; tried += 1) {
        if (await this.#isDone(work)) return true;
        if (this.#parts.clock.now() >= this.#endsAtMs) return false;
        await this.#pause(backoffMs(tried, RETRY));
      }
    } finally {
      this.#waiting -= 1;
    }
  }

  /** Not longer than the first wait, once the process ends. */
  async #pause(ms: number): Promise<void> {
    const sleeper = new AbortController();
    this.#sleepers.add(sleeper);
    await this.#parts.clock.sleep(this.#isStopping ? RETRY.firstMs : ms, sleeper.signal);
    this.#sleepers.delete(sleeper);
  }

  async #isDone(work: () => Promise<void>): Promise<boolean> {
    try {
      await work();
      return true;
    } catch (error) {
      this.#parts.emit('journal:failed', { reason: messageOf(error) });
      return false;
    }
  }
}
