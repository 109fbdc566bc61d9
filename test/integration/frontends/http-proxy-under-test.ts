import { once } from 'node:events';
import {
  createServer,
  type IncomingMessage,
  request as httpRequest,
  type RequestListener,
  type RequestOptions,
} from 'node:http';
import { createHttpRelay } from '../../../src/backends/http-relay.ts';
import { systemClock as clock } from '../../../src/shared/clock.ts';
import { serviceName } from '../../../src/domain/ids.ts';
import type { HttpEndpoint } from '../../../src/domain/endpoint.ts';
import type { Dialect } from '../../../src/domain/service-definition.ts';
import { ByteBudget } from '../../../src/frontends/byte-budget.ts';
import { createReverseProxy } from '../../../src/frontends/http/reverse-proxy.ts';
import { createHttpServer } from '../../../src/frontends/http/server.ts';
import type { AgentReply, AgentRequest, StreamHandler } from '../../../src/engine/ports/operation.ts';
import { freePort } from '../../support/ports.ts';

/** What the test must close, the last first. */
export const closing: (() => unknown)[] = [];

export async function closeAll(): Promise<void> {
  for (const close of closing.splice(0).reverse()) await close();
}

export const host = '127.0.0.1';
export const service = serviceName('digital-twin');
const limits = { messageBytes: 1_000, jsonDepth: 500 };
const dialect: Dialect = { error: (kind, message) => JSON.stringify({ oops: kind, message }) };
const endpoint: HttpEndpoint = {
  kind: 'http',
  prefix: '/twin',
  actionOf: ({ method, path }) =>
    method === 'POST' && path.startsWith('/twins') ? 'create_twin' : undefined,
};

export async function upstream(listener: RequestListener): Promise<string> {
  const port = await freePort();
  const server = createServer(listener);
  server.listen(port, host);
  await once(server, 'listening');
  closing.push(() => {
    server.closeAllConnections();
    server.close();
  });
  return `http://${host}:${port}`;
}

const nothing = (): undefined => undefined;

type Handle = (request: AgentRequest) => Promise<AgentReply>;
export const refuse: Handle = async ({ problem }) => ({
  body: Buffer.from(`{"refused": "${problem?.kind ?? ''}"}`),
});

export interface ProxyOptions {
  readonly headersTimeoutMs?: number;
  /** To the service. */
  readonly connections?: number;
  readonly pass?: StreamHandler['pass'];
  readonly passUnknown?: StreamHandler['passUnknown'];
  readonly deadlineMs?: number;
  readonly budget?: ByteBudget;
}

export async function proxy(
  target: string,
  handle: Handle = refuse,
  {
    headersTimeoutMs = 5_000,
    connections = 128,
    pass = nothing,
    passUnknown = () => nothing,
    deadlineMs = 4_500,
    budget = new ByteBudget({ limitBytes: 10_000, patienceMs: 2_000, clock }),
  }: ProxyOptions = {},
): Promise<number> {
  const relay = createHttpRelay({ endpoint: target, connections, headersTimeoutMs, clock });
  await relay.start();
  const handler = { handle, pass, passUnknown };
  const services = [{ service, endpoint, dialect, relay }];
  const receiving = { handler, clock, limits, budget, deadlineMs };
  const server = createHttpServer({
    host,
    port: await freePort(),
    ...receiving,
    services: [{ service: serviceName('session-memory'), dialect }],
    graceMs: 200,
    reverseProxy: createReverseProxy({ ...receiving, services }),
    register: [(app) => void app.get('/health/live', async () => ({ status: 'ok' }))],
  });
  await server.start();
  closing.push(
    () => relay.stop(),
    () => server.stop(),
  );
  return server.port();
}

export function open(port: number, options: RequestOptions) {
  const request = httpRequest({ host, port, agent: false, ...options });
  const response = once(request, 'response').then(([incoming]) => incoming as IncomingMessage);
  return { request, response };
}

export async function readAll(incoming: IncomingMessage): Promise<Buffer> {
  const chunks: Buffer[] = [];
  for await (const chunk of incoming) chunks.push(chunk as Buffer);
  return Buffer.concat(chunks);
}

export async function send(port: number, options: RequestOptions, body?: string | Buffer) {
  const { request, response } = open(port, options);
  request.end(body);
  const incoming = await response;
  const { statusCode: status, headers, rawHeaders } = incoming;
  return { status, headers, rawHeaders, body: (await readAll(incoming)).toString() };
}
