import { ConnectionError } from '../../domain/errors.ts';
import type { Clock } from '../../shared/clock.ts';

/** Returns the turn. A second call is ignored. */
export type Release = () => void;

interface Waiter {
  readonly admit: () => void;
}

/** A first-in-first-out turn of a lane. One write of it is in flight at a time, and a copy's read waits in the same queue. */
export class Turn {
  #taken = false;
  readonly #waiting: Waiter[] = [];
  readonly #clock: Clock;

  constructor(clock: Clock) {
    this.#clock = clock;
  }

  get isTaken(): boolean {
    return this.#taken;
  }

  /**
   * Waits for the turn, at most until `deadlineAtMs`.
   * @throws ConnectionError effect `not_applied`, reason `lane_busy`
   */
  async take(deadlineAtMs: number): Promise<Release> {
    if (this.#taken) await this.#wait(deadlineAtMs);
    this.#taken = true;
    let isHeld = true;
    return () => {
      if (isHeld) this.#passOn();
      isHeld = false;
    };
  }

  #passOn(): void {
    const next = this.#waiting.shift();
    // The turn stays taken while it passes to the next in the queue, so that no other call gets in between.
    if (next === undefined) this.#taken = false;
    else next.admit();
  }

  #wait(deadlineAtMs: number): Promise<void> {
    return new Promise((resolve, reject) => {
      const waiter: Waiter = {
        admit: () => {
          clearTimeout(timer);
          resolve();
        },
      };
      const timer = setTimeout(
        () => {
          this.#waiting.splice(this.#waiting.indexOf(waiter), 1);
          reject(
            new ConnectionError('the lane was busy until the deadline', {
              effect: 'not_applied',
              reason: 'lane_busy',
            }),
          );
        },
        Math.max(0, deadlineAtMs - this.#clock.now()),
      );
      this.#waiting.push(waiter);
    });
  }
}
