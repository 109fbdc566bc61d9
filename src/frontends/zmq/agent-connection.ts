import type { Socket } from 'node:net';
import type { Clock } from '../../migration/ports.ts';
import { FrameReader } from './frame-reader.ts';
import * as zmtp from './zmtp.ts';

/** One message as it came: the envelope's frames and whatever is behind them. */
export interface AgentMessage {
  readonly frames: Buffer[];
  /** Of all frames, with what it costs to keep them. */
  readonly bytes: number;
  /** The earliest instant it can have come at. */
  readonly receivedAtMs: number;
}

export interface ConnectionSettings {
  readonly clock: Clock;
  /** A message that is longer ends the connection. */
  readonly limitBytes: number;
  /** Whoever cannot take it in holds the connection. */
  onMessage(connection: AgentConnection, message: AgentMessage): void;
  /** It asked after we had ended the connection, before it knew: nobody can answer it. */
  onTooLate(): void;
}

/** libzmq's own. */
const HANDSHAKE_MS = 30_000;
/** Its side closes at once when it hears that we have ended. */
const CLOSED_WITHIN_MS = 250;
/** What an empty frame costs to keep. */
const FRAME_BYTES = 64;
/** Replies and answers to heartbeats of so many bytes unread by the agent: nothing more is read from it until it has read them. */
const UNREAD_BYTES = 16_777_216;
/** Copied into one piece below, written frame by frame above. */
const ONE_PIECE_BYTES = 16_384;

/**
 * An agent's REQ or DEALER socket at the other end of a TCP connection. The protocol is spoken here and not by libzmq, because a
 * libzmq socket cannot stop listening, nor end one connection, without ending all at once: see `leaveWith`.
 */
export class AgentConnection {
  /** Requests handed out and not answered. */
  inFlight = 0;
  /** When it was last heard, or answered. */
  lastAtMs: number;
  readonly #socket: Socket;
  readonly #settings: ConnectionSettings;
  readonly #reader: FrameReader;
  /** Reads what must come next; false while that has not come. */
  #step: () => boolean = () => this.#readSignature();
  #frames: Buffer[] = [];
  #bytes = 0;
  #arrivedAtMs: number;
  #holds = 0;
  #heldSinceMs: number | undefined;
  #hasLeft = false;
  /** A REQ: it has no request on its way while one is in flight. */
  #isLockstep = false;

  constructor(socket: Socket, settings: ConnectionSettings) {
    this.#socket = socket;
    this.#settings = settings;
    this.#reader = new FrameReader(settings.limitBytes);
    this.lastAtMs = this.#arrivedAtMs = settings.clock.now();
    socket.setTimeout(HANDSHAKE_MS, () => socket.destroy());
    // 'close' follows, and says all there is to say.
    socket.on('error', () => undefined);
    socket.on('data', (chunk) => this.#take(chunk));
    socket.write(zmtp.SIGNATURE);
  }

  /** No more of it is read until it was let go as often as held. */
  hold(): void {
    this.#holds += 1;
    this.#heldSinceMs ??= this.#settings.clock.now();
    this.#socket.pause();
  }

  letGo(): void {
    this.#holds -= 1;
    if (this.#holds > 0) return;
    this.#pump();
    if (this.#holds === 0) this.#socket.resume();
  }

  /** False where the agent is gone. */
  send(frames: readonly Buffer[]): boolean {
    if (!this.#socket.writable) return false;
    this.lastAtMs = this.#settings.clock.now();
    this.#write(frames);
    this.#awaitReading();
    return true;
  }

  /**
   * Sends a reply and ends the connection with it. A REQ socket sends nothing while it waits for its reply; so if the end reaches it
   * in the same packet as the last of the reply, whatever it asks next goes to our successor. Nagle's algorithm does that: the first
   * byte leaves at once, the others wait for its receipt (40 ms), or for the end. In 80 replacements on an overloaded machine, 3 of
   * 1,280 agents that asked again within microseconds lost a reply, and none that thought for a millisecond. False where the agent
   * is gone.
   */
  leaveWith(frames: readonly Buffer[]): boolean {
    if (!this.#socket.writable) return false;
    this.#hasLeft = true;
    const wire = encode(frames);
    this.#socket.setNoDelay(false);
    this.#socket.write(wire.subarray(0, 1));
    this.#socket.write(wire.subarray(1));
    // To close it is quicker than to end it, but with a request unread, as a DEALER may have sent one, it would take the reply along.
    if (this.#isLockstep && this.#socket.writableLength === 0) this.#socket.destroy();
    else this.#socket.end();
    return true;
  }

  /** Ends the connection of an agent that waits for nothing. */
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
    // Nobody knows how long the first bytes after a hold have waited for it to end.
    this.#arrivedAtMs = this.#heldSinceMs ?? now;
    this.#heldSinceMs = undefined;
    this.lastAtMs = now;
    this.#reader.push(chunk);
    this.#pump();
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
    const peer = zmtp.peerOf(frame);
    return peer === undefined ? this.#refuse() : this.#open(peer);
  }

  #readKind2(): boolean {
    const kind = this.#reader.take(1)?.[0];
    if (kind === undefined) return false;
    const peer = zmtp.PEERS_2.get(kind);
    if (peer === undefined) return this.#refuse();
    // Its identity: a ROUTER of libzmq would send by it, we know the connection.
    this.#step = () => this.#reader.next() !== undefined && this.#open(peer);
    return true;
  }

  #open(peer: zmtp.Peer): true {
    this.#isLockstep = peer === 'REQ';
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

  /** Of an agent that does not read what it asked for, heartbeats included, no more is read. */
  #awaitReading(): void {
    if (this.#socket.writableLength <= UNREAD_BYTES) return;
    this.hold();
    this.#socket.once('drain', () => this.letGo());
  }

  #collect({ body, hasMore }: zmtp.Frame): void {
    this.#frames.push(body);
    this.#bytes += body.length + (hasMore ? FRAME_BYTES : 0);
    if (this.#bytes > this.#settings.limitBytes) throw new RangeError(`a message of ${this.#bytes} bytes`);
    if (hasMore) return;
    const message = { frames: this.#frames, bytes: this.#bytes, receivedAtMs: this.#arrivedAtMs };
    this.#frames = [];
    this.#bytes = 0;
    if (this.#hasLeft) this.#settings.onTooLate();
    else this.#settings.onMessage(this, message);
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

function encode(frames: readonly Buffer[]): Buffer {
  return Buffer.concat(pieces(frames));
}

function pieces(frames: readonly Buffer[]): Buffer[] {
  const last = frames.length - 1;
  return frames.flatMap((body, at) => [zmtp.frameHead(body.length, at < last ? zmtp.MORE : 0), body]);
}
