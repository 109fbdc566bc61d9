import { messageOf } from '../../domain/errors.ts';
import type { ServiceName } from '../../domain/ids.ts';
import { isSerial } from '../../domain/service-definition.ts';
import { backoffMs } from '../../shared/backoff.ts';
import type { DeliveryQueue, QueuedLane } from '../lane/delivery-queue.ts';
import type { Lane } from '../lane/lane.ts';
import type { PendingWrite } from '../ports/ports.ts';
import type { ServiceRuntime } from '../ports/service-runtime.ts';
import type { Signals } from '../signals.ts';
import {
  isEnding,
  ReverseSender,
  type ReverseSeat,
  type ReverseSenderParts,
  type Sent,
} from './reverse-sender.ts';

/** Lanes of a service whose sends are prepared at the same time, so that their starts and ends share commits. */
const LANES = 48;
/** If at least this many sends wait for their turn, further starts and ends need not be stored at once. */
const CROWD = 16;
/** Sends under way at a service that serves its requests at the same time. A serial service gets one. */
const SENDS = 4;
/** While agents' calls of the service wait, a send waits at most this long before it takes its turn among them. */
const AGENTS_FIRST_MS = 100;
const LOOK_MS = 2;
/** Writes that were applied just now are in the journal after this time. */
const JOURNAL_LAG_MS = 5;
const RETRY = { firstMs: 50, longestMs: 1_000 };
/** How often the connection to an unreachable service is checked. No start is stored meanwhile. */
const UNREACHABLE_MS = 200;
const REFUSED = { firstMs: 1_000, longestMs: 16_000 };

export interface ReverseDelivererParts extends ReverseSenderParts {
  readonly queue: DeliveryQueue;
  readonly signals: Pick<Signals, 'taken' | 'isShut' | 'note'>;
  /** Whether legacy is no longer there for the service. */
  readonly isComplete: (service: ServiceName) => boolean;
  /** Legacy has the write, or never gets it. */
  readonly through: (lane: Lane, write: PendingWrite) => void;
}

/** What is under way at one service. */
interface Station {
  readonly service: ServiceRuntime;
  /** Lanes that have a place. */
  active: number;
  sending: number;
  /** Sends that wait for a place. */
  readonly waiting: (() => void)[];
  failures: number;
  notBeforeMs: number;
  timer?: NodeJS.Timeout | undefined;
  /** When the timer ends. */
  wakesAtMs: number;
  /** Continues with the lane after the last one, so that each lane gets its turn. */
  cursor?: Iterator<QueuedLane> | undefined;
}

/** Delivers the writes of lanes whose primary is the orchestrator to legacy, in sequence, one open send per lane. */
export class ReverseDeliverer {
  readonly #parts: ReverseDelivererParts;
  readonly #sender: ReverseSender;
  readonly #stations: ReadonlyMap<ServiceName, Station>;
  readonly #underWay = new Set<Lane>();
  /** Lanes whose write legacy refused just now: how often in a row, and until when they wait. */
  readonly #refused = new Map<Lane, { readonly times: number; readonly untilMs: number }>();
  /** Lanes whose way back is lost. */
  readonly #lost = new Set<Lane>();
  #isStopped = false;

  constructor(parts: ReverseDelivererParts) {
    this.#parts = parts;
    this.#sender = new ReverseSender(parts);
    const stationOf = (service: ServiceRuntime): Station => ({
      service,
      active: 0,
      sending: 0,
      waiting: [],
      failures: 0,
      notBeforeMs: 0,
      wakesAtMs: Infinity,
    });
    this.#stations = new Map([...parts.services].map(([name, service]) => [name, stationOf(service)]));
  }

  /** Whether a send of the lane is under way, or is being settled. */
  isUnderWay(lane: Lane): boolean {
    return this.#underWay.has(lane);
  }

  forget(lane?: Lane): void {
    if (lane === undefined) {
      this.#refused.clear();
      this.#lost.clear();
    } else this.#refused.delete(lane);
    this.#sender.forget(lane);
  }

  /**
   * More writes wait than the limit allows. Nothing of the lane is sent any more, unless the journal says that its writes wait on
   * purpose. @throws StorageError
   */
  async loseWayBack(lane: Lane): Promise<void> {
    if (this.#lost.has(lane) || !(await this.#parts.sends.loseWayBack(lane.key))) return;
    if (this.#lost.has(lane)) return;
    this.#lost.add(lane);
    const writes = lane.applied - lane.delivered;
    this.#parts.emit('reverse:way_back_lost', { service: lane.service, lane: lane.key, writes });
    this.#parts.queue.letGo(lane);
  }

  /** Whether nothing of the lane is sent any more, as far as this replica knows. */
  isLost(lane: Lane): boolean {
    return this.#lost.has(lane);
  }

  /** Checks again what can be sent. */
  wake(): void {
    if (this.#isStopped) return;
    for (const station of this.#stations.values()) this.#fill(station);
  }

  async stop(): Promise<void> {
    this.#isStopped = true;
    this.#sender.stop();
    for (const { timer } of this.#stations.values()) clearTimeout(timer);
    while (this.#underWay.size > 0) await this.#parts.clock.sleep(1);
  }

  #fill(station: Station): void {
    const pauseMs = this.#pauseOf(station);
    if (pauseMs > 0) {
      if (this.#hasReady(station)) this.#fillAfter(station, pauseMs);
      return;
    }
    while (!this.#isStopped && station.active < this.#placesOf(station)) {
      const queued = this.#next(station);
      if (queued === undefined) return this.#awaitRefused(station);
      this.#underWay.add(queued.lane);
      void this.#deliver(station, queued);
    }
  }

  /** 0 if something can be sent now. */
  #pauseOf(station: Station): number {
    const leftMs = station.notBeforeMs - this.#parts.clock.now();
    return Math.max(leftMs, this.#placesOf(station) === 0 ? UNREACHABLE_MS : 0);
  }

  /** How many lanes may be prepared now. While the connection's circuit breaker tries again, one. */
  #placesOf({ service }: Station): number {
    // Its writes are not sent.
    if (this.#parts.isComplete(service.name)) return LANES;
    const { isConnected, breaker } = service.legacy.load('shadow');
    if (!isConnected || breaker === 'open') return 0;
    return breaker === 'closed' ? LANES : 1;
  }

  #hasReady(station: Station): boolean {
    return this.#parts.queue.hasReady((lane) => this.#isReady(station, lane));
  }

  #next(station: Station): QueuedLane | undefined {
    for (const isFresh of [false, true]) {
      if (isFresh || station.cursor === undefined)
        station.cursor = this.#parts.queue.ready((lane) => this.#isReady(station, lane));
      const { value, done } = station.cursor.next() as IteratorResult<QueuedLane, undefined>;
      if (done !== true) return value;
    }
    station.cursor = undefined;
    return undefined;
  }

  #isReady({ service }: Station, lane: Lane): boolean {
    if (lane.service !== service.name || lane.primary !== 'orchestrator' || this.#underWay.has(lane))
      return false;
    return (this.#refused.get(lane)?.untilMs ?? 0) <= this.#parts.clock.now();
  }

  async #deliver(station: Station, queued: QueuedLane): Promise<void> {
    const { lane } = queued;
    const seat = this.#seatIn(station);
    try {
      const [write] = await this.#parts.queue.writesOf(queued, 1);
      if (write === undefined) await this.#parts.clock.sleep(JOURNAL_LAG_MS);
      else if (this.#parts.isComplete(lane.service)) this.#parts.through(lane, write);
      else this.#ended(lane, write, await this.#sender.send(lane, write, seat));
      station.failures = 0;
    } catch (error) {
      this.#failed(station, error);
    } finally {
      this.#underWay.delete(lane);
      seat.giveUp();
      this.#fill(station);
    }
  }

  #ended(lane: Lane, write: PendingWrite, sent: Sent): void {
    const { queue, signals } = this.#parts;
    if (sent === 'refused') return this.#pause(lane);
    this.#refused.delete(lane);
    if (isEnding(sent)) return this.#parts.through(lane, write);
    // A person's decision is read from the journal.
    if (sent === 'halted') return queue.block(lane, write.sequence);
    queue.letGo(lane);
    this.#sender.forget(lane);
    // The journal knows whether the lane is still this replica's.
    if (sent === 'lost') this.#lost.add(lane);
    else if (!this.#isStopped) signals.note(lane.key);
  }

  /** The service may refuse everything for a moment. Other lanes continue. */
  #pause(lane: Lane): void {
    const times = (this.#refused.get(lane)?.times ?? 0) + 1;
    const ms = backoffMs(times, REFUSED);
    this.#refused.set(lane, { times, untilMs: this.#parts.clock.now() + ms });
  }

  /** Continues when the first lane whose write was refused may try again. */
  #awaitRefused(station: Station): void {
    const nowMs = this.#parts.clock.now();
    for (const [{ service }, { untilMs }] of this.#refused)
      if (service === station.service.name && untilMs > nowMs) this.#fillAfter(station, untilMs - nowMs);
  }

  #failed(station: Station, error: unknown): void {
    if (this.#isStopped) return;
    station.failures += 1;
    const retryInMs = backoffMs(station.failures, RETRY);
    station.notBeforeMs = this.#parts.clock.now() + retryInMs;
    this.#parts.emit('reverse:failed', { service: station.service.name, reason: messageOf(error) });
  }

  #fillAfter(station: Station, ms: number): void {
    const atMs = this.#parts.clock.now() + ms;
    if (this.#isStopped || station.wakesAtMs <= atMs) return;
    clearTimeout(station.timer);
    station.wakesAtMs = atMs;
    station.timer = setTimeout(() => {
      station.wakesAtMs = Infinity;
      this.#fill(station);
    }, ms);
  }

  #seatIn(station: Station): ReverseSeat {
    station.active += 1;
    let isTaken = true;
    return {
      inTurn: (send) => this.#inTurn(station, send),
      isCrowded: () => station.waiting.length >= CROWD,
      giveUp: () => {
        if (!isTaken) return;
        isTaken = false;
        station.active -= 1;
        this.#fill(station);
      },
    };
  }

  async #inTurn<Result>(station: Station, send: () => Promise<Result>): Promise<Result> {
    if (station.sending < mostOf(station)) station.sending += 1;
    else await new Promise<void>((resolve) => station.waiting.push(resolve));
    try {
      await this.#agentsFirst(station);
      return await send();
    } finally {
      const next = station.waiting.shift();
      // The place passes to the next one, so that no other send takes it.
      if (next === undefined) station.sending -= 1;
      else next();
    }
  }

  /** A service that is always busy still gets sends, each after this time. */
  async #agentsFirst(station: Station): Promise<void> {
    const { clock } = this.#parts;
    const untilMs = clock.now() + AGENTS_FIRST_MS;
    while (isBusy(station) && clock.now() < untilMs && !this.#isStopped) await clock.sleep(LOOK_MS);
  }
}

function mostOf({ service }: Station): number {
  return isSerial(service.definition) ? 1 : SENDS;
}

/** Whether agents' calls of the service wait, or would wait for a send. */
function isBusy(station: Station): boolean {
  const { inFlight, queued } = station.service.legacy.load('live');
  return queued > 0 || inFlight >= mostOf(station);
}
