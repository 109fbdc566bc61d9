import type { Router } from 'zeromq';
import type { Clock } from '../../migration/ports.ts';
import type { ByteBudget } from '../byte-budget.ts';

/** A message taken from ZeroMQ's queues, its bytes counted. */
export interface Incoming {
  readonly frames: Buffer[];
  readonly bytes: number;
  /** The earliest instant it can have come at. */
  readonly receivedAtMs: number;
  /** There was no room for it in time. */
  readonly isRefused: boolean;
}

export interface IntakeSettings {
  readonly admission?: { readonly budget: ByteBudget };
  readonly clock: Clock;
}

/**
 * Takes messages while there is room for their bytes; without it they wait in ZeroMQ's queues, and from there in the peers'.
 * Nobody knows how long a message waited there, so from the first wait until the queues were seen empty all count as old as that
 * wait, and once it was as long as an agent can bear, what finds no room is refused at once: late, the answer would find nobody.
 */
export class Intake {
  readonly #socket: Router;
  readonly #budget: ByteBudget | undefined;
  readonly #clock: Clock;
  #heldSinceMs: number | undefined;

  constructor(socket: Router, { admission, clock }: IntakeSettings) {
    this.#socket = socket;
    this.#budget = admission?.budget;
    this.#clock = clock;
  }

  async next(): Promise<Incoming> {
    const isRefused = this.#budget !== undefined && !(await this.#hasRoom(this.#budget));
    // Nothing has waited any more, and the next one will not either.
    if (!isRefused && this.#heldSinceMs !== undefined && !this.#socket.readable)
      this.#heldSinceMs = undefined;
    const frames = await this.#socket.receive();
    const bytes = lengthOf(frames);
    this.#budget?.add(bytes);
    return { frames, bytes, receivedAtMs: this.#receivedAtMs(), isRefused };
  }

  /** False once a message waits that has waited too long. */
  async #hasRoom(budget: ByteBudget): Promise<boolean> {
    while (!budget.hasRoom) {
      this.#heldSinceMs ??= this.#clock.now();
      const leftMs = this.#heldSinceMs + budget.patienceMs - this.#clock.now();
      if (leftMs > 0 && (await budget.take(0, leftMs))) continue;
      if (this.#socket.closed || this.#socket.readable) return false;
      // Whatever comes from here on has not waited yet.
      this.#heldSinceMs = this.#clock.now();
    }
    return true;
  }

  #receivedAtMs(): number {
    const now = this.#clock.now();
    if (this.#heldSinceMs === undefined || this.#budget === undefined) return now;
    return Math.max(this.#heldSinceMs, now - this.#budget.patienceMs);
  }
}

function lengthOf(frames: readonly Buffer[]): number {
  let bytes = 0;
  for (const { length } of frames) bytes += length;
  return bytes;
}
