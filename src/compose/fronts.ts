import { hostname } from 'node:os';
import type { FastifyInstance } from 'fastify';
import { createHttpRelay, type HttpRelayClient } from '../backends/http-relay.ts';
import type { Config } from '../config/schema.ts';
import { ownNames } from '../domain/http-caller.ts';
import { serviceName, type ServiceName } from '../domain/ids.ts';
import type { HttpEndpoint, ZmqEndpoint } from '../domain/endpoint.ts';
import { ByteBudget } from '../frontends/byte-budget.ts';
import { ConnectionLimit, connectionsWithin, limitConnections } from '../frontends/connection-limit.ts';
import { createReverseProxy, type ProxiedService } from '../frontends/http/reverse-proxy.ts';
import { createHttpServer } from '../frontends/http/server.ts';
import { createHealthResponder } from '../frontends/zmq/health.ts';
import { createPubRelay } from '../frontends/zmq/pub-relay.ts';
import { createZmqFrontend } from '../frontends/zmq/router.ts';
import type { Clock } from '../shared/clock.ts';
import type { StreamHandler } from '../engine/ports/operation.ts';
import type { ServiceStates } from '../engine/ends/service-states.ts';
import type { ServiceRuntime } from '../engine/ports/service-runtime.ts';
import { type Part, stoppingTogether } from '../shared/parts.ts';
import { takePort } from '../frontends/take-port.ts';
import { createDesk } from '../operator/desk/desk.ts';
import type { LegacyBackend } from '../engine/ports/ports.ts';
import type { DefinedService } from './definitions.ts';
import { portsOf } from './listeners.ts';
import type { Live } from './live.ts';

interface FrontFacts {
  readonly config: Config;
  readonly services: readonly DefinedService[];
  readonly handler: StreamHandler;
  readonly clock: Clock;
  /** Routes for people and programs that watch. */
  readonly registerRoutes: (app: FastifyInstance) => void;
  readonly live: Live | undefined;
  readonly runtimes: ReadonlyMap<ServiceName, ServiceRuntime>;
  /** A completed service is answered without legacy. */
  readonly states: Pick<ServiceStates, 'stateOf'>;
  readonly onProblem: (service: string, problem: string, detail: string) => void;
}

/** Everything agents connect to, in start order: the services last, when all that they use is ready. */
export function createFronts(facts: FrontFacts): readonly Part[] {
  const { config, handler, clock } = facts;
  const relays = facts.services.flatMap((service) => proxied(service, clock));
  const isAnswering = createLegacyHealth(facts.runtimes, clock, facts.states);
  const receiving = {
    handler,
    clock,
    limits: config.limits,
    budget: createBudget(facts),
    deadlineMs: config.proxy.deadlineMs,
  };
  const http = createHttpServer({
    ...config.http,
    ...receiving,
    names: ownNames(hostname(), config.http.allowedHosts),
    takeOverMs: config.proxy.takeOverMs,
    connectionLimit: createConnectionLimit(facts, 'http'),
    services: facts.services.map(({ name, definition: { dialect } }) => ({
      service: serviceName(name),
      dialect,
    })),
    reverseProxy: createReverseProxy({ ...receiving, services: relays.map(({ service }) => service) }),
    register: [facts.registerRoutes],
  });
  const connectionLimit = createConnectionLimit(facts, 'zmq');
  const zmq = { ...facts, isAnswering, budget: createBudget(facts), connectionLimit };
  return [
    ...relays.map(({ relay }, index) => named(`relay ${index + 1}`, relay)),
    stoppingTogether('listening for agents', [
      named('http', http),
      ...facts.services.flatMap((service) => zmqParts(service, zmq)),
      ...deskParts(facts),
    ]),
  ];
}

/** HTTP and ZeroMQ. */
const PROTOCOLS = 2;
const BUSY = 'the proxy has no room for the request at this moment';

/**
 * One for all services of a protocol. It has half of the room, so neither protocol can take the other's. A request waits half a deadline
 * for room, and has the other half for its answer.
 */
function createBudget({ config: { proxy, limits, services }, clock }: FrontFacts): ByteBudget {
  const deadlinesMs = Object.values(services).map(({ deadlineMs = proxy.deadlineMs }) => deadlineMs);
  return new ByteBudget({
    limitBytes: limits.inFlightBytes / PROTOCOLS,
    patienceMs: Math.min(proxy.deadlineMs, ...deadlinesMs) / 2,
    clock,
  });
}

/** One for each protocol, so that neither can take the other's. */
function createConnectionLimit(
  { config, clock, onProblem }: FrontFacts,
  protocol: 'http' | 'zmq',
): ConnectionLimit {
  const limit = connectionsWithin(config.limits.connections);
  return new ConnectionLimit({
    limit,
    nowMs: () => clock.now(),
    onFull: (what) =>
      onProblem(
        protocol,
        `connection_${what}`,
        `agents have all of the ${limit} connections (limits.connections)`,
      ),
  });
}

function proxied(
  { name, config, definition }: DefinedService,
  clock: Clock,
): { service: ProxiedService; relay: HttpRelayClient }[] {
  if (definition.endpoint.kind !== 'http') return [];
  const relay = createHttpRelay({ endpoint: config.legacy.endpoint, clock });
  const endpoint: HttpEndpoint = definition.endpoint;
  return [{ relay, service: { service: serviceName(name), endpoint, dialect: definition.dialect, relay } }];
}

interface ZmqFacts extends FrontFacts {
  readonly isAnswering: (service: ServiceName) => Promise<boolean>;
  readonly budget: ByteBudget;
  readonly connectionLimit: ConnectionLimit;
}

function zmqParts(service: DefinedService, facts: ZmqFacts): Part[] {
  const { name, definition, config } = service;
  if (definition.endpoint.kind !== 'zmq') return [];
  const endpoint: ZmqEndpoint = definition.endpoint;
  const { drainMs, takeOverMs } = facts.config.proxy;
  const host = config.host ?? facts.config.proxy.host;
  const { clock, connectionLimit } = facts;
  const at = { service: serviceName(name), host, clock, takeOverMs, connectionLimit, farewell: { drainMs } };
  const onProblem = (problem: string, detail: string): void => facts.onProblem(name, problem, detail);
  const parts: Part[] = [];
  const { healthPort, pubPort } = portsOf(service) ?? {};
  const healthReply = endpoint.healthReply?.bind(endpoint);
  if (healthPort !== undefined && healthReply !== undefined) {
    const isAnswering = (): Promise<boolean> => facts.isAnswering(at.service);
    const responder = createHealthResponder({
      ...at,
      port: healthPort,
      healthReply,
      isAnswering,
      timeZone: config.timeZone,
      onProblem,
    });
    parts.push(named(`${name} health`, responder));
  }
  if (pubPort !== undefined && config.legacy.pubEndpoint !== undefined) {
    const relay = createPubRelay({
      source: config.legacy.pubEndpoint,
      host,
      port: pubPort,
      clock: facts.clock,
      isOver: () => facts.states.stateOf(at.service) === 'complete',
      takeOverMs,
      onProblem,
    });
    parts.push(named(`${name} broadcasts`, relay));
  }
  const { inFlightRequests, messageBytes } = facts.config.limits;
  const busyReply = Buffer.from(definition.dialect.error('unavailable', BUSY));
  const frontend = createZmqFrontend({
    ...at,
    port: endpoint.port,
    handler: facts.handler,
    inFlightLimit: inFlightRequests,
    admission: { budget: facts.budget, messageBytes, busyReply },
    onProblem,
  });
  return [...parts, named(name, frontend)];
}

function named(name: string, part: { start(): Promise<void>; stop(): Promise<void> }): Part {
  return { name, start: () => part.start(), stop: () => part.stop() };
}

interface DeskFacts {
  readonly config: Config;
  readonly clock: Clock;
  /** Routes of the operator's API. */
  readonly registerRoutes: (app: FastifyInstance) => void;
  readonly live: Live | undefined;
  readonly onProblem: (service: string, problem: string, detail: string) => void;
}

/** A browser opens six at a time. */
const CONNECTIONS = 500;

/** The operator's desk, where it is configured. */
function deskParts({ config, clock, registerRoutes, live, onProblem }: DeskFacts): readonly Part[] {
  const { desk, http, operator, proxy, reports } = config;
  if (desk === undefined || live === undefined) return [];
  let app: FastifyInstance | undefined;
  return [
    live.part,
    {
      name: 'desk',
      start: async () => {
        const tokens = Object.entries(operator.tokens).map(([name, token]) => ({ name, ...token }));
        const made = await createDesk({
          tokens,
          registerApi: registerRoutes,
          live: live.book,
          nowMs: () => clock.now(),
          zone: reports.timeZone,
          trustedProxies: http.trustedProxies ?? [],
          pages: desk.pages,
        });
        app = made;
        const limit = connectionsWithin(CONNECTIONS);
        const onFull = (what: string): void =>
          onProblem(
            'desk',
            `connection_${what}`,
            `browsers have all of the ${limit} connections of the desk`,
          );
        limitConnections(made.server, new ConnectionLimit({ limit, nowMs: () => clock.now(), onFull }));
        await takePort(() => made.listen({ host: desk.host, port: desk.port }), {
          ...desk,
          clock,
          takeOverMs: proxy.takeOverMs,
        });
      },
      stop: async () => app?.close(),
    },
  ];
}

/** The original health scripts give up after 3 s. */
const PROBE_TIMEOUT_MS = 2_000;
/** Several supervisors that ask at once cost the service one probe a second. */
const BELIEVED_MS = 1_000;

type Probed = Pick<ServiceRuntime, 'definition'> & { readonly legacy: LegacyBackend };

/** Checks whether a service answers its harmless probe. A complete one is answered by the proxy alone. Never rejects. */
export function createLegacyHealth(
  services: ReadonlyMap<ServiceName, Probed>,
  clock: Clock,
  states: Pick<ServiceStates, 'stateOf'>,
): (service: ServiceName) => Promise<boolean> {
  const known = new Map<ServiceName, { readonly untilMs: number; readonly answer: Promise<boolean> }>();
  return (service) => {
    if (states.stateOf(service) === 'complete') return Promise.resolve(true);
    const runtime = services.get(service);
    if (runtime === undefined || !runtime.legacy.load('live').isConnected) return Promise.resolve(false);
    const last = known.get(service);
    if (last !== undefined && clock.now() < last.untilMs) return last.answer;
    const deadlineAtMs = clock.now() + PROBE_TIMEOUT_MS;
    const answer = runtime.legacy
      .send({ body: Buffer.from(runtime.definition.probe), purpose: 'probe', deadlineAtMs })
      .then(
        () => true,
        () => false,
      )
      .then((isAnswering) => {
        known.set(service, { untilMs: clock.now() + BELIEVED_MS, answer });
        return isAnswering;
      });
    // One probe at a time. A caller that asks while a probe is under way gets its answer.
    known.set(service, { untilMs: Infinity, answer });
    return answer;
  };
}
