import { isAscii } from 'node:buffer';
import { Context, Router, type MessageLike } from 'zeromq';
import { messageOf } from '../../domain/errors.ts';
import type { ServiceName } from '../../domain/ids.ts';
import type { Clock, Reply } from '../../migration/ports.ts';
import type { AgentReply, AgentRequest, RequestHandler } from '../../migration/request-handler.ts';
import type { ByteBudget } from '../byte-budget.ts';
import { bindAt } from './bind.ts';
import { farewell, type Agents, type FarewellSettings } from './farewell.ts';
import { Intake, type Incoming } from './intake.ts';

/** What went wrong between us and an agent, in closed words. Never thrown: nobody could catch it. */
type FrontendProblem = 'reply_undeliverable' | 'receive_failed' | 'handler_failed' | 'overloaded';

/** How requests are kept out that memory would not hold. */
export interface Admission {
  readonly budget: ByteBudget;
  /** Longest message that is handled; longer ones are refused. */
  readonly messageBytes: number;
  /** What an agent gets where there was no room for its request in time. */
  readonly busyReply: Buffer;
}

export interface ZmqFrontendSettings {
  readonly service: ServiceName;
  /** Address to bind: `0.0.0.0`, `127.0.0.1`, `*`. */
  readonly host: string;
  readonly port: number;
  readonly handler: RequestHandler;
  readonly clock: Clock;
  /** Requests handed out and not answered; above it nothing more is received. @defaultValue 10000 */
  readonly inFlightLimit?: number;
  /** @defaultValue as many bytes as come */
  readonly admission?: Admission;
  /** How stop() leaves the agents that are connected. */
  readonly farewell?: FarewellSettings;
  /** How long start() waits for a port that is taken, milliseconds. @defaultValue 0 */
  readonly takeOverMs?: number;
  onProblem?(problem: FrontendProblem, detail: string): void;
}

export interface ZmqFrontend {
  /** @throws Error where the port is taken */
  start(): Promise<void>;
  stop(): Promise<void>;
}

const IN_FLIGHT_LIMIT = 10_000;
/** What an agent gets when the handler broke its promise never to throw: its REQ socket would be dead without a reply. */
const LAST_RESORT: Reply = {
  body: Buffer.from('{"status": "error", "error": "internal error of the proxy"}'),
};

/**
 * Serves unmodified REQ clients, and DEALERs that send an empty delimiter, many requests at a time.
 * Every request is answered exactly once, in whatever order the handler finishes.
 */
export function createZmqFrontend(settings: ZmqFrontendSettings): ZmqFrontend {
  const server = new RequestRouter(settings);
  return { start: () => server.start(), stop: () => server.stop() };
}

class RequestRouter {
  readonly #settings: ZmqFrontendSettings;
  readonly #inFlightLimit: number;
  // A context of its own: its limit of 1,023 sockets is not shared with other parts.
  readonly #context = new Context();
  #socket: Router | undefined;
  #inFlight = 0;
  #connected = 0;
  #lastAtMs = 0;
  #isStopping = false;
  /** Replies that are kept until all are sent at once. */
  #held: (() => void)[] | undefined;
  #wake: (() => void) | undefined;

  constructor(settings: ZmqFrontendSettings) {
    this.#settings = settings;
    this.#inFlightLimit = settings.inFlightLimit ?? IN_FLIGHT_LIMIT;
  }

  async start(): Promise<void> {
    const socket = new Router({
      context: this.#context,
      mandatory: true,
      // Without it a reply to an agent that has left waits for ever; with it send() has succeeded or failed when it returns.
      sendTimeout: 0,
      linger: 1_000,
      backlog: 1_024,
      // A send above it fails, and the reply is lost. An agent that sends many requests ahead has the replies to come in flight, and
      // may not have read as many again: libzmq's own 1,000 would be too few for it.
      sendHighWaterMark: 2 * this.#inFlightLimit,
      ...(this.#settings.admission !== undefined && receiveLimits(this.#settings.admission)),
    });
    socket.events.on('accept', () => (this.#connected += 1));
    socket.events.on('disconnect', () => (this.#connected -= 1));
    await bindAt(socket, this.#settings).catch((error: unknown) => {
      socket.close();
      throw error;
    });
    this.#isStopping = false;
    this.#socket = socket;
    void this.#receive(socket, new Intake(socket, this.#settings));
  }

  async stop(): Promise<void> {
    const socket = this.#socket;
    if (socket === undefined) return;
    const { clock, farewell: settings = {} } = this.#settings;
    this.#isStopping = settings.drainMs === undefined;
    await farewell(this.#agents(), clock, settings);
    this.#isStopping = true;
    this.#socket = undefined;
    // To unbind it before would end the connections too: libzmq's listener owns them.
    socket.close();
  }

  #agents(): Agents {
    const count = {
      connected: () => this.#connected,
      inFlight: () => this.#inFlight,
      lastAtMs: () => this.#lastAtMs,
    };
    return {
      get connected() {
        return count.connected();
      },
      get inFlight() {
        return count.inFlight();
      },
      get lastAtMs() {
        return count.lastAtMs();
      },
      hold: () => {
        this.#held = [];
        return () => {
          const held = this.#held ?? [];
          this.#held = undefined;
          for (const send of held) send();
        };
      },
    };
  }

  async #receive(socket: Router, intake: Intake): Promise<void> {
    while (!this.#isStopping && !socket.closed) {
      try {
        if (this.#inFlight >= this.#inFlightLimit) await this.#room();
        this.#accept(socket, await intake.next());
      } catch (error) {
        // Closing ends the pending receive with an error; any other one leaves the socket usable.
        if (!socket.closed) this.#settings.onProblem?.('receive_failed', messageOf(error));
        await new Promise((resolve) => setImmediate(resolve));
      }
    }
  }

  #room(): Promise<void> {
    return new Promise((resolve) => {
      this.#wake = () => {
        if (this.#inFlight >= this.#inFlightLimit) return;
        this.#wake = undefined;
        resolve();
      };
    });
  }

  #accept(socket: Router, { frames, bytes, receivedAtMs, isRefused }: Incoming): void {
    const bodyAt = startOfBody(frames);
    const request = this.#read(frames, bodyAt, receivedAtMs);
    frames.length = bodyAt + 1;
    this.#inFlight += 1;
    this.#lastAtMs = this.#settings.clock.now();
    const handled = isRefused ? this.#refuse(bytes) : this.#settings.handler.handle(request);
    handled.then(
      (reply) => this.#answer(socket, { frames, bytes }, reply),
      (error: unknown) => {
        this.#settings.onProblem?.('handler_failed', messageOf(error));
        this.#answer(socket, { frames, bytes }, LAST_RESORT);
      },
    );
  }

  async #refuse(bytes: number): Promise<AgentReply> {
    this.#settings.onProblem?.('overloaded', `no room for a request of ${bytes} bytes`);
    return { body: this.#settings.admission?.busyReply ?? LAST_RESORT.body };
  }

  #read(frames: Buffer[], bodyAt: number, receivedAtMs: number): AgentRequest {
    const { service } = this.#settings;
    const body = frames[bodyAt] ?? NOTHING;
    if (frames.length === bodyAt + 1 && body.length > 0) return { service, body, receivedAtMs };
    const problem = frames.length > bodyAt + 1 ? severalFrames(frames.length - bodyAt) : EMPTY;
    return { service, body, receivedAtMs, problem };
  }

  /** The reply takes the place of the request's body, behind the envelope. */
  #answer(
    socket: Router,
    { frames, bytes }: { readonly frames: MessageLike[]; readonly bytes: number },
    reply: AgentReply,
  ): void {
    this.#inFlight -= 1;
    this.#settings.admission?.budget.give(bytes);
    frames[frames.length - 1] = wireForm(reply.body);
    if (this.#held === undefined) this.#send(socket, frames, reply);
    else this.#held.push(() => this.#send(socket, frames, reply));
    this.#wake?.();
  }

  #send(socket: Router, frames: MessageLike[], reply: AgentReply): void {
    if (socket.closed) this.#undeliverable('the frontend was stopped', reply);
    else if (reply.delivered === undefined) socket.send(frames).catch(this.#onUnsent);
    else
      socket.send(frames).then(
        () => reply.delivered?.(true),
        (error: unknown) => this.#undeliverable(messageOf(error), reply),
      );
  }

  readonly #onUnsent = (error: unknown): void => this.#undeliverable(messageOf(error));

  #undeliverable(detail: string, reply?: AgentReply): void {
    reply?.delivered?.(false);
    this.#settings.onProblem?.('reply_undeliverable', detail);
  }
}

/**
 * ZeroMQ queues by messages, for each peer: so many that a peer's are no more bytes than the budget. A message longer than all of it
 * is not taken in at all: its connection is cut before it has filled our memory.
 */
function receiveLimits({ budget, messageBytes }: Admission) {
  const receiveHighWaterMark = Math.max(1, Math.floor(budget.limitBytes / messageBytes));
  return { receiveHighWaterMark, maxMessageSize: Math.max(budget.limitBytes, 2 * messageBytes) };
}

/** zeromq copies a string but registers every longer Buffer for release on its own thread, at 3 µs: ASCII, the same bytes in UTF-8, goes as a string. */
function wireForm(body: Buffer): MessageLike {
  return body.length <= STRING_LIMIT_BYTES && isAscii(body) ? body.toString('latin1') : body;
}

const STRING_LIMIT_BYTES = 16_384;
const NOTHING = Buffer.alloc(0);
const EMPTY = { kind: 'empty', detail: 'the message is empty' } as const;

function severalFrames(count: number): NonNullable<AgentRequest['problem']> {
  return { kind: 'several_frames', detail: `the message has ${count} frames, it must have one` };
}

/** The envelope ends with the first empty frame. A DEALER that sends none is answered as it asked: after its identity. */
function startOfBody(frames: Buffer[]): number {
  for (let at = 1; at < frames.length; at += 1) {
    if (frames[at]?.length === 0) return at + 1;
  }
  return 1;
}
