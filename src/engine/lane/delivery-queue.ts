import type { LaneKey, ServiceName } from '../../domain/ids.ts';
import type { Lane } from './lane.ts';
import type { Journal, PendingWrite } from '../ports/ports.ts';

/** Most writes in memory, over all lanes. The rest is read from the journal when its turn comes. */
const MEMORY_LIMIT_BYTES = 32 * 1024 * 1024;
/** Of these, this many are kept parsed. */
const PARSED_LIMIT_BYTES = 1024 * 1024;
/** Memory of a write besides its request's text. Measured: 335,000 writes of 100 characters took 226 MiB. */
const WRITE_BYTES = 600;

/** Most characters read from the journal at once, for one lane. A request may have 4 MiB. */
const PAGE = { writes: 200, bytes: 4 * 1024 * 1024 };
/** Most bytes of one character in the journal: three in UTF-8, and a third more if it is encrypted. */
const BYTES_OF_A_CHARACTER = 4;

/** A lane's applied writes that wait for delivery. */
export interface QueuedLane {
  readonly lane: Lane;
  /** In sequence, without gaps. */
  readonly writes: PendingWrite[];
  /** The journal holds more after the last of them. */
  hasMore: boolean;
  /** More writes came after the last query to the journal, and its answer may not contain them. */
  isAskedAnew: boolean;
}

/** The writes that wait for delivery, by lane. Bounded: the journal holds all of them, and memory the next ones. */
export class DeliveryQueue {
  readonly #journal: Pick<Journal, 'pending' | 'lanes'>;
  readonly #mostOf: (lane: Lane) => number;
  readonly #lanes = new Map<LaneKey, QueuedLane>();
  /** The sequence of the dead letter of each lane that has one. Earlier writes are delivered, later ones wait. */
  readonly #blocked = new Map<LaneKey, number>();
  #bytes = 0;

  /** @param mostOf the last write of a lane that may be delivered now */
  constructor(journal: Pick<Journal, 'pending' | 'lanes'>, mostOf: (lane: Lane) => number = () => Infinity) {
    this.#journal = journal;
    this.#mostOf = mostOf;
  }

  /** Number of writes in memory, plus lanes that wait for more of theirs. */
  get size(): number {
    let size = 0;
    for (const { writes, hasMore } of this.#lanes.values()) size += writes.length + (hasMore ? 1 : 0);
    return size;
  }

  /** The same for the lanes of one service. */
  sizeOf(service: ServiceName): number {
    const queued = [...this.#lanes.values()].filter(({ lane }) => lane.service === service);
    return queued.reduce((size, { writes, hasMore }) => size + writes.length + (hasMore ? 1 : 0), 0);
  }

  /** Lanes with waiting writes. */
  *lanes(): Generator<Lane> {
    for (const { lane } of this.#lanes.values()) yield lane;
  }

  /** Lanes of one service with waiting writes. */
  lanesOf(service: ServiceName): Lane[] {
    return [...this.#lanes.values()].map(({ lane }) => lane).filter((lane) => lane.service === service);
  }

  holds(lane: Lane): boolean {
    return this.#lanes.has(lane.key);
  }

  add(lane: Lane, write: PendingWrite): void {
    const queued = this.#of(lane);
    const isNext = lane.primary === 'legacy' || write.sequence === lastOf(queued) + 1;
    if (queued.hasMore || !isNext || this.#bytes > MEMORY_LIMIT_BYTES) return this.addFromJournal(lane);
    // A backlog is read again when its turn comes. Parsed, it would take three times the memory.
    queued.writes.push(this.#bytes > PARSED_LIMIT_BYTES ? { ...write, message: undefined } : write);
    this.#bytes += bytesOf(write);
  }

  addFromJournal(lane: Lane): void {
    Object.assign(this.#of(lane), { hasMore: true, isAskedAnew: true });
  }

  /** Another process has changed what the journal says of the lane, including its dead letters. Memory drops everything of it. */
  reload(lane: Lane): void {
    for (const write of this.#of(lane).writes) this.#bytes -= bytesOf(write);
    // A new number, because an answer of the journal that is still on its way is out of date.
    this.#lanes.set(lane.key, { lane, writes: [], hasMore: true, isAskedAnew: false });
    this.#blocked.delete(lane.key);
  }

  /** Drops the writes up to a sequence, because they are delivered. */
  drop(lane: Lane, through: number): void {
    const queued = this.#lanes.get(lane.key);
    if (queued === undefined) return;
    for (
      let [first] = queued.writes;
      first !== undefined && first.sequence <= through;
      [first] = queued.writes
    ) {
      this.#bytes -= bytesOf(first);
      queued.writes.shift();
    }
    if (queued.writes.length === 0 && !queued.hasMore) this.#lanes.delete(lane.key);
  }

  /** Drops what waits of a lane. */
  letGo(lane: Lane): void {
    for (const write of this.#lanes.get(lane.key)?.writes ?? []) this.#bytes -= bytesOf(write);
    this.#lanes.delete(lane.key);
    this.#blocked.delete(lane.key);
  }

  forget(): void {
    this.#lanes.clear();
    this.#blocked.clear();
    this.#bytes = 0;
  }

  block(lane: Lane, sequence: number): void {
    this.#blocked.set(lane.key, sequence);
  }

  /** A copy has dealt with everything up to this sequence. */
  unblock(lane: Lane, through: number): void {
    if ((this.#blocked.get(lane.key) ?? Infinity) <= through) this.#blocked.delete(lane.key);
  }

  isBlocked(lane: LaneKey): boolean {
    return this.#blocked.has(lane);
  }

  hasReady(isDeliverable: (lane: Lane) => boolean): boolean {
    return !this.ready(isDeliverable).next().done;
  }

  *ready(isDeliverable: (lane: Lane) => boolean): Generator<QueuedLane> {
    for (const queued of this.#lanes.values()) {
      if (!this.#waits(queued) && isDeliverable(queued.lane)) yield queued;
    }
  }

  /** The waiting writes of one lane, if any of them can be delivered now. */
  readyOf(lane: Lane, isDeliverable: (lane: Lane) => boolean): QueuedLane | undefined {
    const queued = this.#lanes.get(lane.key);
    if (queued === undefined || this.#waits(queued)) return undefined;
    return isDeliverable(lane) ? queued : undefined;
  }

  /**
   * Whether the lane waits at a dead letter or a watermark. While it does, memory holds the dead letter or the writes before it.
   */
  #waits({ lane, writes }: QueuedLane): boolean {
    if ((writes[0]?.sequence ?? 0) > this.#mostOf(lane)) return true;
    const letter = this.#blocked.get(lane.key);
    return letter !== undefined && (writes[0]?.sequence ?? letter) >= letter;
  }

  /** The lane's next writes, up to `limit`. Read from the journal if memory holds none. @throws StorageError */
  async writesOf(queued: QueuedLane, limit: number): Promise<readonly PendingWrite[]> {
    if (queued.writes.length === 0 && queued.hasMore) await this.#refill(queued);
    const letter = this.#blocked.get(queued.lane.key) ?? Infinity;
    const most = this.#mostOf(queued.lane);
    return queued.writes
      .slice(0, Math.max(1, limit))
      .filter(({ sequence }) => sequence < letter && sequence <= most);
  }

  async #refill(queued: QueuedLane): Promise<void> {
    const { lane } = queued;
    queued.isAskedAnew = false;
    const page = await this.#nextPage(lane);
    // Dropped or reloaded meanwhile.
    if (this.#lanes.get(lane.key) !== queued) return;
    for (const write of page) {
      queued.writes.push(write);
      this.#bytes += bytesOf(write);
      lane.appliedUpTo(write.sequence);
    }
    const letter = page.find((write) => write.letter === 'open');
    if (letter !== undefined) this.block(lane, letter.sequence);
    // The outcome of the newest write may still be on its way to the journal.
    const reached = page.at(-1)?.sequence ?? lane.delivered;
    queued.hasMore = queued.isAskedAnew || isFull(page) || reached < lane.applied;
    if (queued.writes.length === 0 && !queued.hasMore) this.#lanes.delete(lane.key);
  }

  /**
   * If the journal holds nothing although the lane counts as lagging, the row is read again. The lane's former home may have
   * recorded deliveries after this replica had read the row. Otherwise the lane would lag until its next write.
   */
  async #nextPage(lane: Lane): Promise<readonly PendingWrite[]> {
    const page = await this.#journal.pending(lane.key, lane.delivered, PAGE);
    if (page.length > 0 || !lane.isBehind) return page;
    const state = (await this.#journal.lanes([lane.key])).get(lane.key);
    if (state !== undefined) lane.deliveredUpTo(state.deliveredSequence);
    return page;
  }

  #of(lane: Lane): QueuedLane {
    const known = this.#lanes.get(lane.key);
    if (known !== undefined) return known;
    const queued: QueuedLane = { lane, writes: [], hasMore: false, isAskedAnew: false };
    this.#lanes.set(lane.key, queued);
    return queued;
  }
}

/**
 * The last write that is delivered or in memory. The next ones of a flipped lane may be in the journal only: legacy was read-only when
 * they came.
 */
function lastOf({ lane, writes }: QueuedLane): number {
  return Math.max(writes.at(-1)?.sequence ?? 0, lane.delivered);
}

/** Whether the journal may hold more than it returned. */
function isFull(page: readonly PendingWrite[]): boolean {
  const characters = page.reduce((sum, { request }) => sum + request.length, 0);
  return page.length === PAGE.writes || characters * BYTES_OF_A_CHARACTER >= PAGE.bytes;
}

function bytesOf({ request }: PendingWrite): number {
  return request.length + WRITE_BYTES;
}
