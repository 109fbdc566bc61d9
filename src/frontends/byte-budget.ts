import type { Clock } from '../engine/ports/ports.ts';
import { Arrivals } from './arrivals.ts';

export interface ByteBudgetSettings {
  /** Bytes of requests under way, over all services of a protocol; the last that is let in may go above it. */
  readonly limitBytes: number;
  /** How long a request waits for room before it is refused, milliseconds: what is left of its deadline must do for the answer. */
  readonly patienceMs: number;
  readonly clock: Clock;
}

interface Waiter {
  readonly bytes: number;
  readonly admit: () => void;
}

/** Counts the bytes of requests under way. In memory a request is several times its length, and only a count of bytes bounds that. */
export class ByteBudget {
  readonly patienceMs: number;
  readonly limitBytes: number;
  /** What is on its way in, and takes no room of the requests under way: half as much as these may. */
  readonly arrivals: Arrivals;
  readonly #clock: Clock;
  #usedBytes = 0;
  readonly #waiting: Waiter[] = [];

  constructor({ limitBytes, patienceMs, clock }: ByteBudgetSettings) {
    this.limitBytes = limitBytes;
    this.patienceMs = patienceMs;
    this.#clock = clock;
    this.arrivals = new Arrivals({ limitBytes: limitBytes / 2, clock });
  }

  /** Whether a request of unknown length may come in. Nobody passes those who wait. */
  get hasRoom(): boolean {
    return this.#usedBytes < this.limitBytes && this.#waiting.length === 0;
  }

  /** Counts what is in memory already. */
  add(bytes: number): void {
    this.#usedBytes += bytes;
  }

  /** Counts so many bytes once there is room for them, first come, first served; false where there was none in time. */
  async take(bytes: number, patienceMs: number = this.patienceMs): Promise<boolean> {
    if (this.#waiting.length === 0 && this.#fits(bytes)) {
      this.add(bytes);
      return true;
    }
    const admitted = new AbortController();
    const waiter: Waiter = {
      bytes,
      admit: () => {
        this.add(bytes);
        admitted.abort();
      },
    };
    this.#waiting.push(waiter);
    await this.#clock.sleep(patienceMs, admitted.signal);
    if (admitted.signal.aborted) return true;
    this.#waiting.splice(this.#waiting.indexOf(waiter), 1);
    // It may have been the large one that kept smaller ones waiting.
    this.#admit();
    return false;
  }

  give(bytes: number): void {
    this.#usedBytes -= bytes;
    if (this.#waiting.length > 0) this.#admit();
  }

  #admit(): void {
    for (let [next] = this.#waiting; next !== undefined && this.#fits(next.bytes); [next] = this.#waiting) {
      this.#waiting.shift();
      next.admit();
    }
  }

  /** What is longer than the whole budget comes in alone. */
  #fits(bytes: number): boolean {
    return (
      this.#usedBytes === 0 ||
      (this.#usedBytes < this.limitBytes && this.#usedBytes + bytes <= this.limitBytes)
    );
  }
}
