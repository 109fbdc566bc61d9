import { setTimeout as sleep } from 'node:timers/promises';
import fastify, {
  type FastifyError,
  type FastifyInstance,
  type FastifyReply,
  type FastifyRequest,
} from 'fastify';
import { ValidationError } from '../../domain/errors.ts';
import { foreignCaller } from '../../domain/http-caller.ts';
import { type ConnectionLimit, limitConnections } from '../../frontends/connection-limit.ts';
import { encodeJson } from '../../domain/json.ts';
import type { Sender } from '../access/access-entry.ts';
import type { Health } from '../health.ts';
import { LIMITS, messageTooLarge } from '../wire/limits.ts';
import { openApiOf } from '../wire/openapi.ts';
import { renderError } from '../wire/reply.ts';
import type { Service } from '../service.ts';
import type { Front } from './zmq-front.ts';

interface HttpFrontSettings {
  readonly host: string;
  readonly port: number;
  readonly health: Health;
  readonly version: string;
  /** Allowed host names of requests if keys are off; absent if keys are required. */
  readonly names?: ReadonlySet<string> | undefined;
  readonly connectionLimit: ConnectionLimit;
  /** Metrics as Prometheus text. */
  readonly metrics: () => Promise<string>;
  /** Checks access to a page. @throws OperationError */
  readonly admit: (sender: Sender) => Promise<void>;
}

const JSON_TYPE = 'application/json; charset=utf-8';
/** A request that takes longer to arrive is dropped, so that its connection and its bytes are freed. */
const ARRIVAL_MS = 30_000;
/** A silent connection is closed after this time. Longer than any request, and than fastify's timeout of idle connections. */
const SILENCE_MS = 90_000;
/** How long the front still answers during a stop. Requests that were already sent are read, and each reply closes its connection. */
const LAST_REQUESTS_MS = 200;
/** Time for a connection to receive its last reply during a stop. */
const LAST_REPLY_MS = 1_000;
const METRICS_TYPE = 'text/plain; version=0.0.4; charset=utf-8';

/** The same actions over HTTP: POST /v1/<action> with the same message, and the health of the process. */
export function createHttpFront(service: Service, settings: HttpFrontSettings): Front {
  const server: FastifyInstance = fastify({
    // Larger than the limit of a message, so that our error answers a message that is too long, and not fastify's.
    bodyLimit: 2 * LIMITS.messageBytes,
    requestTimeout: ARRIVAL_MS,
    connectionTimeout: SILENCE_MS,
    forceCloseConnections: 'idle',
    // Requests that still arrive on an open connection are answered instead of refused by fastify.
    return503OnClosing: false,
    frameworkErrors: refuseBy,
  });
  limitConnections(server.server, settings.connectionLimit);
  readBodiesAsBytes(server);
  refuseInOurWords(server);
  const endConnections = farewellOf(server);
  const onRequest = async ({ headers }: FastifyRequest, reply: FastifyReply): Promise<void> => {
    const { names } = settings;
    const foreign = names === undefined ? undefined : foreignCaller(headers, names);
    if (foreign !== undefined) refuse(reply, 403, refusal(foreign));
  };

  server.post<{ Params: { action: string } }>('/v1/:action', { onRequest }, async (request, reply) => {
    const body = Buffer.isBuffer(request.body) ? request.body : Buffer.from('{}');
    const answer = await service.answer(body, {
      action: request.params.action,
      transport: 'http',
      address: request.ip,
      bearer: bearerIn(request.headers.authorization),
    });
    return reply.code(answer.httpStatus).headers(answer.httpHeaders).type(JSON_TYPE).send(answer.text);
  });
  servePages(server, settings);

  return {
    async start() {
      await server.listen({ host: settings.host, port: settings.port });
    },
    async stop() {
      endConnections();
      if (server.server.listening) await sleep(LAST_REQUESTS_MS);
      const closed = server.close();
      await service.drained();
      // A client that is still sending has no complete request yet, and could continue for long.
      const patience = setTimeout(() => server.server.closeAllConnections(), LAST_REPLY_MS);
      await closed;
      clearTimeout(patience);
    },
  };
}

function readBodiesAsBytes(server: FastifyInstance): void {
  server.removeAllContentTypeParsers();
  server.addContentTypeParser('*', { parseAs: 'buffer' }, (_request, body, done) => done(null, body));
}

/** Adds the routes that are not actions. */
function servePages(server: FastifyInstance, { version, metrics, health, admit }: HttpFrontSettings): void {
  const openApi = encodeJson(openApiOf(version));
  const preHandler = async (
    request: FastifyRequest,
    reply: FastifyReply,
  ): Promise<FastifyReply | undefined> => {
    try {
      await admit({
        transport: 'http',
        address: request.ip,
        bearer: bearerIn(request.headers.authorization),
      });
      return undefined;
    } catch (error) {
      const { httpStatus, httpHeaders, text } = renderError({}, error);
      return reply.code(httpStatus).headers(httpHeaders).type(JSON_TYPE).send(text);
    }
  };
  server.get('/openapi.json', { preHandler }, async (_request, reply) => reply.type(JSON_TYPE).send(openApi));
  server.get('/metrics', { preHandler }, async (_request, reply) =>
    reply.type(METRICS_TYPE).send(await metrics()),
  );
  server.get('/health/live', async (_request, reply) => reply.type(JSON_TYPE).send('{"status":"alive"}'));
  server.get('/health/ready', async (_request, reply) => {
    const report = await health.report();
    const httpStatus = report.status === 'unhealthy' ? 503 : 200;
    return reply.code(httpStatus).type(JSON_TYPE).send(encodeJson(report));
  });
}

/** After the returned function is called, every reply closes its connection. */
function farewellOf(server: FastifyInstance): () => void {
  let isEnding = false;
  server.addHook('onSend', async (_request, reply) => {
    if (isEnding) void reply.header('connection', 'close');
  });
  return () => {
    isEnding = true;
  };
}

/** Answers requests that fastify refuses in the format of our errors. */
function refuseInOurWords(server: FastifyInstance): void {
  server.setNotFoundHandler((request, reply) =>
    refuse(reply, 404, refusal(`Not found: use POST /v1/<action>, got ${request.method}`)),
  );
  server.setErrorHandler<FastifyError>(refuseBy);
}

function refuseBy(error: FastifyError, _request: unknown, reply: FastifyReply): void {
  const { statusCode = 500 } = error;
  if (statusCode === 413) return refuse(reply, statusCode, messageTooLarge());
  refuse(reply, statusCode, statusCode >= 500 ? error : refusal(error.message));
}

function refuse(reply: FastifyReply, httpStatus: number, error: unknown): void {
  void reply.code(httpStatus).type(JSON_TYPE).send(renderError({}, error).text);
}

function refusal(message: string): ValidationError {
  return new ValidationError(message, { code: 'invalid_request' });
}

function bearerIn(authorization: string | undefined): string | undefined {
  return /^Bearer +(\S+) *$/i.exec(authorization ?? '')?.[1];
}
