import type { Pace } from '../runs/pace.ts';

interface SharedPaceParts {
  /** What agents wait for at this moment becomes the reference. */
  readonly begin: () => Pick<Pace, 'after'>;
  readonly isOver: () => boolean;
}

/** One pace for the flips of all services. It begins with the first sweep, and ends with the last one that is under way. */
export class SharedPace {
  readonly #parts: SharedPaceParts;
  #pace: Pick<Pace, 'after'> | undefined;
  #sweeps = 0;
  #last: Promise<void> = Promise.resolve();

  constructor(parts: SharedPaceParts) {
    this.#parts = parts;
  }

  async during(sweep: () => Promise<void>): Promise<void> {
    this.#sweeps += 1;
    this.#pace ??= this.#parts.begin();
    try {
      await sweep();
    } finally {
      this.#sweeps -= 1;
      if (this.#sweeps === 0) this.#pace = undefined;
    }
  }

  /** Waits after a flip. Services wait one after the other, so that all of them together keep the rate. */
  after(): Promise<void> {
    const pace = this.#pace;
    this.#last = this.#last.then(() => (this.#parts.isOver() ? undefined : pace?.after(async () => 1)));
    return this.#last;
  }
}
