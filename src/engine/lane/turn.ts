import { ConnectionError } from '../../domain/errors.ts';
import type { Clock } from '../ports/ports.ts';

/** Gives the turn back. Calling it twice is a mistake that it ignores. */
export type Release = () => void;

interface Waiter {
  readonly admit: () => void;
}

/** A first-in-first-out place in a lane: one write of it is under way at a time, and a copy's read stands in the same line. */
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
   * Waits in line, at most until `deadlineAtMs`.
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
    // The turn stays taken on its way to the next in line: nobody can slip in between.
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
