import { messageOf, StorageError } from '../../domain/errors.ts';
import type { LaneKey, OperationId } from '../../domain/ids.ts';
import type { Emit } from '../ports/events.ts';
import type { Clock } from '../../shared/clock.ts';
import type { Outage } from './outage.ts';
import type { Signals } from '../signals.ts';
import type { SpillPath } from './spill-path.ts';
import type {
  ReplayedLane,
  ReplayPage,
  EarlierOutcome,
  SpilledIntent,
  SpillJournal,
  SpillRecord,
  SpillStore,
} from '../ports/spill-ports.ts';

/** Size of a page that is read and replayed at once. */
const PAGE_BYTES = 1024 * 1024;
/** The rest is replayed while new writes wait, so it must be small enough for a few milliseconds. */
const LAST_RECORDS = 200;
/** Another replica's open write of a lane is waited for at this interval. */
const BUSY_RETRY_MS = 20;
/** Longest wait while this replica's own writes wait. */
const CLOSING_MS = 500;

export interface ReplayParts {
  readonly outage: Pick<Outage, 'ageMs' | 'close' | 'open'>;
  readonly path: Pick<SpillPath, 'isEntering' | 'isUnderWay' | 'replayed'>;
  readonly store: SpillStore;
  readonly journal: SpillJournal;
  readonly clock: Clock;
  readonly emit: Emit;
  readonly signals: Pick<Signals, 'spilled' | 'recover'>;
}

/** Replays what was spilled into the journal, once it answers: ../README.md, "Spilling". */
export class Replay {
  readonly #parts: ReplayParts;
  /** Writes replayed without an outcome so far, whose outcome only this replay will record. */
  readonly #open = new Map<OperationId, LaneKey>();
  /** Writes of the last requested page. The journal may hold it without having confirmed it. */
  #asked: readonly SpilledIntent[] = [];
  readonly #outOfOrder = new Set<LaneKey>();
  /** An earlier attempt or process may have replayed writes of any lane. They look as if they had been journaled. */
  #isAnyOutOfOrder = false;
  #isRunning = false;
  #hasFailed = false;
  #writes = 0;

  constructor(parts: ReplayParts) {
    this.#parts = parts;
  }

  /** The next writes to replay were spilled by an earlier process. */
  inherit(): void {
    this.#isAnyOutOfOrder = true;
  }

  /** Replays everything in the background. Meanwhile new writes are spilled, and wait for the last step. */
  start(): void {
    if (this.#isRunning) return;
    this.run().catch((error: unknown) => this.#parts.emit('journal:failed', { reason: messageOf(error) }));
  }

  /** @throws StorageError if the journal is away again. The rest is replayed next time */
  async run(): Promise<void> {
    const { outage, emit } = this.#parts;
    this.#isRunning = true;
    const ageMs = outage.ageMs;
    try {
      let reached = await this.#pages(await this.#progress(), LAST_RECORDS);
      outage.close();
      reached = await this.#last(reached);
      await this.#parts.store.replayed(reached);
      if (this.#hasFailed) await this.#parts.signals.recover();
      this.#hasFailed = false;
      emit('spill:replayed', { writes: this.#writes, durationMs: ageMs });
      this.#writes = 0;
      this.#asked = [];
      this.#outOfOrder.clear();
      this.#isAnyOutOfOrder = false;
      outage.open('here');
    } catch (error) {
      this.#hasFailed = true;
      this.#isAnyOutOfOrder = true;
      outage.open('away');
      throw error;
    } finally {
      this.#isRunning = false;
    }
  }

  /** What the journal holds, which may be more than it has confirmed. */
  async #progress(): Promise<number> {
    const { journal, store } = this.#parts;
    const reached = await journal.progress(store.id);
    this.#holds(this.#asked.filter(({ number }) => number <= reached));
    return reached;
  }

  /** Until a page holds at most this many records. */
  async #pages(from: number, records: number, untilMs = Infinity): Promise<number> {
    const { store } = this.#parts;
    for (let after = from; ;) {
      await store.flush();
      const page = await store.page(after, PAGE_BYTES);
      const last = page.at(-1);
      if (last === undefined) return after;
      await this.#page(page, after, untilMs);
      after = last.number;
      await store.replayed(after);
      if (page.length <= records) return after;
    }
  }

  /** After this, only outcomes of writes in progress can follow. */
  async #last(from: number): Promise<number> {
    const { path, clock } = this.#parts;
    const untilMs = clock.now() + CLOSING_MS;
    while (path.isEntering) {
      if (clock.now() > untilMs) throw this.#late();
      await clock.sleep(1);
    }
    const reached = await this.#pages(from, 0, untilMs);
    await this.#settleOpen(reached);
    return reached;
  }

  async #page(records: readonly SpillRecord[], after: number, untilMs: number): Promise<void> {
    const page = this.#pageOf(records, after);
    const lanes = await this.#placed(page, untilMs);
    this.#writes += page.intents.length;
    for (const { operationId } of page.earlier) this.#open.delete(operationId);
    this.#holds(page.intents);
    for (const [lane, replayed] of lanes) {
      if (replayed.isOutOfOrder) this.#outOfOrder.add(lane);
      this.#parts.signals.spilled(lane, replayed);
    }
  }

  /**
   * Waits while another replica has an open write of one of the lanes. That replica may be waiting for what this one left open on
   * earlier pages. Two replicas that replay would otherwise wait for each other forever.
   */
  async #placed(page: ReplayPage, untilMs: number): Promise<ReadonlyMap<LaneKey, ReplayedLane>> {
    const { clock, journal } = this.#parts;
    for (;;) {
      // First, because the page may be in the journal although the answer was lost. It is not replayed again then.
      this.#remember(page);
      const lanes = await journal.replay(page);
      if (lanes !== undefined) return lanes;
      for (const { operationId } of page.intents) this.#open.delete(operationId);
      await this.#settleOpen(page.after);
      if (clock.now() > untilMs) throw this.#late();
      await clock.sleep(BUSY_RETRY_MS);
    }
  }

  #pageOf(records: readonly SpillRecord[], after: number): ReplayPage {
    const intents = records.filter((record): record is SpilledIntent => record.kind === 'intent');
    const own = new Set(intents.map(({ operationId }) => operationId));
    const settled = records.flatMap((record) => (record.kind === 'outcome' ? [record] : []));
    return {
      spill: this.#parts.store.id,
      after,
      through: records.at(-1)?.number ?? after,
      intents,
      outcomes: new Map(
        settled
          .filter(({ operationId }) => own.has(operationId))
          .map(({ operationId, outcome }) => [operationId, outcome]),
      ),
      settled: settled.flatMap(({ lane, operationId, outcome, journalMs }) =>
        outcome !== 'applied' || journalMs === undefined ? [] : [{ lane, operationId, journalMs }],
      ),
      earlier: settled
        .filter(({ operationId }) => !own.has(operationId))
        .map((one) => ({ ...one, outcome: this.#certain(one) })),
      isOutOfOrder: (lane) => this.#isOutOfOrder(lane),
    };
  }

  /** Between writes of another replica its place is unknown, although its effect is known. */
  #certain({ lane, outcome }: EarlierOutcome): EarlierOutcome['outcome'] {
    return outcome === 'applied' && this.#isOutOfOrder(lane) ? 'unknown' : outcome;
  }

  #isOutOfOrder(lane: LaneKey): boolean {
    return this.#isAnyOutOfOrder || this.#outOfOrder.has(lane);
  }

  #remember({ intents, outcomes }: ReplayPage): void {
    this.#asked = intents;
    for (const { operationId, lane } of intents)
      if (outcomes.has(operationId)) this.#open.delete(operationId);
      else this.#open.set(operationId, lane);
  }

  /** The journal holds these intents. Their outcomes go to the journal when the replies come. */
  #holds(intents: readonly SpilledIntent[]): void {
    const { path } = this.#parts;
    path.replayed(intents.map(({ operationId }) => operationId));
    for (const { operationId } of intents) if (path.isUnderWay(operationId)) this.#open.delete(operationId);
  }

  /** From what follows the replayed pages. Nothing else will record the outcome of an earlier process's write. */
  async #settleOpen(after: number): Promise<void> {
    if (this.#open.size === 0) return;
    const { store, journal } = this.#parts;
    const open = new Map(this.#open);
    await store.flush();
    const known = await store.outcomes(after, new Set(open.keys()));
    const outcomes = [...open].map(([operationId, lane]) => {
      const outcome = known.get(operationId) ?? 'unknown';
      return { operationId, lane, outcome: this.#certain({ operationId, lane, outcome }) };
    });
    await journal.recordOutcomes(outcomes);
    for (const operationId of open.keys()) this.#open.delete(operationId);
  }

  #late(): StorageError {
    return new StorageError('Spilled writes could not be replayed at once', { effect: 'not_applied' });
  }
}
