import { createServer, type Server } from 'node:http';
import { fastify, type FastifyInstance } from 'fastify';
import { OWNER_IN_URL_LIMIT, type ServiceName } from '../../domain/ids.ts';
import { type ConnectionLimit, limitConnections } from '../connection-limit.ts';
import { takePort } from '../take-port.ts';
import { foreignCaller } from '../../domain/http-caller.ts';
import type { Dialect } from '../../domain/service-definition.ts';
import type { ReverseProxy } from './reverse-proxy.ts';
import { receiveRequest, type ReceiveSettings, sendReply } from './receive-request.ts';

interface HttpServerSettings extends ServiceRouteSettings {
  readonly host: string;
  /** 0 takes any free port. */
  readonly port: number;
  /** Legacy HTTP services, served before any route. */
  readonly reverseProxy?: ReverseProxy;
  /** Further routes, each with its own parsers and hooks. */
  readonly register?: readonly ((app: FastifyInstance) => void | Promise<void>)[];
  /** How long stop() waits for requests in progress, milliseconds. @defaultValue 5000 */
  readonly graceMs?: number;
  /** How long start() waits for a port that is in use, milliseconds. @defaultValue 0 */
  readonly takeOverMs?: number;
  /** @defaultValue no limit */
  readonly connectionLimit?: ConnectionLimit;
  /** Addresses and networks whose X-Forwarded-For is trusted. @defaultValue none */
  readonly trustedProxies?: readonly string[];
}

interface HttpServer {
  /** @throws Error if the port is in use */
  start(): Promise<void>;
  stop(): Promise<void>;
  /** The port it listens on. */
  port(): number;
}

/** Longer than agents keep idle connections, so that the proxy never closes a connection on which a request arrives. */
const KEEP_ALIVE_MS = 72_000;

/** Time added to the agents' deadline for a request's headers, milliseconds. */
const HEADERS_SLACK_MS = 500;
/** Longest arrival of a request that is streamed to its service, which may be long. Other requests have the agents' deadline. */
const STREAMED_REQUEST_MS = 60_000;
/** How often Node checks for late requests, milliseconds. */
const LOOK_EVERY_MS = 500;

/** The HTTP side of the proxy. It writes no log line per request, because that costs a quarter of the throughput. */
export function createHttpServer(settings: HttpServerSettings): HttpServer {
  const { clock, reverseProxy, register = [], graceMs = 5_000 } = settings;
  let running: Running | undefined;
  return {
    start: async () => {
      running = build(settings, reverseProxy);
      const { app } = running;
      await app.register((scope) => registerServiceRoutes(scope, settings));
      for (const each of register) await app.register(async (scope) => each(scope));
      await takePort(() => app.listen({ host: settings.host, port: settings.port }), settings);
    },
    stop: async () => {
      if (running === undefined) return;
      const { app, server } = running;
      running = undefined;
      const closed = new AbortController();
      const closing = app.close().finally(() => closed.abort());
      await clock.sleep(graceMs, closed.signal);
      server.closeAllConnections();
      await closing;
    },
    port: () => {
      const address = running?.server.address();
      return typeof address === 'object' && address !== null ? address.port : 0;
    },
  };
}

interface Running {
  readonly app: FastifyInstance;
  readonly server: Server;
}

/** Requests for legacy services bypass fastify, because its routing and life cycle would cost a third of their throughput. */
function build(
  { limits, deadlineMs, trustedProxies = [], connectionLimit }: HttpServerSettings,
  reverseProxy: ReverseProxy | undefined,
): Running {
  let server: Server | undefined;
  const headersTimeout = deadlineMs + HEADERS_SLACK_MS;
  const timeouts = {
    keepAliveTimeout: KEEP_ALIVE_MS,
    headersTimeout,
    requestTimeout: Math.max(headersTimeout, STREAMED_REQUEST_MS),
    connectionsCheckingInterval: LOOK_EVERY_MS,
  };
  const app = fastify({
    logger: false,
    trustProxy: trustedProxies.length > 0 ? [...trustedProxies] : false,
    bodyLimit: limits.messageBytes,
    forceCloseConnections: 'idle',
    routerOptions: { maxParamLength: OWNER_IN_URL_LIMIT },
    serverFactory: (serve) => {
      server = createServer(timeouts, (request, response) => {
        if (reverseProxy?.(request, response) !== true) serve(request, response);
      });
      if (connectionLimit !== undefined) limitConnections(server, connectionLimit);
      return server;
    },
  });
  return { app, server: server ?? app.server };
}

interface ServiceRouteSettings extends ReceiveSettings {
  readonly services: readonly { readonly service: ServiceName; readonly dialect: Dialect }[];
  /** Host names that agents may use in addition to addresses. @defaultValue localhost */
  readonly names?: ReadonlySet<string>;
}

const NO_NAMES: ReadonlySet<string> = new Set();

type ServiceRoute = { Params: { service: string } };

/** `POST /v1/services/<service>`: takes the same request as ZMQ, and gives the same reply. */
async function registerServiceRoutes(app: FastifyInstance, settings: ServiceRouteSettings): Promise<void> {
  const known = new Map<string, ServiceRouteSettings['services'][number]>(
    settings.services.map((each) => [each.service, each]),
  );
  app.removeAllContentTypeParsers();
  // The body is read only when there is room for it.
  app.addContentTypeParser('*', (_request, _body, done) => done(null));
  const { names = NO_NAMES } = settings;
  app.post<ServiceRoute>('/v1/services/:service', async ({ params, raw }, reply) => {
    const foreign = foreignCaller(raw.headers, names);
    if (foreign !== undefined) return reply.code(403).send({ status: 'error', error: foreign });
    const to = known.get(params.service);
    if (to === undefined) {
      // The body for an unknown service is not received.
      const error = `unknown service: ${params.service.slice(0, 64)}`;
      return reply.code(404).send({ status: 'error', error, services: [...known.keys()] });
    }
    reply.hijack();
    const exchange = { request: raw, response: reply.raw };
    const received = await receiveRequest(exchange, to, settings);
    if (received === undefined) return;
    try {
      sendReply(reply.raw, await settings.handler.handle(received.request), 200);
    } catch {
      // The handler must never throw. If it does, the agent sees a broken connection, but the proxy continues.
      reply.raw.destroy();
    } finally {
      received.release();
    }
  });
}
