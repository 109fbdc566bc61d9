import type { IncomingMessage, ServerResponse } from 'node:http';
import type { Readable } from 'node:stream';
import { errors, Pool, type Dispatcher } from 'undici';
import { FairQueue, type Caller } from '../shared/fair-queue.ts';
import type { Clock } from '../shared/clock.ts';
import { endToEndHeaders, forwardedHeaders } from './http-headers.ts';

export interface HttpRelaySettings {
  /** `http://host:port` of the legacy server, with a path if the service uses one. */
  readonly endpoint: string;
  /** @defaultValue 128 */
  readonly connections?: number;
  /** Longest wait for the start of the response, milliseconds, in steps of 500. A started body may take any time. @defaultValue 30000 */
  readonly headersTimeoutMs?: number;
  readonly clock: Clock;
}

/** The frontend's `RelayExchange`. Edges do not import each other; the composition root connects them. */
interface RelayedExchange {
  readonly request: IncomingMessage;
  readonly response: ServerResponse;
  readonly path: string;
  readonly caller: Caller;
  readonly body?: Buffer;
  readonly deadlineAtMs?: number;
  readonly isSeenThrough?: boolean;
  onBegin?(status: 'answered' | 'unavailable' | 'timeout'): void;
  onEnd?(status: 'answered' | 'unavailable' | 'timeout'): void;
  onFailure(kind: 'unavailable' | 'timeout'): void;
}

export interface HttpRelayClient {
  relay(exchange: RelayedExchange): void;
  start(): Promise<void>;
  stop(): Promise<void>;
}

const CONNECT_TIMEOUT_MS = 2_000;

/** Streams requests to a legacy HTTP service and its responses back. It buffers and repeats nothing. */
export function createHttpRelay(settings: HttpRelaySettings): HttpRelayClient {
  const { connections = 128 } = settings;
  const { origin, pathname } = new URL(settings.endpoint);
  const prefix = pathname.replace(/\/$/, '');
  // Not in the pool, because its queue is first come, first served.
  const waiting = new FairQueue<Relaying>();
  let pool: Pool | undefined;
  let busy = 0;
  const drain = (): void => {
    while (busy < connections) {
      const relaying = waiting.shift();
      if (relaying === undefined) return;
      if (pool === undefined || relaying.isOver) relaying.fail('unavailable');
      else {
        busy += 1;
        relaying.send(pool, prefix);
      }
    }
  };
  const onFree = (): void => {
    busy -= 1;
    drain();
  };
  return {
    relay: (exchange) => {
      const relaying = new Relaying(exchange, onFree);
      if (pool === undefined) return relaying.fail('unavailable');
      if (exchange.deadlineAtMs !== undefined) relaying.endBy(exchange.deadlineAtMs - settings.clock.now());
      waiting.push(relaying, exchange.caller);
      drain();
    },
    start: async () => {
      pool = new Pool(origin, {
        connections,
        pipelining: 1,
        headersTimeout: settings.headersTimeoutMs ?? 30_000,
        bodyTimeout: 0,
        connect: { timeout: CONNECT_TIMEOUT_MS },
      });
    },
    stop: async () => {
      const closing = pool;
      pool = undefined;
      drain();
      await closing?.destroy();
    },
  };
}

function streamedBody(request: IncomingMessage): Readable | null {
  return hasBody(request) ? bodyOf(request) : null;
}

function orNothing(body: Buffer): Buffer | null {
  return body.length === 0 ? null : body;
}

function hasBody({ headers }: IncomingMessage): boolean {
  if (headers['transfer-encoding'] !== undefined) return true;
  const length = headers['content-length'];
  return length !== undefined && length !== '0';
}

/** The body for undici. Not the request itself, because undici would destroy it with the agent's connection if the service fails. */
function bodyOf(request: IncomingMessage): Readable {
  return request.iterator({ destroyOnReturn: false }) as unknown as Readable;
}

/** One response on its way back to the agent. */
class Relaying implements Dispatcher.DispatchHandler {
  readonly #exchange: RelayedExchange;
  /** Called once, when the connection to the service is free again. */
  readonly #onFree: () => void;
  #controller: Dispatcher.DispatchController | undefined;
  #deadline: NodeJS.Timeout | undefined;
  #hasLeft = false;
  #hasBegun = false;
  /** Nothing more is sent to the agent, because it has its answer or is gone. */
  #isOver = false;
  readonly #onClose = (): void => {
    if (this.#exchange.response.writableFinished) return;
    this.#hasLeft = true;
    this.#isOver = true;
    this.#begin('answered');
    if (this.#exchange.isSeenThrough !== true) this.#controller?.abort(new Error('the agent left'));
    else this.#controller?.resume();
  };
  readonly #flush = (): void => {
    const { response } = this.#exchange;
    if (!response.writableEnded && !response.destroyed) response.flushHeaders();
  };
  readonly #onDrain = (): void => {
    this.#exchange.response.off('drain', this.#onDrain);
    this.#controller?.resume();
  };

  constructor(exchange: RelayedExchange, onFree: () => void) {
    this.#exchange = exchange;
    this.#onFree = onFree;
    exchange.response.on('close', this.#onClose);
  }

  get isOver(): boolean {
    return this.#isOver;
  }

  send(pool: Pool, prefix: string): void {
    const { request, body, path } = this.#exchange;
    pool.dispatch(
      {
        method: request.method ?? 'GET',
        path: prefix + path,
        headers: forwardedHeaders(request),
        body: body === undefined ? streamedBody(request) : orNothing(body),
      },
      this,
    );
  }

  /** Sets how long the agent waits for the start of the response, milliseconds. */
  endBy(ms: number): void {
    this.#deadline = setTimeout(() => this.#late(), Math.max(0, ms));
  }

  fail(kind: 'unavailable' | 'timeout'): void {
    this.#end(kind);
    this.#giveUp(kind);
  }

  onRequestStart(controller: Dispatcher.DispatchController): void {
    this.#controller = controller;
    if (this.#isOver) controller.abort(new Error('the response is no longer needed'));
  }

  onResponseStart(
    ...[, status, headers, statusText]: Parameters<NonNullable<Dispatcher.DispatchHandler['onResponseStart']>>
  ): void {
    if (status < 200) return;
    clearTimeout(this.#deadline);
    this.#begin('answered');
    if (this.#isOver) return;
    this.#exchange.response.writeHead(status, statusText, endToEndHeaders(headers, 'response'));
    // Headers and body that arrived in one packet are sent in one packet. An event stream may be silent for long after its headers.
    setImmediate(this.#flush);
  }

  onResponseData(controller: Dispatcher.DispatchController, chunk: Buffer): void {
    const { response } = this.#exchange;
    if (this.#isOver || response.write(chunk)) return;
    controller.pause();
    response.on('drain', this.#onDrain);
  }

  onResponseEnd(): void {
    this.#end('answered');
    if (!this.#isOver) this.#exchange.response.end();
    this.#onFree();
  }

  onResponseError(_: Dispatcher.DispatchController, error: Error): void {
    const kind = isTimeout(error) ? 'timeout' : 'unavailable';
    this.#end(kind);
    this.#onFree();
    const { response } = this.#exchange;
    if (this.#hasLeft || response.destroyed) return;
    if (response.headersSent) response.destroy();
    else this.#giveUp(kind);
  }

  /** A sent request may still take effect, so the exchange ends when the service has answered. A waiting request is withdrawn. */
  #late(): void {
    if (this.#exchange.response.headersSent) return;
    this.#giveUp('timeout');
  }

  #giveUp(kind: 'unavailable' | 'timeout'): void {
    if (this.#isOver) return;
    this.#isOver = true;
    this.#begin(kind);
    this.#exchange.onFailure(kind);
  }

  #begin(status: 'answered' | 'unavailable' | 'timeout'): void {
    if (this.#hasBegun) return;
    this.#hasBegun = true;
    this.#exchange.onBegin?.(status);
  }

  #end(status: 'answered' | 'unavailable' | 'timeout'): void {
    clearTimeout(this.#deadline);
    this.#exchange.onEnd?.(status);
  }
}

function isTimeout(error: Error): boolean {
  return error instanceof errors.HeadersTimeoutError;
}
