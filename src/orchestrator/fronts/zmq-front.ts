import { Router } from 'zeromq';
import type { Curve } from '../access/curve.ts';
import { LIMITS } from '../wire/limits.ts';
import type { Service } from '../service.ts';

export interface ZmqFrontSettings {
  readonly host: string;
  readonly port: number;
  /** Called for every reply that its agent did not stay for. */
  readonly onLostReply: (error: unknown) => void;
  /** Without it everything travels in clear, and everybody may connect. */
  readonly curve?: Curve | undefined;
}

/** The front for agents' ZeroMQ sockets: REQ, or DEALER with an empty frame in front of the message. */
export interface Front {
  start(): Promise<void>;
  /** Takes in nothing new, answers what it took, and closes. */
  stop(): Promise<void>;
}

// What one peer may have waiting for it before replies to it are lost.
const HIGH_WATER_MARK = 10_000;
const LINGER_MS = 1_000;
// A message over the limit is answered. One that could fill the memory is not even received: it ends its connection.
const MOST_RECEIVED_BYTES = 2 * LIMITS.messageBytes;
// Of a peer that sends the beginning of a message and no more, libzmq hears no answer to its heartbeat: its connection ends.
const HEARTBEAT_MS = 10_000;
const HEARTBEAT_PATIENCE_MS = 30_000;

export function createZmqFront(service: Service, settings: ZmqFrontSettings): Front {
  const { curve } = settings;
  const socket = createSocket(curve);
  const open = new Set<Promise<void>>();
  let stopping = false;
  let receiving: Promise<void> = Promise.resolve();
  // A socket sends one message at a time; a second send() at the same moment fails with EBUSY.
  let sending: Promise<void> = Promise.resolve();

  function send(frames: (Buffer | string)[]): Promise<void> {
    sending = sending.then(() => socket.send(frames)).catch(settings.onLostReply);
    return sending;
  }

  async function serve(frames: Buffer[]): Promise<void> {
    const { envelope, message } = unpack(frames);
    const reply = await service.answer(message);
    await send([...envelope, reply.text]);
  }

  async function receive(): Promise<void> {
    for await (const frames of socket) {
      if (stopping) return;
      const served = serve(frames).finally(() => open.delete(served));
      open.add(served);
    }
  }

  return {
    async start() {
      await curve?.protect(socket);
      await socket.bind(`tcp://${settings.host}:${settings.port}`);
      receiving = receive();
    },
    async stop() {
      stopping = true;
      await Promise.all(open);
      await sending;
      if (!socket.closed) socket.close();
      curve?.stop();
      await receiving;
    },
  };
}

function createSocket(curve: Curve | undefined): Router {
  return new Router({
    ...(curve !== undefined && { context: curve.context }),
    maxMessageSize: MOST_RECEIVED_BYTES,
    heartbeatInterval: HEARTBEAT_MS,
    heartbeatTimeout: HEARTBEAT_PATIENCE_MS,
    mandatory: true,
    // Without sendTimeout a reply to an agent that has left waits for ever (zeromq 6.8); with it, send() rejects at once and we count a lost reply.
    sendTimeout: 0,
    linger: LINGER_MS,
    sendHighWaterMark: HIGH_WATER_MARK,
    receiveHighWaterMark: HIGH_WATER_MARK,
  });
}

/** A client may put frames of its own, such as a correlation, in front of the empty one; all of them go back. */
function unpack(frames: Buffer[]): { envelope: Buffer[]; message: Buffer } {
  const delimiter = frames.findIndex((frame, index) => index > 0 && frame.length === 0);
  const envelope = frames.slice(0, Math.max(delimiter, 0) + 1);
  const body = frames.slice(envelope.length);
  // Anything but one frame behind the delimiter is not a message. The empty text is refused as such, in words.
  const [message] = delimiter > 0 && body.length === 1 ? body : [];
  return { envelope, message: message ?? Buffer.alloc(0) };
}
