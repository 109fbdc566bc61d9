import { Worker } from 'node:worker_threads';
import { TOO_LARGE, type Judgement, type ReplyPair } from '../engine/compare/compare-replies.ts';

export interface LargeQuestion {
  readonly id: number;
  readonly pair: ReplyPair;
}

export interface LargeAnswer {
  readonly id: number;
  readonly judgement: Judgement;
}

/** A thread's heap is not counted in the process's own. Two replies of 8 MiB fit. Larger ones end the thread, not the proxy. */
const HEAP = { maxYoungGenerationSizeMb: 8, maxOldGenerationSizeMb: 192 } as const;
/** A hundred times the duration for 1 MiB on a busy machine. After that, the thread is ended. */
const PATIENCE_MS = 20_000;
/** An unused thread ends, which releases its memory. */
const IDLE_MS = 30_000;

/**
 * Compares large replies in a thread of their own, because they would block the event loop. The thread ends when it is
 * unused.
 */
export class LargeComparisons {
  readonly #waiting = new Map<number, (judgement: Judgement) => void>();
  #worker: Worker | undefined;
  #idle: NodeJS.Timeout | undefined;
  #lastId = 0;

  /** Never rejects. A pair that the thread cannot compare is `too_large`. */
  compare(pair: ReplyPair): Promise<Judgement> {
    clearTimeout(this.#idle);
    this.#worker ??= this.#start();
    this.#lastId += 1;
    const id = this.#lastId;
    const worker = this.#worker;
    return new Promise((resolve) => {
      const patience = setTimeout(() => this.#abandon(worker), PATIENCE_MS);
      this.#waiting.set(id, (judgement) => {
        clearTimeout(patience);
        this.#waiting.delete(id);
        if (this.#waiting.size === 0) this.#idle = setTimeout(() => this.#abandon(worker), IDLE_MS).unref();
        resolve(judgement);
      });
      worker.postMessage({ id, pair } satisfies LargeQuestion);
    });
  }

  async stop(): Promise<void> {
    clearTimeout(this.#idle);
    const worker = this.#worker;
    this.#worker = undefined;
    await worker?.terminate();
    this.#giveUp();
  }

  #start(): Worker {
    const worker = new Worker(new URL('./compare-worker.ts', import.meta.url), {
      name: 'comparing',
      resourceLimits: HEAP,
    });
    worker.unref();
    worker.on('message', ({ id, judgement }: LargeAnswer) => this.#waiting.get(id)?.(judgement));
    worker.on('error', () => this.#abandon(worker));
    return worker;
  }

  #abandon(worker: Worker): void {
    void worker.terminate();
    if (this.#worker !== worker) return;
    this.#worker = undefined;
    this.#giveUp();
  }

  #giveUp(): void {
    for (const answer of this.#waiting.values()) answer(TOO_LARGE);
    clearTimeout(this.#idle);
  }
}
