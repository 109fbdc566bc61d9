import type { IncomingMessage, OutgoingHttpHeaders, ServerResponse } from 'node:http';
import type { Socket } from 'node:net';
import { isAscii } from 'node:buffer';
import { AGENT_HEADER, agentName, type AskingAgent } from '../../domain/agent-name.ts';
import type { Caller } from '../../shared/fair-queue.ts';
import type { ServiceName } from '../../domain/ids.ts';
import type { HttpTarget, MessageLimits } from '../../domain/request.ts';
import type { Dialect, FailureKind } from '../../domain/service-definition.ts';
import type { Clock } from '../../shared/clock.ts';
import type { AgentReply, AgentRequest, RequestHandler } from '../../engine/ports/operation.ts';
import type { ByteBudget } from '../byte-budget.ts';
import type { Arrival } from '../arrivals.ts';

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

async function refuse(why: BodyFailure, { exchange, to, facts, settings }: Refused): Promise<void> {
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

interface BodyLimits {
  readonly messageBytes: number;
  readonly budget: ByteBudget;
  readonly caller: Caller;
  /** Remaining milliseconds for the whole body to arrive. */
  readonly leftMs: () => number;
}

/** A body in memory, counted until it is released. */
interface ReceivedBody {
  readonly bytes: Buffer;
  /** Call it once, when the request has ended. */
  release(): void;
}

/** Why there is no body: `busy`: no room for it in time; `late`: it did not arrive in time; `aborted`: the client disconnected. */
type BodyFailure = 'too_large' | 'busy' | 'late' | 'aborted';

/** The whole body. Bytes are counted as they arrive, so a client that announces a body but sends none uses no budget. Never rejects. */
async function receiveBody(
  request: IncomingMessage,
  { messageBytes, budget, leftMs, caller }: BodyLimits,
): Promise<ReceivedBody | BodyFailure> {
  if (Number(request.headers['content-length'] ?? 0) > messageBytes) return 'too_large';
  const body = new ArrivingBody(request, { messageBytes, budget, leftMs, caller });
  const bytes = await body.whole;
  if (typeof bytes === 'string') return bytes;
  const { length } = bytes;
  const hasRoom = await budget.take(length, Math.max(0, Math.min(budget.patienceMs, leftMs())), caller);
  body.arrival.end();
  return hasRoom ? { bytes, release: () => budget.give(length) } : 'busy';
}

class ArrivingBody {
  readonly arrival: Arrival;
  readonly whole: Promise<Buffer | BodyFailure>;
  readonly #request: IncomingMessage;
  readonly #chunks: Buffer[] = [];
  readonly #limitBytes: number;
  #resolve: (result: Buffer | BodyFailure) => void = () => undefined;

  constructor(request: IncomingMessage, { messageBytes, budget, leftMs }: BodyLimits) {
    this.#request = request;
    this.#limitBytes = messageBytes;
    this.arrival = budget.arrivals.begin({
      pause: () => request.pause(),
      resume: () => request.resume(),
      cut: () => this.#stop('busy'),
    });
    this.whole = new Promise((resolve) => (this.#resolve = resolve));
    if (request.destroyed) this.#end('aborted');
    else this.#listen(leftMs());
  }

  #listen(leftMs: number): void {
    const late = setTimeout(() => this.#stop(this.arrival.isPaused ? 'busy' : 'late'), leftMs);
    void this.whole.then(() => clearTimeout(late));
    this.#request
      .on('data', (chunk: Buffer) => this.#take(chunk))
      .on('end', () => this.#finish())
      .on('close', () => this.#end('aborted'))
      .on('error', () => this.#end('aborted'));
  }

  #take(chunk: Buffer): void {
    if (this.arrival.bytes + chunk.length > this.#limitBytes) return this.#stop('too_large');
    this.#chunks.push(chunk);
    this.arrival.grew(chunk.length);
  }

  #finish(): void {
    this.arrival.becameWhole();
    const [first] = this.#chunks;
    this.#resolve(this.#chunks.length === 1 && first ? first : Buffer.concat(this.#chunks));
  }

  #stop(why: BodyFailure): void {
    this.#request.removeAllListeners('data').pause();
    this.#end(why);
  }

  /** Only the first call counts, because a request also closes after its end. */
  #end(why: BodyFailure): void {
    if (!this.arrival.isWhole) this.arrival.end();
    this.#resolve(why);
  }
}

/** How long an unused body is received if nothing else limits it, milliseconds. */
const DISMISS_MS = 1_000;

/** Receives the rest of a body before the answer, because a client that still writes would see a broken connection instead of the answer. */
export function dismissBody(request: IncomingMessage, withinMs = DISMISS_MS): Promise<void> {
  if (request.complete || request.destroyed) return Promise.resolve();
  return new Promise((resolve) => {
    const timer = setTimeout(resolve, withinMs);
    const done = (): void => {
      clearTimeout(timer);
      resolve();
    };
    request.once('end', done).once('close', done).once('error', done).resume();
  });
}

/** Headers that belong to a single connection, or are written for this one. */
const NOT_COPIED: ReadonlySet<string> = new Set([
  'connection',
  'content-length',
  'keep-alive',
  'proxy-authenticate',
  'proxy-connection',
  'te',
  'trailer',
  'transfer-encoding',
  'upgrade',
]);

/** A shorter body is sent in one write with its headers. For longer ones a copy would cost more than a second write. */
const ONE_WRITE_BYTES = 16 * 1024;

/** Sends a reply with its own status and headers. A reply without them is sent as JSON with the given status. */
export function sendReply(response: ServerResponse, reply: AgentReply, status: number): void {
  const { body, http } = reply;
  if (response.destroyed || response.headersSent) return reply.delivered?.(false);
  if (reply.delivered !== undefined)
    response.once('close', () => reply.delivered?.(response.writableFinished));
  response.writeHead(http?.status ?? status, headersOf(http?.headers, body.length));
  if (body.length <= ONE_WRITE_BYTES && isAscii(body)) response.end(body.toString('latin1'), 'latin1');
  else response.end(body);
}

function headersOf(
  given: Readonly<Record<string, string | string[]>> | undefined,
  length: number,
): OutgoingHttpHeaders {
  if (given === undefined) return { 'content-type': 'application/json', 'content-length': length };
  const headers: OutgoingHttpHeaders = {};
  for (const name in given) {
    if (!NOT_COPIED.has(name)) headers[name] = given[name];
  }
  headers['content-length'] = length;
  return headers;
}
