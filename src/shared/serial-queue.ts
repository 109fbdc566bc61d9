/** Runs pieces of work one after the other, first come, first served. If one fails, the next one still runs. */
export class SerialQueue {
  #last: Promise<unknown> = Promise.resolve();

  /** Resolves or rejects as the work does. */
  run<Result>(work: () => Promise<Result>): Promise<Result> {
    const result = this.#last.then(work);
    this.#last = result.catch(() => undefined);
    return result;
  }

  /** Resolves when everything that was requested before has ended. */
  async idle(): Promise<void> {
    await this.#last;
  }
}
