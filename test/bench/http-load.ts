import { Pool, type Dispatcher } from 'undici';
import { serveParent, settingsOfChild } from './child.ts';
import { KEPT_ITEMS } from './http-service.ts';
import { Recorder } from './samples.ts';

/** A measurement that the load process is asked for. */
export interface HttpJob {
  readonly kind: 'fill' | 'load';
  readonly origin: string;
  /** In front of every path. */
  readonly prefix: string;
  readonly connections: number;
  readonly warmUpMs: number;
  readonly seconds: number;
}

const OWNERS = 1_000;
/** One request of so many writes. */
const WRITE_EVERY = 10;
const ITEM_BYTES = 90;
/** Every list is full: what is shorter was not answered by the service. */
const FULL_LIST_BYTES = KEPT_ITEMS * ITEM_BYTES;
const HEADERS = { 'content-type': 'application/json' };

let reads = 0;
let items = 0;
let turn = 0;

/** Ends with the response, whose bytes are counted and dropped. */
class Exchange implements Dispatcher.DispatchHandler {
  readonly #done: (error?: Error) => void;
  readonly #leastBytes: number;
  #status = 0;
  #bytes = 0;

  constructor(leastBytes: number, done: (error?: Error) => void) {
    this.#leastBytes = leastBytes;
    this.#done = done;
  }

  onRequestStart(): void {}

  onResponseStart(_: Dispatcher.DispatchController, status: number): void {
    this.#status = status;
  }

  onResponseData(_: Dispatcher.DispatchController, chunk: Buffer): void {
    this.#bytes += chunk.length;
  }

  onResponseEnd(): void {
    const isAnswer = this.#status < 400 && this.#bytes >= this.#leastBytes;
    this.#done(isAnswer ? undefined : new Error(`answered ${this.#status} with ${this.#bytes} bytes`));
  }

  onResponseError(_: Dispatcher.DispatchController, error: Error): void {
    this.#done(error);
  }
}

interface Call {
  readonly path: string;
  readonly body: string;
  /** Of a whole answer. */
  readonly leastBytes: number;
}

function send(pool: Pool, { path, body, leastBytes }: Call): Promise<void> {
  return new Promise((resolve, reject) => {
    const exchange = new Exchange(leastBytes, (error) => (error === undefined ? resolve() : reject(error)));
    pool.dispatch({ method: 'POST', path, body, headers: HEADERS }, exchange);
  });
}

function adding(owner: string, prefix: string): Call {
  const item = `item ${(items += 1)} `.padEnd(ITEM_BYTES, 'x');
  return { path: `${prefix}/items/add`, body: JSON.stringify({ owner, item }), leastBytes: 1 };
}

/** The next of an endless mix, the owners taking turns. */
function nextCall(prefix: string): Call {
  turn += 1;
  // Coprime to the share of writes: every owner gets both.
  const owner = `owner-${(turn * 7) % (OWNERS - 3)}`;
  if (turn % WRITE_EVERY === 0) return adding(owner, prefix);
  reads += 1;
  return { path: `${prefix}/items/list`, body: `{"owner":"${owner}"}`, leastBytes: FULL_LIST_BYTES };
}

async function everybody(connections: number, one: () => Promise<void>): Promise<void> {
  await Promise.all(Array.from({ length: connections }, one));
}

/** Opens every owner with a full list. */
async function fill(pool: Pool, { prefix, connections }: HttpJob): Promise<object> {
  let next = 0;
  await everybody(connections, async () => {
    for (let owner = `owner-${next++}`; next <= OWNERS; owner = `owner-${next++}`) {
      await send(pool, { path: `${prefix}/items/open`, body: JSON.stringify({ owner }), leastBytes: 1 });
      for (let item = 0; item < KEPT_ITEMS; item += 1) await send(pool, adding(owner, prefix));
    }
  });
  return {};
}

async function load(pool: Pool, job: HttpJob): Promise<object> {
  const recorder = new Recorder();
  const repeat = async (untilMs: number, into?: Recorder): Promise<void> => {
    for (let startedAtMs = performance.now(); startedAtMs < untilMs;) {
      await send(pool, nextCall(job.prefix)).catch((error: unknown) => recorder.failed(String(error)));
      const nowMs = performance.now();
      into?.add(nowMs - startedAtMs);
      startedAtMs = nowMs;
    }
  };
  const readsBefore = reads;
  const warmUntilMs = performance.now() + job.warmUpMs;
  await everybody(job.connections, () => repeat(warmUntilMs));
  const startedAtMs = performance.now();
  const untilMs = startedAtMs + job.seconds * 1_000;
  await everybody(job.connections, () => repeat(untilMs, recorder));
  const sample = recorder.sample((performance.now() - startedAtMs) / 1_000);
  return { ...sample, reads: reads - readsBefore };
}

async function work(job: HttpJob): Promise<object> {
  const pool = new Pool(job.origin, { connections: job.connections, pipelining: 1 });
  try {
    return await (job.kind === 'fill' ? fill : load)(pool, job);
  } finally {
    await pool.close();
  }
}

settingsOfChild();
serveParent(work);
