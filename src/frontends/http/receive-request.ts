import type { IncomingMessage, ServerResponse } from 'node:http';
import type { Socket } from 'node:net';
import { AGENT_HEADER, agentName, type AskingAgent } from '../../domain/agent-name.ts';
import type { Caller } from '../../shared/fair-queue.ts';
import type { ServiceName } from '../../domain/ids.ts';
import type { HttpTarget, MessageLimits } from '../../domain/request.ts';
import type { Dialect, FailureKind } from '../../domain/service-definition.ts';
import type { Clock } from '../../shared/clock.ts';
import type { AgentRequest, RequestHandler } from '../../engine/ports/operation.ts';
import type { ByteBudget } from '../byte-budget.ts';
import { dismissBody, receiveBody, type NoBody } from './body.ts';
import { sendReply } from './send-reply.ts';

export interface ReceiveSettings {
  readonly handler: RequestHandler;
  readonly clock: Clock;
  readonly limits: MessageLimits;
  readonly budget: ByteBudget;
  /** How long a request may take to arrive, milliseconds. It is the agents' deadline. */
  readonly deadlineMs: number;
}

interface Exchange {
  readonly request: IncomingMessage;
  readonly response: ServerResponse;
}

interface Addressee {
  readonly service: ServiceName;
  readonly dialect: Dialect;
  readonly http?: HttpTarget;
}

/** A complete request in memory, counted until it is released. */
export interface ReceivedRequest {
  readonly request: AgentRequest;
  release(): void;
}

interface Refusal {
  readonly status: number;
  readonly kind: FailureKind;
  readonly message: string;
  readonly headers: Readonly<Record<string, string>>;
}

const REFUSALS: Readonly<Record<'busy' | 'late', Refusal>> = {
  busy: {
    status: 503,
    kind: 'unavailable',
    message: 'the proxy has no room for the request at this moment',
    headers: { 'retry-after': '1' },
  },
  late: {
    status: 408,
    kind: 'timeout',
    message: 'the request did not arrive within its deadline',
    headers: {},
  },
};

/** The complete request; undefined if it was already answered, or the client has disconnected. */
export async function receiveRequest(
  exchange: Exchange,
  to: Addressee,
  settings: ReceiveSettings,
): Promise<ReceivedRequest | undefined> {
  const { clock, limits, budget, deadlineMs } = settings;
  const receivedAtMs = clock.now();
  const { messageBytes } = limits;
  const leftMs = (): number => receivedAtMs + deadlineMs - clock.now();
  const { service, http } = to;
  const agent = agentOf(exchange.request);
  const caller = callerOf(exchange.request);
  const body = await receiveBody(exchange.request, { messageBytes, budget, leftMs, caller });
  const facts = { service, receivedAtMs, agent, caller, ...(http !== undefined && { http }) };
  if (typeof body === 'string') {
    await refuse(body, { exchange, to, facts, settings });
    return undefined;
  }
  return { request: { ...facts, body: body.bytes }, release: () => body.release() };
}

/** The agent, named by its header or its address. */
export function agentOf({ headers, socket }: IncomingMessage): AskingAgent {
  // Node joins a header that is sent twice.
  const header = String(headers[AGENT_HEADER] ?? '');
  return { name: agentName({ header, address: socket.remoteAddress }), dialect: 'http' };
}

const callers = new WeakMap<Socket, Caller>();

/** The first request names the caller of its connection, so that invented names bring no further turns. */
export function callerOf(request: IncomingMessage): Caller {
  const { socket } = request;
  let caller = callers.get(socket);
  if (caller === undefined) {
    caller = [socket.remoteAddress ?? '', `http ${agentOf(request).name}`, String(socket.remotePort)];
    callers.set(socket, caller);
  }
  return caller;
}

interface Refused {
  readonly exchange: Exchange;
  readonly to: Addressee;
  readonly facts: Omit<AgentRequest, 'body'>;
  readonly settings: ReceiveSettings;
}

async function refuse(why: NoBody, { exchange, to, facts, settings }: Refused): Promise<void> {
  const { request, response } = exchange;
  if (why === 'aborted') return;
  if (why === 'too_large') {
    const detail = `the message is longer than ${settings.limits.messageBytes} bytes`;
    const problem = { kind: why, detail } as const;
    const refusal = await settings.handler.handle({ ...facts, body: Buffer.alloc(0), problem });
    await dismissBody(request);
    closeAfter(response);
    return sendReply(response, { body: refusal.body }, 413);
  }
  const { status, kind, message, headers } = REFUSALS[why];
  // The agent waits until the deadline, because bodies of other requests may keep the connections busy until then.
  if (why === 'busy')
    await dismissBody(request, facts.receivedAtMs + settings.deadlineMs - settings.clock.now());
  if (!request.complete) closeAfter(response);
  const spelled = { 'content-type': 'application/json', ...headers };
  sendReply(
    response,
    { body: Buffer.from(to.dialect.error(kind, message)), http: { status, headers: spelled } },
    status,
  );
}

/** The rest of the request is not read, so the connection cannot be used again. */
function closeAfter(response: ServerResponse): void {
  if (!response.headersSent) response.setHeader('connection', 'close');
}
