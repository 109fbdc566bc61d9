import { Readable } from 'node:stream';
import { setTimeout as sleep } from 'node:timers/promises';
import type { FastifyInstance } from 'fastify';
import type { ServiceName } from '../../domain/ids.ts';
import type { LiveBook } from '../live-book.ts';
import type { Visitors } from './visitors.ts';

/** Proxies in between close a connection that is silent for a minute. */
const STILL_HERE_MS = 20_000;
/** Most streams at the same time. A browser retries. */
const MOST_STREAMS = 100;

interface StreamRoute {
  Params: { service: string };
}

/** Streams the samples of a service as server-sent events, the stored ones first. */
export function registerLiveStream(
  app: FastifyInstance,
  { visitors, live }: { readonly visitors: Visitors; readonly live: LiveBook },
): void {
  let open = 0;
  app.get<StreamRoute>('/live/:service', (request, reply) => {
    const service = request.params.service as ServiceName;
    if (visitors.known(request) === undefined) return reply.code(401).send();
    if (live.samplesOf(service) === undefined) return reply.code(404).send();
    if (open >= MOST_STREAMS) return reply.code(503).header('retry-after', '30').send();
    open += 1;
    const ended = new AbortController();
    const isWelcome = (): Promise<boolean> => visitors.stillKnown(request);
    const stream = Readable.from(eventsOf(live, service, { signal: ended.signal, isWelcome }));
    reply.raw.once('close', () => {
      open -= 1;
      ended.abort();
      stream.destroy();
    });
    return reply.type('text/event-stream').header('cache-control', 'no-store').send(stream);
  });
}

interface Watcher {
  readonly signal: AbortSignal;
  /** False once the session has ended. */
  readonly isWelcome: () => Promise<boolean>;
}

async function* eventsOf(
  live: LiveBook,
  service: ServiceName,
  { signal, isWelcome }: Watcher,
): AsyncGenerator<string> {
  yield `event: kept\ndata: ${JSON.stringify(live.samplesOf(service))}\n\n`;
  while (!signal.aborted) {
    const isNews = await newsOf(live, signal);
    if (!(await isWelcome())) return;
    const sample = live.samplesOf(service)?.at(-1);
    yield isNews && sample !== undefined ? `event: sample\ndata: ${JSON.stringify(sample)}\n\n` : ':\n\n';
  }
}

/** False if nothing came in time. */
async function newsOf(live: LiveBook, signal: AbortSignal): Promise<boolean> {
  const waiting = new AbortController();
  const stop = AbortSignal.any([signal, waiting.signal]);
  const { promise, resolve } = Promise.withResolvers<boolean>();
  const unwatch = live.watch(() => resolve(true));
  try {
    const quiet = sleep(STILL_HERE_MS, false, { signal: stop, ref: false }).catch(() => false);
    return await Promise.race([promise, quiet]);
  } finally {
    unwatch();
    waiting.abort();
  }
}
