import { FairQueue, type Caller } from '../shared/fair-queue.ts';
import type { Clock } from '../shared/clock.ts';
import { Arrivals } from './arrivals.ts';

export interface ByteBudgetSettings {
  /** Limit for the bytes of requests in progress, over all services of a protocol. The last admitted request may exceed it. */
  readonly limitBytes: number;
  /** How long a request waits for room before it is refused, milliseconds. The rest of its deadline must be enough for the answer. */
  readonly patienceMs: number;
  readonly clock: Clock;
}

interface Waiter {
  readonly bytes: number;
  readonly admit: () => void;
  /** It was refused, and is skipped at its turn. */
  isOver: boolean;
}

/** Counts the bytes of requests in progress. A request takes several times its length in memory, and only a byte count limits that. */
export class ByteBudget {
  readonly patienceMs: number;
  readonly limitBytes: number;
  /** Arriving messages. They have a separate budget of half the size. */
  readonly arrivals: Arrivals;
  readonly #clock: Clock;
  #usedBytes = 0;
  readonly #waiting = new FairQueue<Waiter>();
  /** The one whose turn it is, until it fits. */
  #next: Waiter | undefined;
  /** Without those that were refused. */
  #waiters = 0;

  constructor({ limitBytes, patienceMs, clock }: ByteBudgetSettings) {
    this.limitBytes = limitBytes;
    this.patienceMs = patienceMs;
    this.#clock = clock;
    this.arrivals = new Arrivals({ limitBytes: limitBytes / 2, clock });
  }

  /** Whether a request of unknown length can be admitted. It does not overtake waiting requests. */
  get hasRoom(): boolean {
    return this.#usedBytes < this.limitBytes && this.#waiters === 0;
  }

  /** Counts bytes that are already in memory. */
  add(bytes: number): void {
    this.#usedBytes += bytes;
  }

  /** Counts bytes as soon as there is room for them, and it is the caller's turn; false if there was none in time. */
  async take(bytes: number, patienceMs: number = this.patienceMs, caller?: Caller): Promise<boolean> {
    if (this.#waiters === 0 && this.#fits(bytes)) {
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
      isOver: false,
    };
    this.#waiting.push(waiter, caller);
    this.#waiters += 1;
    await this.#clock.sleep(patienceMs, admitted.signal);
    if (admitted.signal.aborted) return true;
    waiter.isOver = true;
    this.#waiters -= 1;
    // The request may have been a large one that blocked smaller ones.
    this.#admit();
    return false;
  }

  give(bytes: number): void {
    this.#usedBytes -= bytes;
    if (this.#waiters > 0) this.#admit();
  }

  #admit(): void {
    for (let next = this.#first(); next !== undefined && this.#fits(next.bytes); next = this.#first()) {
      this.#next = undefined;
      this.#waiters -= 1;
      next.admit();
    }
  }

  #first(): Waiter | undefined {
    while (this.#next === undefined || this.#next.isOver) {
      this.#next = this.#waiting.shift();
      if (this.#next === undefined) return undefined;
    }
    return this.#next;
  }

  /** A request that is longer than the whole budget is admitted alone. */
  #fits(bytes: number): boolean {
    return (
      this.#usedBytes === 0 ||
      (this.#usedBytes < this.limitBytes && this.#usedBytes + bytes <= this.limitBytes)
    );
  }
}
