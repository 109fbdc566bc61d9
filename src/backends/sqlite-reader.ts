import { Worker } from 'node:worker_threads';
import { ConnectionError, messageOf } from '../domain/errors.ts';

export interface SqliteQuestion {
  readonly id: number;
  readonly sql: string;
  readonly parameters: readonly string[];
}

export type SqliteAnswer =
  | { readonly id: number; readonly rows: readonly object[]; readonly error?: undefined }
  | { readonly id: number; readonly error: string };

type Row = Readonly<Record<string, unknown>>;

/** A worker's heap is not part of the process's heap limit, so it needs its own limits. */
const HEAP = { maxYoungGenerationSizeMb: 4, maxOldGenerationSizeMb: 64 } as const;

/** Reads a SQLite file of a running service in a worker thread. No transaction lasts longer than one statement. */
export class SqliteReader {
  readonly #path: string;
  readonly #waiting = new Map<number, PromiseWithResolvers<readonly Row[]>>();
  #worker: Worker | undefined;
  #lastId = 0;

  constructor(path: string) {
    this.#path = path;
  }

  /** @throws ConnectionError if the file cannot be read, or stays locked for 2 s */
  all(sql: string, parameters: readonly string[]): Promise<readonly Row[]> {
    this.#worker ??= this.#start();
    this.#worker.ref();
    this.#lastId += 1;
    const question = Promise.withResolvers<readonly Row[]>();
    this.#waiting.set(this.#lastId, question);
    this.#worker.postMessage({ id: this.#lastId, sql, parameters } satisfies SqliteQuestion);
    return question.promise;
  }

  async stop(): Promise<void> {
    const worker = this.#worker;
    this.#abandon('reading was stopped');
    await worker?.terminate();
  }

  #start(): Worker {
    const worker = new Worker(new URL('./sqlite-worker.ts', import.meta.url), {
      workerData: { path: this.#path },
      name: 'sqlite-reader',
      resourceLimits: HEAP,
    });
    worker.on('message', (answer: SqliteAnswer) => this.#settle(answer));
    worker.on('error', (error) => this.#abandon(messageOf(error)));
    worker.on('exit', () => {
      if (this.#worker === worker) this.#abandon('the reading thread ended');
    });
    return worker;
  }

  #settle(answer: SqliteAnswer): void {
    const question = this.#waiting.get(answer.id);
    this.#waiting.delete(answer.id);
    if (this.#waiting.size === 0) this.#worker?.unref();
    if (answer.error === undefined) question?.resolve(answer.rows as readonly Row[]);
    else question?.reject(this.#failure(answer.error));
  }

  #abandon(what: string): void {
    this.#worker = undefined;
    for (const question of this.#waiting.values()) question.reject(this.#failure(what));
    this.#waiting.clear();
  }

  #failure(what: string): ConnectionError {
    return new ConnectionError(`${this.#path}: ${what}`, { effect: 'not_applied', reason: 'unreadable' });
  }
}
