import { type Dispatcher, errors, Pool } from 'undici';
import type { HttpTarget } from '../domain/request.ts';
import type { Clock } from '../shared/clock.ts';
import type { LegacyCall, Reply } from '../engine/ports/ports.ts';
import type { Purpose } from '../domain/backend.ts';
import type { ServiceName } from '../domain/ids.ts';
import {
  type CallOutcome,
  CallSlots,
  createDeadlineSweep,
  type DeadlineSweep,
  type PendingCall,
  type SlotSettings,
  type Transport,
} from './call-slots.ts';
import {
  type BreakerSettings,
  type Channel,
  type ChannelLoad,
  createPurposes,
  type LegacyClient,
} from './channels.ts';
import { endToEndHeaders } from './http-headers.ts';

const CONNECT_TIMEOUT_MS = 2_000;
/** Limit of a reply. Without it, an endless reply would be collected until its call is forgotten. */
const LONGEST_REPLY_BYTES = 64 * 1024 * 1024;

interface HttpChannelSettings extends SlotSettings {
  /** `http://host:port`. */
  readonly origin: string;
  readonly connections: number;
  /** Prefix of every path. @defaultValue nothing */
  readonly pathPrefix?: string;
}

interface HttpChannelParts {
  readonly clock: Clock;
  readonly sweep: DeadlineSweep;
  onOutcome?(outcome: CallOutcome): void;
}

type Headers = NonNullable<Reply['http']>['headers'];

const BARE: HttpTarget = { method: 'POST', path: '/', headers: {} };

/** Collects one response. */
class Exchange implements Dispatcher.DispatchHandler {
  readonly #pending: PendingCall;
  readonly #slots: CallSlots;
  readonly #chunks: Buffer[] = [];
  #controller: Dispatcher.DispatchController | undefined;
  #status = 0;
  #headers: Headers = {};
  readonly #onEnd: () => void;

  constructor(pending: PendingCall, slots: CallSlots, onEnd: () => void) {
    this.#pending = pending;
    this.#slots = slots;
    this.#onEnd = onEnd;
  }

  onRequestStart(controller: Dispatcher.DispatchController): void {
    this.#controller = controller;
    this.#pending.call.onSent?.();
  }

  onResponseStart(_: Dispatcher.DispatchController, status: number, headers: object): void {
    this.#status = status;
    this.#headers = headers as Headers;
  }

  onResponseData(_: Dispatcher.DispatchController, chunk: Buffer): void {
    this.#chunks.push(chunk);
  }

  onResponseEnd(): void {
    this.#onEnd();
    const http = { status: this.#status, headers: this.#headers };
    this.#slots.answered(this.#pending.id, { body: Buffer.concat(this.#chunks), http });
  }

  onResponseError(_: Dispatcher.DispatchController, error: Error): void {
    this.#onEnd();
    // If the request has not started, no byte of it was sent.
    if (this.#controller === undefined) this.#slots.notSent(this.#pending);
    else this.#slots.lost(this.#pending, error, howLost(error));
  }

  abort(): void {
    this.#controller?.abort(new Error('the reply is no longer needed'));
  }
}

function howLost(error: Error): string | undefined {
  return error instanceof errors.ResponseExceededMaxSizeError
    ? `sent a reply longer than ${LONGEST_REPLY_BYTES / 1024 / 1024} MiB`
    : undefined;
}

/** Calls to one HTTP server over its own connections. A call is never repeated. */
export class HttpChannel implements Channel, Transport {
  readonly #settings: HttpChannelSettings;
  readonly #slots: CallSlots;
  readonly #exchanges = new Map<number, Exchange>();
  #pool: Pool | undefined;

  constructor(settings: HttpChannelSettings, parts: HttpChannelParts) {
    this.#settings = settings;
    this.#slots = new CallSlots(settings, { ...parts, transport: this });
  }

  readiness(): 'ready' | 'down' {
    return this.#pool === undefined ? 'down' : 'ready';
  }

  transmit(pending: PendingCall): void {
    const exchange = new Exchange(pending, this.#slots, () => this.#exchanges.delete(pending.id));
    this.#exchanges.set(pending.id, exchange);
    this.#pool?.dispatch(this.#requestOf(pending.call), exchange);
  }

  #requestOf({ body, http = BARE }: LegacyCall): Dispatcher.DispatchOptions {
    const isBodiless = body.length === 0 && (http.method === 'GET' || http.method === 'HEAD');
    return {
      method: http.method,
      path: `${this.#settings.pathPrefix ?? ''}${http.path}`,
      // Compressed replies could not be read here.
      headers: { ...endToEndHeaders(http.headers, 'call'), 'accept-encoding': 'identity' },
      body: isBodiless ? null : body,
    };
  }

  abandon(pending: PendingCall): void {
    this.#exchanges.get(pending.id)?.abort();
  }

  send(call: LegacyCall): Promise<Reply> {
    return this.#slots.send(call);
  }

  releaseSentBefore(instantMs: number): void {
    this.#slots.releaseSentBefore(instantMs);
  }

  load(): ChannelLoad {
    const { inFlight, queued } = this.#slots;
    return { inFlight, queued, isConnected: this.readiness() !== 'down' };
  }

  start(): void {
    this.#slots.restart();
    this.#pool = new Pool(this.#settings.origin, {
      connections: this.#settings.connections,
      pipelining: 1,
      // We have our own deadlines, because those of undici have a resolution of half a second.
      headersTimeout: 0,
      bodyTimeout: 0,
      maxResponseSize: LONGEST_REPLY_BYTES,
      connect: { timeout: CONNECT_TIMEOUT_MS },
    });
  }

  async stop(): Promise<void> {
    this.#slots.stop();
    const pool = this.#pool;
    this.#pool = undefined;
    await pool?.destroy();
  }
}

export interface HttpLegacySettings {
  readonly service: ServiceName;
  /** `http://host:port` of the legacy server, with a path if the service uses one. */
  readonly endpoint: string;
  /** Connections for each purpose, one call at a time on each. @defaultValue 32 */
  readonly connections?: number;
  /** Largest number of queued calls for each purpose. @defaultValue 10000 */
  readonly queueLimit?: number;
  /** @defaultValue live opens after 20 consecutive failures, shadow and probe after 5; a trial call after 1 s */
  readonly breaker?: Partial<Record<Purpose, BreakerSettings>>;
  readonly clock: Clock;
}

/** A legacy HTTP service: connections, queue and circuit breaker for each purpose. No call is sent twice. */
export function createHttpLegacyBackend(settings: HttpLegacySettings): LegacyClient {
  const { service, clock, connections = 32 } = settings;
  const { origin, pathname } = new URL(settings.endpoint);
  const sweep = createDeadlineSweep(clock);
  const limits = {
    inFlightLimit: connections,
    connections,
    queueLimit: settings.queueLimit ?? 10_000,
    backend: 'legacy',
    origin,
    pathPrefix: pathname.replace(/\/$/, ''),
    holdsLateSlots: true,
  } as const;
  const purposes = createPurposes({
    service,
    clock,
    breaker: settings.breaker,
    createChannel: (name, watcher) => new HttpChannel({ ...limits, name }, { clock, sweep, ...watcher }),
  });
  return {
    send: (call) => purposes.send(call),
    load: (purpose) => purposes.load(purpose),
    start: async () => purposes.start(),
    stop: async () => {
      await purposes.stop();
      sweep.stop();
    },
  };
}
