import type { IncomingMessage } from 'node:http';
import type { Caller } from '../../shared/fair-queue.ts';
import type { Arrival } from '../arrivals.ts';
import type { ByteBudget } from '../byte-budget.ts';

export interface BodyLimits {
  readonly messageBytes: number;
  readonly budget: ByteBudget;
  readonly caller: Caller;
  /** Remaining milliseconds for the whole body to arrive. */
  readonly leftMs: () => number;
}

/** A body in memory, counted until it is released. */
export interface ReceivedBody {
  readonly bytes: Buffer;
  /** Call it once, when the request has ended. */
  release(): void;
}

/** Why there is no body: `busy`: no room for it in time; `late`: it did not arrive in time; `aborted`: the client disconnected. */
export type NoBody = 'too_large' | 'busy' | 'late' | 'aborted';

/** The whole body. Bytes are counted as they arrive, so a client that announces a body but sends none uses no budget. Never rejects. */
export async function receiveBody(
  request: IncomingMessage,
  { messageBytes, budget, leftMs, caller }: BodyLimits,
): Promise<ReceivedBody | NoBody> {
  if (Number(request.headers['content-length'] ?? 0) > messageBytes) return 'too_large';
  const body = new ArrivingBody(request, { messageBytes, budget, leftMs, caller });
  const bytes = await body.whole;
  if (typeof bytes === 'string') return bytes;
  const { length } = bytes;
  const hasRoom = await budget.take(length, Math.max(0, Math.min(budget.patienceMs, leftMs())), caller);
  body.arrival.end();
  return hasRoom ? { bytes, release: () => budget.give(length) } : 'busy';
}

class ArrivingBody {
  readonly arrival: Arrival;
  readonly whole: Promise<Buffer | NoBody>;
  readonly #request: IncomingMessage;
  readonly #chunks: Buffer[] = [];
  readonly #limitBytes: number;
  #resolve: (result: Buffer | NoBody) => void = () => undefined;

  constructor(request: IncomingMessage, { messageBytes, budget, leftMs }: BodyLimits) {
    this.#request = request;
    this.#limitBytes = messageBytes;
    this.arrival = budget.arrivals.begin({
      pause: () => request.pause(),
      resume: () => request.resume(),
      cut: () => this.#stop('busy'),
    });
    this.whole = new Promise((resolve) => (this.#resolve = resolve));
    if (request.destroyed) this.#end('aborted');
    else this.#listen(leftMs());
  }

  #listen(leftMs: number): void {
    const late = setTimeout(() => this.#stop(this.arrival.isPaused ? 'busy' : 'late'), leftMs);
    void this.whole.then(() => clearTimeout(late));
    this.#request
      .on('data', (chunk: Buffer) => this.#take(chunk))
      .on('end', () => this.#finish())
      .on('close', () => this.#end('aborted'))
      .on('error', () => this.#end('aborted'));
  }

  #take(chunk: Buffer): void {
    if (this.arrival.bytes + chunk.length > this.#limitBytes) return this.#stop('too_large');
    this.#chunks.push(chunk);
    this.arrival.grew(chunk.length);
  }

  #finish(): void {
    this.arrival.becameWhole();
    const [first] = this.#chunks;
    this.#resolve(this.#chunks.length === 1 && first ? first : Buffer.concat(this.#chunks));
  }

  #stop(why: NoBody): void {
    this.#request.removeAllListeners('data').pause();
    this.#end(why);
  }

  /** Only the first call counts, because a request also closes after its end. */
  #end(why: NoBody): void {
    if (!this.arrival.isWhole) this.arrival.end();
    this.#resolve(why);
  }
}

/** How long an unused body is received if nothing else limits it, milliseconds. */
const DISMISS_MS = 1_000;

/** Receives the rest of a body before the answer, because a client that still writes would see a broken connection instead of the answer. */
export function dismissBody(request: IncomingMessage, withinMs = DISMISS_MS): Promise<void> {
  if (request.complete || request.destroyed) return Promise.resolve();
  return new Promise((resolve) => {
    const timer = setTimeout(resolve, withinMs);
    const done = (): void => {
      clearTimeout(timer);
      resolve();
    };
    request.once('end', done).once('close', done).once('error', done).resume();
  });
}
