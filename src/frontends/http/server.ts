import { createServer, type Server } from 'node:http';
import { fastify, type FastifyInstance } from 'fastify';
import { OWNER_IN_URL_LIMIT } from '../../domain/ids.ts';
import { limitConnections, type ConnectionLimit } from '../connection-limit.ts';
import { takePort } from '../take-port.ts';
import type { ReverseProxy } from './reverse-proxy.ts';
import { registerServiceRoutes, type ServiceRouteSettings } from './service-routes.ts';

export interface HttpServerSettings extends ServiceRouteSettings {
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

export interface HttpServer {
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
