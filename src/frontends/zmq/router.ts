import { createServer, type Server, type Socket } from 'node:net';
import { messageOf } from '../../domain/errors.ts';
import type { ServiceName } from '../../domain/ids.ts';
import type { Clock } from '../../shared/clock.ts';
import type { Reply } from '../../engine/ports/ports.ts';
import type { AgentReply, AgentRequest, RequestHandler } from '../../engine/ports/operation.ts';
import type { ConnectionLimit } from '../connection-limit.ts';
import { takePort } from '../take-port.ts';
import { AgentConnection, type ConnectionSettings } from './agent-connection.ts';
import { type Admission, type Admitted, AdmissionControl } from './admission-control.ts';

/** Problems between the proxy and an agent. They are reported and never thrown, because no caller could catch them. */
type FrontendProblem =
  'reply_undeliverable' | 'asked_too_late' | 'accept_failed' | 'handler_failed' | 'overloaded';

export interface ZmqFrontendSettings {
  readonly service: ServiceName;
  /** Address to listen on: `0.0.0.0`, `127.0.0.1`; `*` is all of IPv4. */
  readonly host: string;
  readonly port: number;
  readonly handler: RequestHandler;
  readonly clock: Clock;
  /** Largest number of unanswered requests. At the limit nothing more is received. @defaultValue 10000 */
  readonly inFlightLimit?: number;
  /** @defaultValue no limit */
  readonly admission?: Admission;
  /** @defaultValue no limit */
  readonly connectionLimit?: ConnectionLimit;
  /** A longer message closes its connection. @defaultValue the largest message for which admission sends a refusal, otherwise 64 MiB */
  readonly cutAboveBytes?: number;
  /** Time within which a message must be complete after its first byte, milliseconds. @defaultValue 10000 */
  readonly wholeWithinMs?: number;
  /** How stop() disconnects agents. */
  readonly farewell?: FarewellSettings;
  /** How long start() waits for a port that is in use, milliseconds. @defaultValue 0 */
  readonly takeOverMs?: number;
  onProblem?(problem: FrontendProblem, detail: string): void;
}

export interface ZmqFrontend {
  /** @throws Error if the port is in use */
  start(): Promise<void>;
  stop(): Promise<void>;
}

const IN_FLIGHT_LIMIT = 10_000;
const MESSAGE_LIMIT_BYTES = 67_108_864;
const BACKLOG = 1_024;
/** The reply if the handler throws, which it must not. Without a reply the agent's REQ socket could not be used again. */
const LAST_RESORT: Reply = {
  body: Buffer.from('{"status": "error", "error": "internal error of the proxy"}'),
};

/**
 * Serves unmodified REQ clients, and DEALER clients that send an empty delimiter, many requests at a time.
 * Every request is answered exactly once, in the order in which the handler finishes.
 */
export function createZmqFrontend(settings: ZmqFrontendSettings): ZmqFrontend {
  const server = new RequestRouter(settings);
  return { start: () => server.start(), stop: () => server.stop() };
}

class RequestRouter {
  readonly #settings: ZmqFrontendSettings;
  readonly #connections = new Set<AgentConnection>();
  readonly #connecting: ConnectionSettings;
  readonly #admissionControl: AdmissionControl;
  #server: Server | undefined;
  #isLeaving = false;

  constructor(settings: ZmqFrontendSettings) {
    this.#settings = settings;
    this.#admissionControl = new AdmissionControl({
      inFlightLimit: settings.inFlightLimit ?? IN_FLIGHT_LIMIT,
      admission: settings.admission,
      clock: settings.clock,
      onAdmitted: (admitted) => this.#handle(admitted),
    });
    this.#connecting = {
      clock: settings.clock,
      limitBytes: settings.cutAboveBytes ?? longest(settings.admission),
      keptBytes: settings.admission?.messageBytes,
      arrivals: settings.admission?.budget.arrivals,
      wholeWithinMs: settings.wholeWithinMs,
      onMessage: (connection, message) => {
        connection.inFlight += 1;
        connection.place?.begin();
        this.#admissionControl.enter(connection, message);
      },
      onTooLate: () =>
        settings.onProblem?.(
          'asked_too_late',
          'the agent sent a request while its connection was being closed',
        ),
    };
  }

  async start(): Promise<void> {
    this.#isLeaving = false;
    await takePort(async () => {
      this.#server = await listening(this.#settings, (socket) => this.#meet(socket));
    }, this.#settings);
    this.#server?.on('error', (error) => this.#settings.onProblem?.('accept_failed', messageOf(error)));
  }

  async stop(): Promise<void> {
    const server = this.#server;
    if (server === undefined) return;
    this.#server = undefined;
    this.#isLeaving = true;
    // From here a successor can use the port. Existing connections stay.
    server.close();
    await farewell(this.#connections, this.#settings.clock, this.#settings.farewell);
  }

  #meet(socket: Socket): void {
    const { connectionLimit } = this.#settings;
    const place = connectionLimit?.enter(socket.remoteAddress ?? '', () => socket.destroy());
    if (connectionLimit !== undefined && place === undefined) return void socket.destroy();
    const connection = new AgentConnection(socket, this.#connecting, place);
    this.#connections.add(connection);
    socket.on('close', () => {
      this.#connections.delete(connection);
      place?.leave();
    });
  }

  #handle(admitted: Admitted): void {
    const { frames, bytes } = admitted.message;
    const bodyAt = startOfBody(frames);
    const request = this.#read(admitted, bodyAt);
    frames.length = bodyAt;
    const handled = admitted.isRefused ? this.#refuse(bytes) : this.#settings.handler.handle(request);
    handled.then(
      (reply) => this.#answer(admitted, reply),
      (error: unknown) => {
        this.#settings.onProblem?.('handler_failed', messageOf(error));
        this.#answer(admitted, LAST_RESORT);
      },
    );
  }

  async #refuse(bytes: number): Promise<AgentReply> {
    this.#settings.onProblem?.('overloaded', `not enough memory for a request of ${bytes} bytes`);
    return { body: this.#settings.admission?.busyReply ?? LAST_RESORT.body };
  }

  #read({ connection: { agent, caller }, message }: Admitted, bodyAt: number): AgentRequest {
    const { frames, receivedAtMs, droppedBytes } = message;
    const { service, admission } = this.#settings;
    const facts = { service, receivedAtMs, ...(agent && { agent }), ...(caller && { caller }) };
    const body = frames[bodyAt] ?? NOTHING;
    if (droppedBytes !== undefined) {
      const detail = `the message has ${droppedBytes} bytes, but the limit is ${admission?.messageBytes}`;
      return { ...facts, body, problem: { kind: 'too_large', detail } };
    }
    if (frames.length === bodyAt + 1 && body.length > 0) return { ...facts, body };
    const problem = frames.length > bodyAt + 1 ? severalFrames(frames.length - bodyAt) : EMPTY;
    return { ...facts, body, problem };
  }

  /** The reply replaces the request's body after the envelope. */
  #answer(admitted: Admitted, reply: AgentReply): void {
    const { connection, message } = admitted;
    connection.inFlight -= 1;
    connection.place?.end();
    const frames = [...message.frames, reply.body];
    const isLast = this.#isLeaving && connection.inFlight === 0;
    const isSent = isLast ? connection.leaveWith(frames) : connection.send(frames);
    reply.delivered?.(isSent);
    if (!isSent) this.#settings.onProblem?.('reply_undeliverable', 'the agent has disconnected');
    this.#admissionControl.leave(admitted);
  }
}

async function listening(
  { host, port }: ZmqFrontendSettings,
  onConnection: (socket: Socket) => void,
): Promise<Server> {
  const server = createServer({ noDelay: true, keepAlive: true }, onConnection);
  await new Promise<void>((resolve, reject) => {
    server.once('error', reject);
    server.listen({ host: host === '*' ? '0.0.0.0' : host, port, backlog: BACKLOG }, resolve);
  });
  return server;
}

/** Limit above which a message is not received. Its connection is closed before it fills the memory. */
function longest(admission: Admission | undefined): number {
  if (admission === undefined) return MESSAGE_LIMIT_BYTES;
  return Math.max(admission.budget.limitBytes, 2 * admission.messageBytes);
}

const NOTHING = Buffer.alloc(0);
const EMPTY = { kind: 'empty', detail: 'the message is empty' } as const;

function severalFrames(count: number): NonNullable<AgentRequest['problem']> {
  return { kind: 'several_frames', detail: `the message has ${count} frames, but must have one` };
}

/** The envelope ends with the first empty frame. A DEALER that sends none gets only the body back. */
function startOfBody(frames: readonly Buffer[]): number {
  return frames.findIndex(({ length }) => length === 0) + 1;
}

/** How a frontend disconnects its agents at a stop. Milliseconds. */
export interface FarewellSettings {
  /** How long recently active agents may send further requests. @defaultValue 0: only requests in flight are answered */
  readonly drainMs?: number;
  /** How long to wait for requests in flight at the end. @defaultValue 5000 */
  readonly graceMs?: number;
}

/** The facts and functions needed to disconnect an agent. */
export interface Leavable {
  /** Number of unanswered requests. */
  readonly inFlight: number;
  readonly lastAtMs: number;
  /** Closes the connection. Bytes that were already sent still arrive. */
  leave(): void;
  destroy(): void;
}

const GRACE_MS = 5_000;
/** An agent that was silent for this long is probably not about to send. Its next request goes to our successor. */
const QUIET_MS = 1_000;
const LOOK_EVERY_MS = 10;
/** A check that is late by this much shows that the process or machine was paused, so no agent could be read in that time. */
const STALLED_MS = 50;

/**
 * Disconnects agents without losing a reply, because a REQ socket whose request is lost with its connection waits forever. The sender
 * of replies closes a connection after the reply to the next request, when the agent certainly has no request on its way. This function
 * closes the connections of silent agents. Before each check, bytes that have arrived are read, and time in which this process was paused
 * does not count as silence. Resolves when all agents are disconnected. A request is lost only if a silent agent sends it within the
 * microseconds that the close takes to reach the agent.
 */
export async function farewell(
  agents: ReadonlySet<Leavable>,
  clock: Clock,
  { drainMs = 0, graceMs = GRACE_MS }: FarewellSettings = {},
): Promise<void> {
  const drainedAtMs = clock.now() + drainMs;
  const endAtMs = drainedAtMs + graceMs;
  let [lookedAtMs, awakeSinceMs] = [clock.now(), -Infinity];
  while (agents.size > 0 && clock.now() < endAtMs) {
    await nextTurn();
    const now = clock.now();
    if (now - lookedAtMs > LOOK_EVERY_MS + STALLED_MS) awakeSinceMs = now;
    lookedAtMs = now;
    const quietSinceMs = now - QUIET_MS;
    if (now >= drainedAtMs) leaveQuiet(agents, now);
    else if (awakeSinceMs <= quietSinceMs) leaveQuiet(agents, quietSinceMs);
    await clock.sleep(LOOK_EVERY_MS);
  }
  for (const agent of agents) agent.destroy();
}

/** Timers run before sockets are read, so all arrived bytes are read only after one whole turn of the event loop. */
function nextTurn(): Promise<void> {
  return new Promise((resolve) => setImmediate(() => setImmediate(resolve)));
}

function leaveQuiet(agents: Iterable<Leavable>, sinceMs: number): void {
  for (const agent of agents) if (agent.inFlight === 0 && agent.lastAtMs <= sinceMs) agent.leave();
}
