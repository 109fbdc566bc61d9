import type { Clock } from '../shared/clock.ts';

/** A connection on which a message arrives. */
export interface ArrivalSource {
  /** Stops reading until it is resumed. */
  pause(): void;
  resume(): void;
  /** Drops the message, because other messages need its memory. */
  cut(): void;
}

export interface ArrivalsSettings {
  /** Limit for the bytes of messages that are arriving or wait for room. Above it, long messages are paused. */
  readonly limitBytes: number;
  readonly clock: Clock;
}

/** A shorter message may use twice the limit, so that the common short messages do not wait for long ones. */
const SHORT_BYTES = 65_536;
/** An arriving message is dropped if no byte of it came for this time while other messages wait, milliseconds. */
const PATIENCE_MS = 500;
const LOOK_EVERY_MS = 100;

/**
 * Counts the received bytes of incomplete messages. Bytes are counted when they arrive, not when they are announced, so an idle
 * connection uses no budget.
 */
export class Arrivals {
  readonly #limitBytes: number;
  readonly #clock: Clock;
  /** Oldest first. */
  readonly #arriving = new Set<Arrival>();
  #usedBytes = 0;
  #isLooking = false;

  constructor({ limitBytes, clock }: ArrivalsSettings) {
    this.#limitBytes = limitBytes;
    this.#clock = clock;
  }

  get usedBytes(): number {
    return this.#usedBytes;
  }

  begin(source: ArrivalSource): Arrival {
    const arrival = new Arrival(source, {
      onGrown: (bytes) => this.#grown(arrival, bytes),
      onWhole: () => this.#goOn(),
      onEnd: () => this.#ended(arrival),
    });
    arrival.readSinceMs = this.#clock.now();
    this.#arriving.add(arrival);
    return arrival;
  }

  #grown(arrival: Arrival, bytes: number): void {
    this.#usedBytes += bytes;
    arrival.readSinceMs = this.#clock.now();
    if (this.#hasRoomFor(arrival) || !this.#arriving.has(arrival)) return;
    arrival.pause();
    this.#goOn();
    if (!this.#isLooking) void this.#look();
  }

  #hasRoomFor({ bytes }: Arrival): boolean {
    return this.#usedBytes <= (bytes > SHORT_BYTES ? this.#limitBytes : 2 * this.#limitBytes);
  }

  #ended(arrival: Arrival): void {
    if (!this.#arriving.delete(arrival)) return;
    this.#usedBytes -= arrival.bytes;
    this.#goOn();
  }

  /** Resumes paused messages, oldest first, while there is room. The oldest is resumed in any case if nothing else can free memory. */
  #goOn(): void {
    const paused = [...this.#arriving].filter(({ isPaused }) => isPaused);
    const isStuck = paused.length === this.#arriving.size;
    for (const [index, arrival] of paused.entries()) {
      if (!this.#hasRoomFor(arrival) && !(isStuck && index === 0)) continue;
      arrival.readSinceMs = this.#clock.now();
      arrival.resume();
    }
  }

  /** While messages wait to be read, drops messages that block them for too long. */
  async #look(): Promise<void> {
    this.#isLooking = true;
    while ([...this.#arriving].some(({ isPaused }) => isPaused)) {
      const lookedAtMs = this.#clock.now();
      await this.#clock.sleep(LOOK_EVERY_MS);
      // The process itself was busy, so bytes that arrived in the meantime are not read yet.
      if (this.#clock.now() - lookedAtMs > 3 * LOOK_EVERY_MS) {
        for (const arrival of this.#arriving) arrival.readSinceMs = this.#clock.now();
      }
      const sinceMs = this.#clock.now() - PATIENCE_MS;
      const late = [...this.#arriving].filter((each) => isRead(each) && each.readSinceMs <= sinceMs);
      if ([...this.#arriving].some(({ isPaused }) => isPaused)) for (const arrival of late) arrival.cut();
    }
    this.#isLooking = false;
  }
}

function isRead({ isPaused, isWhole }: Arrival): boolean {
  return !isPaused && !isWhole;
}

interface ArrivalEvents {
  onGrown(bytes: number): void;
  onWhole(): void;
  onEnd(): void;
}

/** One message on its way in. */
export class Arrival {
  bytes = 0;
  isPaused = false;
  /** The message is complete, and waits for room. */
  isWhole = false;
  /** The last time at which bytes arrived or it was resumed. */
  readSinceMs = 0;
  readonly #source: ArrivalSource;
  readonly #events: ArrivalEvents;

  constructor(source: ArrivalSource, events: ArrivalEvents) {
    this.#source = source;
    this.#events = events;
  }

  /** Counts further bytes in memory. The source may be paused or cut before this returns. */
  grew(bytes: number): void {
    this.bytes += bytes;
    this.#events.onGrown(bytes);
  }

  becameWhole(): void {
    this.isWhole = true;
    if (this.isPaused) this.resume();
    this.#events.onWhole();
  }

  /** Ends the count, because the bytes are counted elsewhere or are freed. May be called more than once. */
  end(): void {
    this.#events.onEnd();
  }

  pause(): void {
    if (this.isPaused || this.isWhole) return;
    this.isPaused = true;
    this.#source.pause();
  }

  resume(): void {
    this.isPaused = false;
    this.#source.resume();
  }

  cut(): void {
    this.end();
    this.#source.cut();
  }
}
