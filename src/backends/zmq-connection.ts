import { isAscii } from 'node:buffer';
import { Dealer, type Context, type MessageLike, type Observer } from 'zeromq';
import type { PendingCall } from './call-slots.ts';

/** Longest wait for the first connection of a socket before calls are refused, milliseconds. */
const CONNECT_GRACE_MS = 200;
const RECONNECT_MS = 50;
const RECONNECT_MAX_MS = 1_000;
/** Event loop ticks in which replies from before a disconnect are still read. */
const DRAIN_TICKS = 50;

const MONITOR_MS = 1_000;
const STRING_LIMIT_BYTES = 16_384;
const DELIMITER = Buffer.alloc(0);

/** Keys of a CURVE connection, in Z85. The server must list our public key. */
export interface CurveKeys {
  readonly serverKey: string;
  readonly publicKey: string;
  readonly secretKey: string;
}

interface ZmqConnectionSettings {
  /** `tcp://host:port`. */
  readonly address: string;
  /** Without it the connection is not encrypted. */
  readonly curve?: CurveKeys | undefined;
  readonly context: Context;
}

interface ZmqConnectionListener {
  onReply(id: number, body: Buffer): void;
  /** The socket refused the bytes, because there is no peer or its pipe is full. */
  onRefused(pending: PendingCall): void;
  onUp(): void;
  /** The connection broke and the socket was replaced. Its calls can be neither answered nor sent again. */
  onDown(): void;
  /** There was no peer within the grace time. */
  onGraceOver(): void;
}

/** A DEALER socket that never queues a message for an absent peer. It is replaced whenever its connection breaks. */
export class ZmqConnection {
  readonly #settings: ZmqConnectionSettings;
  readonly #listener: ZmqConnectionListener;
  #socket: Dealer | undefined;
  #readiness: 'ready' | 'connecting' | 'down' = 'down';
  #grace: NodeJS.Timeout | undefined;
  // zeromq copies short frames and reads the array during send(), so all calls share one of each.
  readonly #correlation = Buffer.alloc(4);
  readonly #frames: MessageLike[] = [this.#correlation, DELIMITER, DELIMITER];
  // With sendTimeout 0 a send has succeeded or failed when send() returns, and the promises settle in order.
  readonly #handed: PendingCall[] = [];
  readonly #onHanded = (): void => {
    this.#handed.shift()?.call.onSent?.();
  };
  readonly #onRefused = (): void => {
    const pending = this.#handed.shift();
    if (pending !== undefined) this.#listener.onRefused(pending);
  };

  constructor(settings: ZmqConnectionSettings, listener: ZmqConnectionListener) {
    this.#settings = settings;
    this.#listener = listener;
  }

  readiness(): 'ready' | 'connecting' | 'down' {
    return this.#readiness;
  }

  send(pending: PendingCall): void {
    const socket = this.#socket;
    this.#handed.push(pending);
    if (socket === undefined) {
      queueMicrotask(this.#onRefused);
      return;
    }
    this.#correlation.writeUInt32BE(pending.id);
    this.#frames[2] = wireForm(pending.call.body);
    socket.send(this.#frames).then(this.#onHanded, this.#onRefused);
    this.#frames[2] = DELIMITER;
  }

  /** Opens a socket, and tries again by itself if the system refuses it. */
  open(): void {
    let socket: Dealer | undefined;
    try {
      socket = this.#dealer();
      void this.#watch(socket, socket.events);
      void this.#receive(socket);
      socket.connect(this.#settings.address);
    } catch (error) {
      socket?.close();
      process.emitWarning(`connecting to ${this.#settings.address}: ${String(error)}`);
      this.#grace = setTimeout(() => this.open(), RECONNECT_MAX_MS);
      return;
    }
    this.#socket = socket;
    this.#readiness = 'connecting';
    this.#grace = setTimeout(() => this.#giveUpWaiting(), CONNECT_GRACE_MS);
  }

  #dealer(): Dealer {
    return new Dealer({
      context: this.#settings.context,
      ...curveOptions(this.#settings.curve),
      immediate: true,
      sendTimeout: 0,
      linger: 0,
      reconnectInterval: RECONNECT_MS,
      reconnectMaxInterval: RECONNECT_MAX_MS,
      connectTimeout: 2_000,
      // Detects a host that disappeared silently within half a minute.
      tcpKeepalive: 1,
      tcpKeepaliveIdle: 15,
      tcpKeepaliveInterval: 5,
      tcpKeepaliveCount: 3,
    });
  }

  close(): void {
    const socket = this.#socket;
    this.#socket = undefined;
    this.#readiness = 'down';
    clearTimeout(this.#grace);
    socket?.close();
  }

  #giveUpWaiting(): void {
    if (this.#readiness !== 'connecting') return;
    this.#readiness = 'down';
    this.#listener.onGraceOver();
  }

  /** Reads a socket's monitor to its end, also after the socket was replaced, because zeromq otherwise never releases the monitor. */
  async #watch(socket: Dealer, monitor: Observer): Promise<void> {
    while (!monitor.closed) {
      const { type } = await monitor.receive();
      if (this.#socket !== socket) continue;
      if (type === 'handshake') this.#up();
      else if (type === 'disconnect' && this.#readiness === 'ready') await this.#replace(socket);
    }
    // zeromq names a monitor by its memory address and frees the name later. Until then no other monitor may get the address.
    setTimeout(() => monitor.closed, MONITOR_MS).unref();
  }

  #up(): void {
    clearTimeout(this.#grace);
    this.#readiness = 'ready';
    this.#listener.onUp();
  }

  async #replace(socket: Dealer): Promise<void> {
    this.#readiness = 'connecting';
    for (let tick = 0; tick < DRAIN_TICKS && !socket.closed && socket.readable; tick += 1) {
      await new Promise((resolve) => setImmediate(resolve));
    }
    if (this.#socket !== socket) return;
    this.close();
    this.#listener.onDown();
    this.open();
  }

  async #receive(socket: Dealer): Promise<void> {
    while (!socket.closed) {
      try {
        this.#deliver(await socket.receive());
      } catch (error) {
        // Closing ends the pending receive with an error. The socket stays usable after any other error.
        if (!socket.closed) process.emitWarning(`receiving from ${this.#settings.address}: ${String(error)}`);
        await new Promise((resolve) => setImmediate(resolve));
      }
    }
  }

  #deliver(frames: Buffer[]): void {
    const [correlation, , body] = frames;
    if (frames.length !== 3 || correlation?.length !== 4 || body === undefined) return;
    this.#listener.onReply(correlation.readUInt32BE(0), body);
  }
}

function curveOptions(keys: CurveKeys | undefined): object {
  if (keys === undefined) return {};
  const { serverKey, publicKey, secretKey } = keys;
  return { curveServerKey: serverKey, curvePublicKey: publicKey, curveSecretKey: secretKey };
}

/** ASCII is sent as a string, which has the same bytes. zeromq copies strings, but registering a longer Buffer for release takes 3 µs. */
function wireForm(body: Buffer): MessageLike {
  return body.length <= STRING_LIMIT_BYTES && isAscii(body) ? body.toString('latin1') : body;
}
