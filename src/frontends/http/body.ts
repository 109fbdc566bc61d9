import type { IncomingMessage } from 'node:http';
import type { ByteBudget } from '../byte-budget.ts';

export interface BodyLimits {
  readonly messageBytes: number;
  readonly budget: ByteBudget;
  /** Milliseconds that are left for the whole body to arrive, when it is asked. */
  readonly leftMs: () => number;
}

/** A body in memory, counted until it is released. */
export interface ReceivedBody {
  readonly bytes: Buffer;
  /** To be called once, when nothing of the request is under way. */
  release(): void;
}

/** Why there is no body: `busy`, no room for it in time; `late`, it did not arrive; `aborted`, the client left. */
export type NoBody = 'too_large' | 'busy' | 'late' | 'aborted';

/** The whole body, read only where there is room for all of it. Never rejects. */
export async function receiveBody(
  request: IncomingMessage,
  { messageBytes, budget, leftMs }: BodyLimits,
): Promise<ReceivedBody | NoBody> {
  const reserved = longestBody(request, messageBytes);
  if (reserved > messageBytes) return 'too_large';
  if (!(await budget.take(reserved))) return 'busy';
  const body = await collectBody(request, messageBytes, leftMs());
  if (typeof body === 'string') {
    budget.give(reserved);
    return body;
  }
  const { length } = body;
  budget.give(reserved - length);
  return { bytes: body, release: () => budget.give(length) };
}

/** What the client said, or the most it may send where it did not. */
function longestBody({ headers }: IncomingMessage, messageBytes: number): number {
  return headers['transfer-encoding'] === undefined ? Number(headers['content-length'] ?? 0) : messageBytes;
}

function collectBody(
  request: IncomingMessage,
  limitBytes: number,
  leftMs: number,
): Promise<Buffer | Exclude<NoBody, 'busy'>> {
  if (request.destroyed) return Promise.resolve('aborted');
  return new Promise((resolve) => {
    const chunks: Buffer[] = [];
    let bytes = 0;
    const end = (result: Buffer | Exclude<NoBody, 'busy'>): void => {
      clearTimeout(timer);
      resolve(result);
    };
    const stop = (why: 'too_large' | 'late'): void => {
      request.removeAllListeners('data').pause();
      end(why);
    };
    const timer = setTimeout(() => stop('late'), leftMs);
    request.on('data', (chunk: Buffer) => {
      bytes += chunk.length;
      if (bytes > limitBytes) stop('too_large');
      else chunks.push(chunk);
    });
    request.on('end', () => end(chunks.length === 1 && chunks[0] ? chunks[0] : Buffer.concat(chunks)));
    request.on('close', () => end('aborted'));
    request.on('error', () => end('aborted'));
  });
}

/** How long a body that nobody reads is taken in where nothing else limits it, milliseconds. */
const DISMISS_MS = 1_000;

/** Lets the rest of a body arrive before it is answered: a client that still writes would see its connection break, not the answer. */
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
