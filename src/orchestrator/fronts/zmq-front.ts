import { Router } from 'zeromq';
import type { Curve } from '../access/curve.ts';
import { LIMITS } from '../wire/limits.ts';
import type { Service } from '../service.ts';
import { SerialQueue } from '../../shared/serial-queue.ts';

export interface ZmqFrontSettings {
  readonly host: string;
  readonly port: number;
  /** Called for every reply that could not be delivered because the agent has disconnected. */
  readonly onLostReply: (error: unknown) => void;
  /** Without it the connection is not encrypted, and every client can connect. */
  readonly curve?: Curve | undefined;
}

/** The front for agents' ZeroMQ sockets: REQ, or DEALER with an empty frame before the message. */
export interface Front {
  start(): Promise<void>;
  /** Stops accepting requests, answers the accepted ones, and closes. */
  stop(): Promise<void>;
}

// Number of replies that can wait for one peer before further replies to it are lost.
const HIGH_WATER_MARK = 10_000;
const LINGER_MS = 1_000;
// A message over the limit gets an error. A message that could fill the memory is not received; it closes its connection.
const MOST_RECEIVED_BYTES = 2 * LIMITS.messageBytes;
// A peer that stops in the middle of a message does not answer heartbeats, so libzmq closes its connection.
const HEARTBEAT_MS = 10_000;
const HEARTBEAT_PATIENCE_MS = 30_000;

export function createZmqFront(service: Service, settings: ZmqFrontSettings): Front {
  const { curve } = settings;
  const socket = createSocket(curve);
  const open = new Set<Promise<void>>();
  let stopping = false;
  let receiving: Promise<void> = Promise.resolve();
  // A socket sends one message at a time; a second send() at the same moment fails with EBUSY.
  const sends = new SerialQueue();

  async function serve(frames: Buffer[]): Promise<void> {
    const { envelope, message } = unpack(frames);
    const reply = await service.answer(message);
    await sends.run(() => socket.send([...envelope, reply.text])).catch(settings.onLostReply);
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
      await sends.idle();
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
    // Without sendTimeout a reply to a disconnected agent waits forever (zeromq 6.8). With it, send() rejects at once and we count a lost reply.
    sendTimeout: 0,
    linger: LINGER_MS,
    sendHighWaterMark: HIGH_WATER_MARK,
    receiveHighWaterMark: HIGH_WATER_MARK,
  });
}

/** A client may add own frames, such as a correlation id, before the empty frame. All of them are sent back. */
function unpack(frames: Buffer[]): { envelope: Buffer[]; message: Buffer } {
  const delimiter = frames.findIndex((frame, index) => index > 0 && frame.length === 0);
  const envelope = frames.slice(0, Math.max(delimiter, 0) + 1);
  const body = frames.slice(envelope.length);
  // A message has exactly one frame after the delimiter. Anything else is treated as an empty text, which gets an error.
  const [message] = delimiter > 0 && body.length === 1 ? body : [];
  return { envelope, message: message ?? Buffer.alloc(0) };
}
