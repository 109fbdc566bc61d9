import { CrossfadeError, messageOf, NotFoundError } from '../../domain/errors.ts';
import type { ServiceName } from '../../domain/ids.ts';
import type { Lane } from '../lane/lane.ts';
import type { Emit } from '../ports/events.ts';
import type { Journal, Orchestrator, PendingWrite } from '../ports/ports.ts';
import type { Coverage, ServiceRuntime } from '../ports/service-runtime.ts';
import type { Clock } from '../../shared/clock.ts';
import type { Signals } from '../signals.ts';
import { DeliveryQueue, type QueuedLane } from '../lane/delivery-queue.ts';
import { DeliveryRecords } from './delivery-records.ts';
import { culpritOf, type Delivered, isDelete, isTooLarge, Packer, type Parcel, resultsOf } from './pack.ts';
import { isAltered, isReadBackDue } from './read-back.ts';
import { Refusals } from './refusals.ts';
import { ReverseDeliverer, type ReverseDelivererParts } from '../reverse/reverse-deliverer.ts';
import { Watermarks } from './watermarks.ts';
import { backoffMs } from '../../shared/backoff.ts';

const RETRY = { firstMs: 50, longestMs: 5_000 };
/** Batches under way at the same time, for different lanes. A write need not wait for the batch before it. */
const SENDERS = 3;
/** Additional batches while reads wait, so that their deliveries need not wait for another batch to end. */
const EXPRESS_SENDERS = 3;
/** Most writes in a batch that reads wait for, because each of these reads waits for the whole batch. */
const EXPRESS_BATCH_SIZE = 16;
/**
 * Approximate size of the requests in a batch. The orchestrator accepts messages of 4 MiB. A batch that is too long is sent in
 * halves.
 */
const BATCH_CHARACTERS = 1024 * 1024;
/** One batch in this many serves all lanes, even while reads wait, so that the other lanes are delivered too. */
const ORDINARY_EVERY = 8;
/** A batch that no read waits for collects writes for this long. */
const LINGER_MS = 20;
/** Writes that were applied just now are in the journal after this time. */
const JOURNAL_LAG_MS = 5;

export interface DeliveryParts {
  readonly journal: Pick<Journal, 'delivered' | 'deadLetter' | 'pending' | 'lanes' | 'lastApplied'>;
  readonly orchestrator: Pick<Orchestrator, 'read' | 'batchWrite'>;
  readonly services: ReadonlyMap<ServiceName, ServiceRuntime>;
  readonly coverage: ReadonlyMap<ServiceName, Coverage>;
  readonly clock: Clock;
  readonly emit: Emit;
  /** Most operations per batch. @defaultValue 200 */
  readonly batchSize: number;
  readonly timeoutMs: number;
  /** A random number from 0 up to 1, which spreads the retries of several replicas. */
  readonly random: () => number;
  /** Whether no other replica writes. Then memory knows every write of a lane. Otherwise only the journal does. */
  readonly isAlone: () => boolean;
  /** What deliveries to legacy need besides. */
  readonly reverse: Pick<
    ReverseDelivererParts,
    'sends' | 'proofs' | 'mayAct' | 'journalKeptMs' | 'isComplete'
  >;
  readonly signals: Pick<Signals, 'note' | 'copyAnew' | 'overtaken' | 'taken' | 'isShut'>;
}

/** What a read waits for: the lane's deliveries up to a sequence. */
interface Asked {
  readonly upTo: number;
  readonly sinceMs: number;
}

/**
 * Applies journaled writes to the secondary: the writes of a lane in sequence, for the orchestrator those of many lanes in one batch.
 */
export class Deliverer {
  /** The points where deliveries of lanes stop for a comparison. */
  readonly watermarks: Watermarks;
  /** Delivers to legacy. */
  readonly reverse: ReverseDeliverer;
  readonly #parts: DeliveryParts;
  readonly #queue: DeliveryQueue;
  readonly #packer: Packer;
  readonly #records: DeliveryRecords;
  readonly #refusals: Refusals;
  /** Lanes with a batch under way. The next batch waits for it, so that each lane stays in sequence. */
  readonly #underWay = new Set<Lane>();
  /** Lanes with deliveries that a read waits for. They go first, in batches of their own. */
  readonly #awaited = new Set<Lane>();
  /** The sequences that reads wait for, by lane, until they are delivered. */
  readonly #asked = new Map<Lane, Asked>();
  #senders = 0;
  #isStopped = false;
  #failuresInARow = 0;
  #batches = 0;
  #isHurried = false;
  #timer: NodeJS.Timeout | undefined;

  constructor(parts: DeliveryParts) {
    this.#parts = parts;
    const { journal, clock, emit, isAlone } = parts;
    this.watermarks = new Watermarks({ clock, isAlone, onEnd: () => this.#linger() });
    this.#queue = new DeliveryQueue(journal, (lane) => this.watermarks.mostOf(lane));
    this.#packer = new Packer(parts);
    this.#records = new DeliveryRecords(parts);
    this.#refusals = new Refusals({ journal, clock, emit, queue: this.#queue });
    this.reverse = new ReverseDeliverer({
      ...parts,
      ...parts.reverse,
      queue: this.#queue,
      through: (lane, write) => this.#recorded(lane, write),
    });
  }

  /** Number of waiting writes. */
  get pending(): number {
    return this.#queue.size;
  }

  /** Number of waiting writes of one service. */
  pendingOf(service: ServiceName): number {
    return this.#queue.sizeOf(service);
  }

  /** The lanes with waiting writes. */
  allWaiting(): Iterable<Lane> {
    return this.#queue.lanes();
  }

  /** The lanes of one service with waiting writes. */
  waitingLanes(service: ServiceName): readonly Lane[] {
    return this.#queue.lanesOf(service);
  }

  /** Whether writes of the lane wait, or may wait. */
  isHolding(lane: Lane): boolean {
    return this.#queue.holds(lane) || this.#isUnderWay(lane);
  }

  #isUnderWay(lane: Lane): boolean {
    return this.#underWay.has(lane) || this.reverse.isUnderWay(lane);
  }

  /** The journal has lost the position of the lane's deliveries. */
  recordAgain(lane: Lane): void {
    void this.#records.record(lane, { laneId: lane.id, lane: lane.key, sequence: lane.delivered });
  }

  /** Whether no batch has failed since the last success. */
  get isFlowing(): boolean {
    return this.#failuresInARow === 0;
  }

  /** Takes over an applied write. */
  deliver(lane: Lane, write: PendingWrite): void {
    if (this.reverse.isLost(lane)) return;
    // A replica can briefly be wrong about being alone. A gap in the sequences shows that.
    if (this.#parts.isAlone() && !lane.hasUnseen) this.#queue.add(lane, write);
    else this.#queue.addFromJournal(lane);
    lane.sawAll();
    this.#linger();
  }

  /** A read waits for the lane's deliveries. They go first, without those of other lanes. */
  hurry(lane: Lane): void {
    if (!this.isHolding(lane)) return;
    this.watermarks.lift(lane);
    this.#awaited.add(lane);
    if (!this.#asked.has(lane))
      this.#asked.set(lane, { upTo: lane.applied, sinceMs: this.#parts.clock.now() });
    this.wake();
  }

  /** After a start: loads what the journal holds of a lane, up to its newest applied write. */
  resume(lane: Lane, newest: number): void {
    if (newest <= lane.delivered) return;
    lane.appliedUpTo(newest);
    this.#queue.addFromJournal(lane);
    this.wake();
  }

  /**
   * Another replica's writes of the lane wait, or a person has decided about a dead letter. The journal knows what is to be
   * delivered.
   */
  resumeForeign(lane: Lane): void {
    this.#queue.reload(lane);
    this.wake();
  }

  /** A copy has made the secondary equal up to `sequence`. Writes up to it need no delivery. */
  covered(lane: Lane, sequence: number): void {
    this.#asked.delete(lane);
    this.#queue.drop(lane, sequence);
    this.#queue.unblock(lane, sequence);
    this.wake();
  }

  /** Drops what waits, because it belongs to other replicas now. For one lane, or for all. */
  forget(lane?: Lane): void {
    this.reverse.forget(lane);
    if (lane === undefined) {
      this.#asked.clear();
      this.#queue.forget();
    } else {
      this.#asked.delete(lane);
      this.#queue.letGo(lane);
    }
  }

  /** Resolves when no batch that was sent before this call still holds a write of the lane. */
  async quiet(lane: Lane): Promise<void> {
    while (this.#isUnderWay(lane)) await this.#parts.clock.sleep(1);
  }

  /** Checks again what can be delivered. */
  wake(): void {
    this.reverse.wake();
    if (this.#isStopped || !this.#maySend()) return;
    this.#senders += 1;
    setImmediate(() => void this.#run());
  }

  /** Waits briefly so that more writes share the cost of a batch. On small machines that cost is taken from the agents. */
  #linger(): void {
    if (this.#hasAwaited()) return this.wake();
    this.#timer ??= setTimeout(() => {
      this.#timer = undefined;
      this.wake();
    }, LINGER_MS);
  }

  async stop(): Promise<void> {
    this.#isStopped = true;
    clearTimeout(this.#timer);
    await this.reverse.stop();
    while (this.#senders + this.#refusals.open > 0) await this.#parts.clock.sleep(1);
    this.#records.stop();
  }

  async #run(): Promise<void> {
    try {
      while (!this.#isStopped) {
        if (!(await this.#sendNext())) break;
      }
    } catch (error) {
      this.#parts.emit('journal:failed', { reason: messageOf(error) });
      await this.#parts.clock.sleep(RETRY.firstMs);
    } finally {
      this.#senders -= 1;
    }
    if (!this.#hasReady()) return;
    if (this.#isHurried) this.wake();
    else this.#linger();
  }

  /** True if the next batch need not wait, because more writes wait than one batch holds. */
  async #sendNext(): Promise<boolean> {
    const taken = new Set<Lane>();
    this.#isHurried = false;
    try {
      const parcels = await this.#nextBatch(taken);
      if (parcels.length > 0) await this.#send(parcels);
      else if (taken.size > 0) await this.#parts.clock.sleep(JOURNAL_LAG_MS);
      return parcels.length >= this.#parts.batchSize || this.#hasAwaited();
    } finally {
      for (const lane of taken) if (!this.#refusals.isOpen(lane)) this.#underWay.delete(lane);
    }
  }

  #hasReady(): boolean {
    return this.#queue.hasReady((lane) => this.#isDeliverable(lane));
  }

  /** Whether one more sender has something to send. While the secondary fails, one sender tries. */
  #maySend(): boolean {
    if (this.#failuresInARow > 0) return this.#senders === 0 && this.#hasReady();
    if (this.#senders < SENDERS) return this.#hasReady();
    return this.#senders < SENDERS + EXPRESS_SENDERS && this.#hasAwaited();
  }

  #hasAwaited(): boolean {
    return !this.#awaitedReady().next().done;
  }

  /** Also removes lanes that have no waiting deliveries. */
  *#awaitedReady(): Generator<QueuedLane> {
    for (const lane of this.#awaited) {
      const queued = this.#queue.readyOf(lane, (one) => this.#isDeliverable(one));
      if (queued !== undefined) yield queued;
      else if (!this.#underWay.has(lane)) this.#awaited.delete(lane);
    }
  }

  #isDeliverable(lane: Lane): boolean {
    const latest = this.#parts.coverage.get(lane.service)?.latest ?? 0;
    const isSeeded = latest > 0 && lane.seededCoverage === latest;
    return isSeeded && lane.primary === 'legacy' && lane.condition === 'clean' && !this.#underWay.has(lane);
  }

  async #nextBatch(taken: Set<Lane>): Promise<Parcel[]> {
    const parcels: Parcel[] = [];
    const { lanes, batchSize, isExpress } = this.#nextLanes();
    let [size, characters] = [0, 0];
    for (const queued of lanes) {
      this.#awaited.delete(queued.lane);
      this.#underWay.add(queued.lane);
      taken.add(queued.lane);
      const writes = await this.#queue.writesOf(queued, batchSize - size);
      const next = this.#parcelsOf(queued.lane, fitting(writes, BATCH_CHARACTERS - characters));
      if (isExpress && (queued.hasMore || queued.writes.length > next.length)) this.#awaited.add(queued.lane);
      for (const { operations } of next) size += Math.max(1, operations.length);
      parcels.push(...next);
      for (const { write } of next) characters += write.request.length;
      if (size >= batchSize || characters >= BATCH_CHARACTERS) break;
    }
    return parcels;
  }

  /** Lanes that reads wait for, or all lanes. In the first case each of these reads waits for the whole batch. */
  #nextLanes(): { lanes: Iterable<QueuedLane>; batchSize: number; isExpress: boolean } {
    this.#batches += 1;
    if (this.#hasAwaited() && this.#batches % ORDINARY_EVERY !== 0)
      return { lanes: this.#awaitedReady(), batchSize: EXPRESS_BATCH_SIZE, isExpress: true };
    const lanes = this.#queue.ready((lane) => this.#isDeliverable(lane));
    return { lanes, batchSize: this.#parts.batchSize, isExpress: false };
  }

  /** A write that names its items starts a batch of its own. */
  #parcelsOf(lane: Lane, writes: readonly PendingWrite[]): Parcel[] {
    const parcels = writes.map((write) => this.#packer.pack(lane, write));
    const naming = parcels.findIndex((parcel) => this.#packer.isNaming(parcel));
    return naming < 0 ? parcels : parcels.slice(0, Math.max(1, naming));
  }

  /** Whether everything was delivered. The rest is sent again later. */
  async #send(batch: readonly Parcel[]): Promise<boolean> {
    const { clock, orchestrator, timeoutMs } = this.#parts;
    let superseded: Iterable<Lane> = [];
    let parcels = batch;
    try {
      parcels = await this.#packer.complete(batch);
      const operations = parcels.flatMap((parcel) => parcel.operations);
      const answers =
        operations.length === 0
          ? []
          : await orchestrator.batchWrite(operations, {
              purpose: 'live',
              deadlineAtMs: clock.now() + timeoutMs,
              operations: parcels.map(({ write }) => write.operationId),
            });
      this.#failuresInARow = 0;
      superseded = this.#arrived(parcels, resultsOf(parcels, answers));
    } catch (error) {
      if (parcels.length > 1 && isTooLarge(error)) return this.#sendHalves(parcels);
      // In the order in which they were sent, because a refusal names an operation by its index.
      await this.#failed(parcels, error);
      return false;
    }
    // If this replica has begun a copy meanwhile, the copy decides about the lane. Only the journal knows which writes another
    // replica's copy has seen.
    for (const lane of superseded) if (lane.condition === 'clean') await this.#parts.signals.overtaken(lane);
    return true;
  }

  /** Each write may be as large as a message, so several may be too large for one. The second half may depend on the first. */
  async #sendHalves(parcels: readonly Parcel[]): Promise<boolean> {
    const half = Math.ceil(parcels.length / 2);
    return (await this.#send(parcels.slice(0, half))) && this.#send(parcels.slice(half));
  }

  /** Returns the lanes that have a newer copy on the secondary. None of their writes counts as delivered. */
  #arrived(parcels: readonly Parcel[], results: readonly Delivered[]): ReadonlySet<Lane> {
    const superseded = new Set<Lane>();
    for (const [index, parcel] of parcels.entries()) {
      const result = results[index] ?? 'applied';
      if (result === 'superseded') superseded.add(parcel.lane);
      if (superseded.has(parcel.lane)) continue;
      this.#through(parcel, result);
      if (isReadBackDue(parcel, result, this.#parts.random)) void this.#readBack(parcel);
    }
    return superseded;
  }

  async #readBack(parcel: Parcel): Promise<void> {
    if (!(await isAltered(parcel, this.#parts))) return;
    const { lane, write } = parcel;
    this.#parts.emit('delivery:altered', { service: lane.service, lane: lane.key, sequence: write.sequence });
    this.#parts.signals.copyAnew(lane, 'delivery_altered');
  }

  #through({ lane, write }: Parcel, result: Delivered): void {
    const { clock, emit } = this.#parts;
    this.#recorded(lane, write);
    const facts = { service: lane.service, lane: lane.key, sequence: write.sequence };
    const lagMs = clock.wallMs() - write.acceptedAtMs;
    emit('delivery:applied', {
      ...facts,
      operationId: write.operationId,
      action: write.action,
      result,
      lagMs,
    });
  }

  #recorded(lane: Lane, write: PendingWrite): void {
    this.#queue.drop(lane, write.sequence);
    lane.deliveredUpTo(write.sequence);
    this.#tellAsked(lane);
    void this.#records.record(lane, write);
  }

  #tellAsked(lane: Lane): void {
    const asked = this.#asked.get(lane);
    if (asked === undefined || lane.delivered < asked.upTo) return;
    this.#asked.delete(lane);
    const durationMs = this.#parts.clock.now() - asked.sinceMs;
    this.#parts.emit('delivery:awaited', { service: lane.service, lane: lane.key, durationMs });
  }

  async #failed(parcels: readonly Parcel[], error: unknown): Promise<void> {
    const culprit =
      error instanceof CrossfadeError && error.effect === 'rejected' ? culpritOf(parcels, error) : undefined;
    if (culprit !== undefined) return this.#refused(culprit, error as CrossfadeError);
    this.#failuresInARow += 1;
    const retryInMs = backoffMs(this.#failuresInARow, RETRY) * (0.5 + this.#parts.random() / 2);
    const facts = {
      writes: parcels.length,
      attempt: this.#failuresInARow,
      retryInMs,
      reason: messageOf(error),
    };
    this.#parts.emit('delivery:failed', facts);
    await this.#parts.clock.sleep(retryInMs);
  }

  /** Deleting a missing item counts as delivered. Any other final refusal makes a dead letter (W3). */
  #refused(parcel: Parcel, error: CrossfadeError): void {
    if (error instanceof NotFoundError && isDelete(parcel)) return this.#through(parcel, 'applied');
    // The other writes of its batch were not applied, and need not wait until the dead letter is durable.
    this.#isHurried = true;
    void this.#refusals.record(parcel, error).then(() => {
      this.#underWay.delete(parcel.lane);
      this.wake();
    });
  }
}

/** The first writes whose requests together have at most this many characters; at least one. */
function fitting(writes: readonly PendingWrite[], characters: number): readonly PendingWrite[] {
  let left = characters;
  const end = writes.findIndex(({ request }, index) => {
    left -= request.length;
    return index > 0 && left < 0;
  });
  return end < 0 ? writes : writes.slice(0, end);
}
