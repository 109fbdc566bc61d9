import type { Socket } from 'node:net';
import { agentName, type AskingAgent } from '../../domain/agent-name.ts';
import type { Caller } from '../../shared/fair-queue.ts';
import type { Clock } from '../../shared/clock.ts';
import type { ConnectionPlace } from '../connection-limit.ts';
import type { Arrival, Arrivals } from '../arrivals.ts';
import * as zmtp from './zmtp.ts';
import { type FrameLimits, FrameReader } from './zmtp.ts';

/** One received message: the envelope's frames and the frames after them. */
export interface AgentMessage {
  readonly frames: Buffer[];
  /** Size of all frames, including the cost to keep them. */
  readonly bytes: number;
  /** The earliest instant at which it can have arrived. */
  readonly receivedAtMs: number;
  /** The length of a frame that was too long to keep. An empty frame replaces it. */
  readonly droppedBytes?: number;
  /** Set if the message came in pieces. It counts as arriving until this is ended. */
  readonly arrival?: Arrival;
}

export interface ConnectionSettings {
  readonly clock: Clock;
  /** A longer message closes the connection. */
  readonly limitBytes: number;
  /** For a longer frame only its length is kept. @defaultValue limitBytes */
  readonly keptBytes?: number | undefined;
  /** Counts incomplete messages. @defaultValue not counted */
  readonly arrivals?: Arrivals | undefined;
  /** Time within which a message must be complete after its first byte, milliseconds. @defaultValue 10000 */
  readonly wholeWithinMs?: number | undefined;
  /** The handler calls `hold` if it cannot take the message yet. */
  onMessage(connection: AgentConnection, message: AgentMessage): void;
  /** The agent sent a request before it noticed that we had closed the connection. It cannot be answered. */
  onTooLate(): void;
}

/** Same value as in libzmq. */
const HANDSHAKE_MS = 30_000;
/** A legacy agent gives up after 5 s. */
const WHOLE_WITHIN_MS = 10_000;
/** A message that receives at least this many bytes in that time counts as arriving. */
const PROGRESS_BYTES = 65_536;
/** The peer closes at once when it notices the end of our side. */
const CLOSED_WITHIN_MS = 250;
/**
 * Sending two parts takes 0.05 ms, and an agent answers a reply within 0.2 ms at the earliest. If sending takes longer than this, the
 * process was paused. The limit doubles with each attempt, up to the longest, because a machine may be slow.
 */
const STALLED = { firstMs: 0.1, longestMs: 2 };
/** The cost to keep an empty frame. */
const FRAME_BYTES = 64;
/** If the agent has this many unread bytes of replies and heartbeat answers, reading from it pauses until it has read them. */
const UNREAD_BYTES = 16_777_216;
/** Shorter messages are copied into one piece; longer ones are written frame by frame. */
const ONE_PIECE_BYTES = 16_384;

/**
 * The TCP connection of an agent's REQ or DEALER socket. This class implements the protocol itself. A libzmq socket cannot stop
 * listening, or close one connection, without closing all connections at once: see `leaveWith`.
 */
export class AgentConnection {
  /** Number of unanswered requests. */
  inFlight = 0;
  /** Last time at which the agent sent something, or was answered. */
  lastAtMs: number;
  /** Absent if connections are not limited. */
  readonly place: ConnectionPlace | undefined;
  /** Set by the first message. */
  agent: AskingAgent | undefined;
  /** Set together with it. */
  caller: Caller | undefined;
  readonly #socket: Socket;
  readonly #settings: ConnectionSettings;
  readonly #reader: FrameReader;
  /** Reads the next expected part; false if it has not arrived yet. */
  #step: () => boolean = () => this.#readSignature();
  #frames: Buffer[] = [];
  #bytes = 0;
  #droppedBytes: number | undefined;
  #arrivedAtMs: number;
  #holds = 0;
  #heldSinceMs: number | undefined;
  #arrival: Arrival | undefined;
  #late: NodeJS.Timeout | undefined;
  #hasLeft = false;
  #stalledMs = STALLED.firstMs;
  #isOpen = false;
  /** True for a REQ socket, which sends no request while one is in flight. */
  #isLockstep = false;
  /** Whether reading is paused until the agent has read what it was sent. All replies share this wait. */
  #awaitsReading = false;

  constructor(socket: Socket, settings: ConnectionSettings, place?: ConnectionPlace) {
    this.place = place;
    this.#socket = socket;
    this.#settings = settings;
    this.#reader = new FrameReader(limitsOf(settings));
    this.lastAtMs = this.#arrivedAtMs = settings.clock.now();
    socket.setTimeout(HANDSHAKE_MS, () => socket.destroy());
    // 'close' follows and handles the error.
    socket.on('error', () => undefined);
    socket.on('close', () => this.#settle());
    socket.on('data', (chunk) => this.#take(chunk));
    socket.write(zmtp.SIGNATURE);
  }

  /** Pauses reading until `letGo` was called as often as `hold`. */
  hold(): void {
    this.#holds += 1;
    this.#heldSinceMs ??= this.#settings.clock.now();
    this.#socket.pause();
  }

  letGo(): void {
    this.#holds -= 1;
    if (this.#holds > 0) return;
    this.#pump();
    if (this.#holds > 0) return;
    this.#socket.resume();
    this.#forgetHold();
  }

  /** After one whole turn of the event loop all bytes from the time of the hold are read, so later bytes have just arrived. */
  #forgetHold(): void {
    const heldSinceMs = this.#heldSinceMs;
    setImmediate(() =>
      setImmediate(() => {
        if (this.#holds === 0 && this.#heldSinceMs === heldSinceMs) this.#heldSinceMs = undefined;
      }),
    );
  }

  /** False if the agent has disconnected. */
  send(frames: readonly Buffer[]): boolean {
    if (!this.#socket.writable) return false;
    this.lastAtMs = this.#settings.clock.now();
    this.#write(frames);
    this.#awaitReading();
    return true;
  }

  /**
   * Sends a reply and closes the connection with it. A REQ socket sends nothing while it waits for its reply. If the close reaches it in
   * the same packet as the end of the reply, its next request goes to our successor. Nagle's algorithm does that: it sends the first byte
   * at once, and the other bytes after its acknowledgement (40 ms) or together with the close. If this process was paused in between, the
   * connection stays open until the next reply. The agent may already have the whole reply and have sent another request. On an
   * overloaded machine that happens with every fifth reply. If agents that send again within microseconds share one ZeroMQ context, its I/O
   * thread may send a request before it reads the close. 12 of 1,280 lost a reply then, and none of 1,280 with contexts of their own.
   * False if the agent has disconnected.
   */
  leaveWith(frames: readonly Buffer[]): boolean {
    if (!this.#socket.writable) return false;
    const wire = encode(frames);
    this.#socket.setNoDelay(false);
    const beganAtMs = this.#settings.clock.now();
    this.#socket.write(wire.subarray(0, 1));
    this.#socket.write(wire.subarray(1));
    const sentAtMs = this.#settings.clock.now();
    if (sentAtMs - beganAtMs >= this.#stalledMs) {
      this.#stalledMs = Math.min(2 * this.#stalledMs, STALLED.longestMs);
      this.lastAtMs = sentAtMs;
      this.#socket.setNoDelay(true);
      return true;
    }
    this.#hasLeft = true;
    // Destroying is faster than ending. But with an unread request, as a DEALER may have sent, it would also discard the reply.
    if (this.#isLockstep && this.#socket.writableLength === 0) this.#socket.destroy();
    else this.#socket.end();
    return true;
  }

  /** Closes the connection of an agent that waits for no reply. */
  leave(): void {
    if (this.#hasLeft) return;
    this.#hasLeft = true;
    this.#socket.setTimeout(CLOSED_WITHIN_MS);
    this.#socket.end();
  }

  destroy(): void {
    this.#socket.destroy();
  }

  #take(chunk: Buffer): void {
    const now = this.#settings.clock.now();
    // It is unknown how long the first bytes after a hold have waited.
    this.#arrivedAtMs = this.#heldSinceMs ?? now;
    this.#heldSinceMs = undefined;
    this.lastAtMs = now;
    this.#reader.push(chunk);
    this.#pump();
    this.#countUnfinished();
  }

  /** Counts the bytes of an incomplete message in memory. */
  #countUnfinished(): void {
    const heldBytes = this.#bytes + this.#reader.heldBytes;
    const isBegun = heldBytes > 0 || this.#frames.length > 0 || this.#reader.isInFrame;
    if (!isBegun) return this.#settle()?.end();
    if (this.#holds > 0 || this.#socket.destroyed) return;
    if (this.#late === undefined) this.#expectWhole();
    const { arrivals } = this.#settings;
    if (arrivals === undefined) return;
    this.#arrival ??= arrivals.begin({
      pause: () => {
        clearTimeout(this.#late);
        this.hold();
      },
      resume: () => {
        if (this.#arrival !== undefined) this.#expectWhole();
        this.letGo();
      },
      cut: () => this.#socket.destroy(),
    });
    this.#arrival.grew(heldBytes - this.#arrival.bytes);
  }

  /** Until the end of the handshake its own time limit applies. */
  #expectWhole(): void {
    clearTimeout(this.#late);
    if (!this.#isOpen) return;
    const bytesBefore = this.#socket.bytesRead;
    const late = setTimeout(
      () => setImmediate(() => setImmediate(() => this.#giveUpUnlessMore(late, bytesBefore))),
      this.#settings.wholeWithinMs ?? WHOLE_WITHIN_MS,
    );
    this.#late = late;
  }

  /** If the process was busy, the bytes that had arrived are read by now. A message with progress gets its time again. */
  #giveUpUnlessMore(late: NodeJS.Timeout, bytesBefore: number): void {
    if (this.#late !== late || this.#holds > 0) return;
    if (this.#socket.bytesRead - bytesBefore >= PROGRESS_BYTES) this.#expectWhole();
    else this.#socket.destroy();
  }

  /** No message is arriving any more. */
  #settle(): Arrival | undefined {
    const arrival = this.#arrival;
    clearTimeout(this.#late);
    this.#late = undefined;
    this.#arrival = undefined;
    if (this.#socket.destroyed) arrival?.end();
    return arrival;
  }

  #pump(): void {
    try {
      while (this.#holds === 0 && this.#step());
    } catch {
      this.#socket.destroy();
    }
  }

  #refuse(): false {
    this.#socket.destroy();
    return false;
  }

  #readSignature(): boolean {
    const signature = this.#reader.take(zmtp.SIGNATURE.length);
    if (signature === undefined) return false;
    if (!zmtp.isSignature(signature)) return this.#refuse();
    this.#socket.write(zmtp.MAJOR);
    this.#step = () => this.#readVersion();
    return true;
  }

  #readVersion(): boolean {
    const version = this.#reader.take(1)?.[0];
    if (version === undefined) return false;
    if (version >= 3) {
      this.#socket.write(zmtp.GREETING_REST);
      this.#step = () => this.#readGreeting();
      return true;
    }
    if (version !== zmtp.REVISION_2) return this.#refuse();
    this.#socket.write(zmtp.GREETING_2);
    this.#step = () => this.#readKind2();
    return true;
  }

  #readGreeting(): boolean {
    const rest = this.#reader.take(zmtp.GREETING_REST.length);
    if (rest === undefined) return false;
    if (!zmtp.isNullMechanism(rest)) return this.#refuse();
    this.#socket.write(zmtp.READY);
    this.#step = () => this.#readReady();
    return true;
  }

  #readReady(): boolean {
    const frame = this.#reader.next();
    if (frame === undefined) return false;
    const introduced = zmtp.introductionOf(frame);
    return introduced === undefined ? this.#refuse() : this.#open(introduced.peer, introduced.identity);
  }

  #readKind2(): boolean {
    const kind = this.#reader.take(1)?.[0];
    if (kind === undefined) return false;
    const peer = zmtp.PEERS_2.get(kind);
    if (peer === undefined) return this.#refuse();
    // The identity. A libzmq ROUTER would send by it, but we have the connection.
    this.#step = () => {
      const identity = this.#reader.next();
      return identity !== undefined && this.#open(peer, identity.body);
    };
    return true;
  }

  #open(peer: zmtp.Peer, identity: Buffer): true {
    const { remoteAddress: address, remotePort } = this.#socket;
    this.agent = { name: agentName({ identity, address }), dialect: 'zmq' };
    this.caller = [address ?? '', `zmq ${this.agent.name}`, String(remotePort)];
    this.#isLockstep = peer === 'REQ';
    this.#isOpen = true;
    this.#socket.setTimeout(0);
    this.#step = () => this.#readMessage();
    return true;
  }

  #readMessage(): boolean {
    const frame = this.#reader.next();
    if (frame === undefined) return false;
    if (frame.isCommand) this.#answer(frame);
    else this.#collect(frame);
    return true;
  }

  #answer(command: zmtp.Frame): void {
    const answer = zmtp.answerTo(command);
    if (answer === undefined || !this.#socket.writable) return;
    this.#socket.write(answer);
    this.#awaitReading();
  }

  /** Pauses reading from an agent that does not read its replies and heartbeat answers. */
  #awaitReading(): void {
    if (this.#awaitsReading || this.#socket.writableLength <= UNREAD_BYTES) return;
    this.#awaitsReading = true;
    this.hold();
    this.#socket.once('drain', () => {
      this.#awaitsReading = false;
      this.letGo();
    });
  }

  #collect({ body, hasMore, droppedBytes }: zmtp.Frame): void {
    this.#frames.push(body);
    this.#bytes += body.length + (hasMore ? FRAME_BYTES : 0);
    this.#droppedBytes ??= droppedBytes;
    if (this.#bytes > this.#settings.limitBytes) throw new RangeError(`a message of ${this.#bytes} bytes`);
    if (hasMore) return;
    const message = {
      frames: this.#frames,
      bytes: this.#bytes,
      receivedAtMs: this.#arrivedAtMs,
      ...this.#arrived(),
    };
    this.#frames = [];
    this.#bytes = 0;
    if (!this.#hasLeft) return this.#settings.onMessage(this, message);
    message.arrival?.end();
    this.#settings.onTooLate();
  }

  #arrived(): Pick<AgentMessage, 'arrival' | 'droppedBytes'> {
    const arrival = this.#settle();
    const droppedBytes = this.#droppedBytes;
    this.#droppedBytes = undefined;
    arrival?.becameWhole();
    return { ...(arrival && { arrival }), ...(droppedBytes !== undefined && { droppedBytes }) };
  }

  #write(frames: readonly Buffer[]): void {
    if ((frames.at(-1)?.length ?? 0) <= ONE_PIECE_BYTES) {
      this.#socket.write(encode(frames));
      return;
    }
    this.#socket.cork();
    for (const piece of pieces(frames)) this.#socket.write(piece);
    this.#socket.uncork();
  }
}

function limitsOf({ limitBytes, keptBytes = limitBytes }: ConnectionSettings): FrameLimits {
  return { limitBytes, keptBytes };
}

function encode(frames: readonly Buffer[]): Buffer {
  return Buffer.concat(pieces(frames));
}

function pieces(frames: readonly Buffer[]): Buffer[] {
  const last = frames.length - 1;
  return frames.flatMap((body, at) => [zmtp.frameHead(body.length, at < last ? zmtp.MORE : 0), body]);
}
