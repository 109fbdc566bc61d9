import type { IncomingMessage, RequestListener, ServerResponse } from 'node:http';
import type { Caller } from '../../shared/fair-queue.ts';
import type { ServiceName } from '../../domain/ids.ts';
import type { HttpTarget } from '../../domain/request.ts';
import type { HttpEndpoint } from '../../domain/endpoint.ts';
import type { Dialect } from '../../domain/service-definition.ts';
import type { Passage, StreamHandler } from '../../engine/ports/operation.ts';
import {
  agentOf,
  callerOf,
  dismissBody,
  type ReceivedRequest,
  receiveRequest,
  type ReceiveSettings,
  sendReply,
} from './receive-request.ts';

/** A request to stream to its service, and the target of the response. */
interface RelayExchange {
  readonly request: IncomingMessage;
  readonly response: ServerResponse;
  readonly caller: Caller;
  /** Path and query on the service. */
  readonly path: string;
  /** The request's body, if it was already read. */
  readonly body?: Buffer;
  /** Instant by which the response must have started. Without it the relay's own timeout applies. */
  readonly deadlineAtMs?: number;
  /** Whether the request is sent and its response read even if the agent disconnects. */
  readonly isSeenThrough?: boolean;
  /** Called once, when the response starts, fails, or is no longer needed. If the agent disconnects, the status is `answered`. */
  onBegin?(status: 'answered' | 'unavailable' | 'timeout'): void;
  /** Called once, when the exchange with the service has ended. */
  onEnd?(status: 'answered' | 'unavailable' | 'timeout'): void;
  /** Called at most once, and only before any part of a response was sent. The caller then answers. */
  onFailure(kind: 'unavailable' | 'timeout'): void;
}

/** Streams both ways. The exchange always ends with the service's response, onFailure, or a closed connection. */
interface HttpRelay {
  relay(exchange: RelayExchange): void;
}

/** An HTTP service to which the proxy forwards. */
export interface ProxiedService {
  readonly service: ServiceName;
  readonly endpoint: HttpEndpoint;
  readonly dialect: Dialect;
  readonly relay: HttpRelay;
}

interface ReverseProxySettings extends ReceiveSettings {
  readonly services: readonly ProxiedService[];
  readonly handler: StreamHandler;
}

/** Serves a request if it is addressed to one of the services. */
export type ReverseProxy = (...exchange: Parameters<RequestListener>) => boolean;

const FAILURES = {
  unavailable: { status: 502, message: 'the service cannot be reached' },
  timeout: { status: 504, message: 'the service did not answer in time' },
} as const;

/** Passes known actions to the handler, and streams every other request to the service unchanged. */
export function createReverseProxy(settings: ReverseProxySettings): ReverseProxy {
  const services = [...settings.services].sort((a, b) => b.endpoint.prefix.length - a.endpoint.prefix.length);
  return (request, response) => {
    const url = request.url ?? '/';
    for (const proxied of services) {
      const path = pathBelow(proxied.endpoint.prefix, url);
      if (path === undefined) continue;
      serve(proxied, { request, response, path, caller: callerOf(request) }, settings);
      return true;
    }
    return false;
  };
}

/** The part after the prefix, as an absolute path; undefined for a URL outside the prefix. */
function pathBelow(prefix: string, url: string): string | undefined {
  if (!url.startsWith(prefix)) return undefined;
  const rest = url.slice(prefix.length);
  if (rest.startsWith('/')) return rest;
  return rest === '' || rest.startsWith('?') ? `/${rest}` : undefined;
}

type Exchange = Pick<RelayExchange, 'request' | 'response' | 'path' | 'caller'>;

function serve(proxied: ProxiedService, exchange: Exchange, settings: ReverseProxySettings): void {
  const { request, response, path } = exchange;
  const target: HttpTarget = { method: request.method ?? 'GET', path, headers: request.headers };
  if (proxied.endpoint.actionOf(target) !== undefined) {
    // The handler must never throw. If it does, the agent sees a broken connection, but the proxy continues.
    handle(proxied, { ...exchange, target }, settings).catch(() => response.destroy());
    return;
  }
  const { service } = proxied;
  const onBegin = settings.handler.passUnknown({
    service,
    receivedAtMs: settings.clock.now(),
    agent: agentOf(request),
  });
  if (onBegin === undefined) return fail(proxied, exchange, 'unavailable');
  proxied.relay.relay({ ...exchange, onBegin, onFailure: (kind) => fail(proxied, exchange, kind) });
}

function fail(
  { dialect }: ProxiedService,
  { request, response }: Exchange,
  kind: keyof typeof FAILURES,
): void {
  const { status, message } = FAILURES[kind];
  const body = Buffer.from(dialect.error(kind, message));
  void dismissBody(request).then(() => sendReply(response, { body }, status));
}

async function handle(
  proxied: ProxiedService,
  { request, response, path, caller, target }: Exchange & { readonly target: HttpTarget },
  settings: ReverseProxySettings,
): Promise<void> {
  const exchange = { request, response, path, caller };
  const { service, dialect } = proxied;
  const received = await receiveRequest(exchange, { service, dialect, http: target }, settings);
  if (received === undefined) return;
  const passage = settings.handler.pass(received.request);
  if (passage !== undefined) return stream(proxied, { ...exchange, received }, passage);
  try {
    sendReply(response, await settings.handler.handle(received.request), 200);
  } finally {
    received.release();
  }
}

/** Streams a request that the engine does not need to the service, and the response back. */
function stream(
  proxied: ProxiedService,
  { received, ...exchange }: Exchange & { readonly received: ReceivedRequest },
  passage: Passage,
): void {
  proxied.relay.relay({
    ...exchange,
    body: received.request.body,
    deadlineAtMs: passage.deadlineAtMs,
    isSeenThrough: true,
    onEnd: (status) => {
      received.release();
      passage.end(status);
    },
    onFailure: (kind) => fail(proxied, exchange, kind),
  });
}
