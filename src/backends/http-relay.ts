import type { IncomingMessage, ServerResponse } from 'node:http';
import type { Readable } from 'node:stream';
import { errors, Pool, type Dispatcher } from 'undici';
import { endToEndHeaders, forwardedHeaders } from './http-headers.ts';

export interface HttpRelaySettings {
  /** `http://host:port` of the legacy server, with a path where it serves below one. */
  readonly endpoint: string;
  /** @defaultValue 128 */
  readonly connections?: number;
  /** Until the response begins, milliseconds, in steps of half a second. A body that has begun may take any time. @defaultValue 30000 */
  readonly headersTimeoutMs?: number;
}

/** The frontend's `RelayExchange`: edges do not import each other, the composition root joins them. */
interface RelayedExchange {
  readonly request: IncomingMessage;
  readonly response: ServerResponse;
  readonly path: string;
  onFailure(kind: 'unavailable' | 'timeout'): void;
}

export interface HttpRelayClient {
  relay(exchange: RelayedExchange): void;
  start(): Promise<void>;
  stop(): Promise<void>;
}

const CONNECT_TIMEOUT_MS = 2_000;

/** Streams requests to a legacy HTTP service and its responses back. Nothing is buffered, nothing is repeated. */
export function createHttpRelay(settings: HttpRelaySettings): HttpRelayClient {
  const { origin, pathname } = new URL(settings.endpoint);
  const prefix = pathname.replace(/\/$/, '');
  let pool: Pool | undefined;
  return {
    relay: (exchange) => {
      if (pool === undefined) return exchange.onFailure('unavailable');
      const { request } = exchange;
      pool.dispatch(
        {
          method: request.method ?? 'GET',
          path: prefix + exchange.path,
          headers: forwardedHeaders(request),
          body: hasBody(request) ? bodyOf(request) : null,
        },
        new Relaying(exchange),
      );
    },
    start: async () => {
      pool = new Pool(origin, {
        connections: settings.connections ?? 128,
        pipelining: 1,
        headersTimeout: settings.headersTimeoutMs ?? 30_000,
        bodyTimeout: 0,
        connect: { timeout: CONNECT_TIMEOUT_MS },
      });
    },
    stop: async () => {
      const closing = pool;
      pool = undefined;
      await closing?.destroy();
    },
  };
}

function hasBody({ headers }: IncomingMessage): boolean {
  if (headers['transfer-encoding'] !== undefined) return true;
  const length = headers['content-length'];
  return length !== undefined && length !== '0';
}

/** The body as undici takes it. Not the request itself: undici would destroy it, and the agent's connection with it, where the service fails. */
function bodyOf(request: IncomingMessage): Readable {
  return request.iterator({ destroyOnReturn: false }) as unknown as Readable;
}

/** One response on its way back to the agent. */
class Relaying implements Dispatcher.DispatchHandler {
  readonly #exchange: RelayedExchange;
  #controller: Dispatcher.DispatchController | undefined;
  #hasLeft = false;
  readonly #onClose = (): void => {
    if (this.#exchange.response.writableFinished) return;
    this.#hasLeft = true;
    this.#controller?.abort(new Error('the agent left'));
  };
  readonly #flush = (): void => {
    const { response } = this.#exchange;
    if (!response.writableEnded && !response.destroyed) response.flushHeaders();
  };
  readonly #onDrain = (): void => {
    this.#exchange.response.off('drain', this.#onDrain);
    this.#controller?.resume();
  };

  constructor(exchange: RelayedExchange) {
    this.#exchange = exchange;
    exchange.response.on('close', this.#onClose);
  }

  onRequestStart(controller: Dispatcher.DispatchController): void {
    this.#controller = controller;
    if (this.#hasLeft) controller.abort(new Error('the agent left'));
  }

  onResponseStart(
    ...[, status, headers, statusText]: Parameters<NonNullable<Dispatcher.DispatchHandler['onResponseStart']>>
  ): void {
    if (status < 200) return;
    this.#exchange.response.writeHead(status, statusText, endToEndHeaders(headers, 'response'));
    // Body and headers leave in one packet where they came in one; an event stream may be silent for long after its headers.
    setImmediate(this.#flush);
  }

  onResponseData(controller: Dispatcher.DispatchController, chunk: Buffer): void {
    const { response } = this.#exchange;
    if (response.write(chunk)) return;
    controller.pause();
    response.on('drain', this.#onDrain);
  }

  onResponseEnd(): void {
    this.#exchange.response.end();
  }

  onResponseError(_: Dispatcher.DispatchController, error: Error): void {
    const { response } = this.#exchange;
    if (this.#hasLeft || response.destroyed) return;
    if (response.headersSent) response.destroy();
    else this.#exchange.onFailure(isTimeout(error) ? 'timeout' : 'unavailable');
  }
}

function isTimeout(error: Error): boolean {
  return error instanceof errors.HeadersTimeoutError;
}
