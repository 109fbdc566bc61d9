/**
 * ZeroMQ's protocol over TCP (ZMTP, rfc.zeromq.org/spec/37), as far as a ROUTER without authentication (NULL) needs it: the greeting,
 * the READY command, and frames.
 */

/** A frame. On the wire: one flag byte, the length in one byte or eight, the bytes. */
export interface Frame {
  readonly body: Buffer;
  /** Another frame of the same message follows. */
  readonly hasMore: boolean;
  /** A command for the connection, not a part of a message. */
  readonly isCommand: boolean;
  /** The length of a frame that was too long to keep. Its body is empty then. */
  readonly droppedBytes?: number;
}

export const MORE = 0x01;
export const LONG = 0x02;
export const COMMAND = 0x04;
const SHORT_LIMIT = 255;

/** 10 bytes, sent first by both sides; peers that are older than ZMTP 2.0 read it as an identity. */
export const SIGNATURE = Buffer.from([0xff, 0, 0, 0, 0, 0, 0, 0, 1, 0x7f]);
/** Our major version, sent as the answer to the signature. */
export const MAJOR = Buffer.from([3]);
/** The revision of ZMTP 2.0, as libzmq 3.2 sends it. */
export const REVISION_2 = 1;
const MECHANISM_LENGTH = 20;
/** Minor version, mechanism, whether we are its server, and 31 zero bytes. */
export const GREETING_REST = Buffer.concat([Buffer.from([1]), mechanism('NULL'), Buffer.alloc(32)]);

/** Socket types that can connect to a ROUTER, by the names of ZMTP 3 and the numbers of ZMTP 2. */
const PEERS = ['REQ', 'DEALER', 'ROUTER'] as const;
export type Peer = (typeof PEERS)[number];
export const PEERS_2: ReadonlyMap<number, Peer> = new Map([
  [3, 'REQ'],
  [5, 'DEALER'],
  [6, 'ROUTER'],
]);
const ROUTER_2 = 6;

/** A ROUTER's answer to the revision of a ZMTP 2.0 peer: its type, and an empty identity. */
export const GREETING_2 = Buffer.from([ROUTER_2, 0, 0]);

export const READY = encodeFrame(
  Buffer.concat([Buffer.from('\x05READY'), property('Socket-Type', 'ROUTER'), property('Identity', '')]),
  COMMAND,
);
const PING = Buffer.from('\x04PING');
const PONG = Buffer.from('\x04PONG');
/** After the name of a PING: how long the peer waits for us. The bytes after that are sent back. */
const PING_TTL_BYTES = 2;

export function isSignature(bytes: Buffer): boolean {
  return bytes[0] === 0xff && bytes[9] === 0x7f;
}

/** Whether the peer uses the NULL mechanism too. */
export function isNullMechanism(rest: Buffer): boolean {
  return rest.subarray(1, 1 + MECHANISM_LENGTH).equals(mechanism('NULL'));
}

/** The facts about a socket in a READY command. */
interface Introduction {
  readonly peer: Peer;
  /** Empty if the socket has none. */
  readonly identity: Buffer;
}

/** The socket type and identity of a READY command. Undefined for another command, or a type that cannot connect to us. */
export function introductionOf({ body, isCommand }: Frame): Introduction | undefined {
  if (!isCommand || body.toString('latin1', 0, 6) !== '\x05READY') return undefined;
  let kind: string | undefined;
  let identity: Buffer = Buffer.alloc(0);
  for (let at = 6; at < body.length;) {
    const valueAt = at + 1 + (body[at] ?? 0) + 4;
    // Bytes after the last complete property are ignored.
    if (valueAt > body.length) break;
    const name = body.toString('latin1', at + 1, valueAt - 4);
    const end = valueAt + body.readUInt32BE(valueAt - 4);
    const value = body.subarray(valueAt, end);
    if (name.toLowerCase() === 'socket-type') kind ??= value.toString('latin1');
    if (name.toLowerCase() === 'identity') identity = value;
    at = end;
  }
  const peer = PEERS.find((known) => known === kind);
  return peer && { peer, identity };
}

/** The answer to a heartbeat; undefined for any other command. */
export function answerTo({ body }: Frame): Buffer | undefined {
  if (!body.subarray(0, PING.length).equals(PING)) return undefined;
  return encodeFrame(Buffer.concat([PONG, body.subarray(PING.length + PING_TTL_BYTES)]), COMMAND);
}

export function encodeFrame(body: Buffer, flags: number): Buffer {
  return Buffer.concat([frameHead(body.length, flags), body]);
}

/** The head of a frame of this length. */
export function frameHead(length: number, flags: number): Buffer {
  if (length <= SHORT_LIMIT) return Buffer.from([flags, length]);
  const head = Buffer.allocUnsafe(9);
  head[0] = flags | LONG;
  head.writeBigUInt64BE(BigInt(length), 1);
  return head;
}

function mechanism(name: string): Buffer {
  return Buffer.from(name.padEnd(MECHANISM_LENGTH, '\0'));
}

function property(name: string, value: string): Buffer {
  const length = Buffer.alloc(4);
  length.writeUInt32BE(value.length);
  return Buffer.concat([Buffer.from([name.length]), Buffer.from(name), length, Buffer.from(value)]);
}

/** An incomplete frame. */
interface Unfinished {
  readonly flags: number;
  readonly length: number;
  /** Grows with the received bytes, so that an announced length takes no memory. Nothing is kept of a frame that is too long. */
  body: Buffer;
  filled: number;
  readonly isKept: boolean;
}

export interface FrameLimits {
  /** A longer frame is an error. */
  readonly limitBytes: number;
  /** For a longer frame only its length is kept. @defaultValue limitBytes */
  readonly keptBytes?: number;
}

const NOTHING = Buffer.alloc(0);
/** A small frame is copied out of a large chunk, because it would otherwise keep the whole chunk in memory. */
const COPIED_BELOW_SHARE = 0.25;
/** Initial size of a frame's buffer. */
const FIRST_BYTES = 131_072;

/** Extracts frames from a stream of chunks. */
export class FrameReader {
  readonly #limitBytes: number;
  readonly #keptBytes: number;
  #rest: Buffer = NOTHING;
  #unfinished: Unfinished | undefined;

  constructor({ limitBytes, keptBytes = limitBytes }: FrameLimits) {
    this.#limitBytes = limitBytes;
    this.#keptBytes = keptBytes;
  }

  /** Bytes of incomplete frames in memory. */
  get heldBytes(): number {
    const { body, filled } = this.#unfinished ?? { body: NOTHING, filled: 0 };
    return this.#rest.length + Math.min(body.length, filled);
  }

  /** The head of a frame has arrived, but not its end. */
  get isInFrame(): boolean {
    return this.#unfinished !== undefined;
  }

  push(chunk: Buffer): void {
    const from = this.#unfinished === undefined ? 0 : fill(this.#unfinished, chunk);
    if (from === chunk.length) return;
    const rest = from === 0 ? chunk : chunk.subarray(from);
    this.#rest = this.#rest.length === 0 ? rest : Buffer.concat([this.#rest, rest]);
  }

  /** The next bytes, uninterpreted; undefined until they have arrived. */
  take(length: number): Buffer | undefined {
    if (this.#rest.length < length) return undefined;
    return this.#cut(0, length);
  }

  /** Undefined until the next frame is complete. @throws RangeError if it is longer than the limit */
  next(): Frame | undefined {
    if (this.#unfinished !== undefined) return this.#finished(this.#unfinished);
    const [flags, short] = this.#rest;
    if (flags === undefined || short === undefined) return undefined;
    const isLong = (flags & LONG) !== 0;
    if (isLong && this.#rest.length < 9) return undefined;
    const length = isLong ? Number(this.#rest.readBigUInt64BE(1)) : short;
    if (length > this.#limitBytes) throw new RangeError(`a frame of ${length} bytes`);
    return this.#begin(flags, isLong ? 9 : 2, length);
  }

  #begin(flags: number, from: number, length: number): Frame | undefined {
    const isKept = length <= this.#keptBytes;
    if (isKept && this.#rest.length >= from + length) return frameOf(flags, this.#body(from, length));
    const unfinished = { flags, length, body: NOTHING, filled: 0, isKept };
    const rest = this.#rest.subarray(from);
    this.#rest = rest.subarray(fill(unfinished, rest));
    this.#unfinished = unfinished;
    return this.#finished(unfinished);
  }

  #finished({ flags, length, body, filled, isKept }: Unfinished): Frame | undefined {
    if (filled < length) return undefined;
    this.#unfinished = undefined;
    return isKept ? frameOf(flags, body) : { ...frameOf(flags, NOTHING), droppedBytes: length };
  }

  #body(from: number, length: number): Buffer {
    const isSmall = length < this.#rest.length * COPIED_BELOW_SHARE;
    const body = this.#cut(from, length);
    return isSmall ? Buffer.from(body) : body;
  }

  #cut(from: number, length: number): Buffer {
    const bytes = this.#rest.subarray(from, from + length);
    this.#rest = this.#rest.length === from + length ? NOTHING : this.#rest.subarray(from + length);
    return bytes;
  }
}

/** How many bytes of the chunk belong to the frame. */
function fill(frame: Unfinished, chunk: Buffer): number {
  const taken = Math.min(chunk.length, frame.length - frame.filled);
  const filled = frame.filled + taken;
  if (frame.isKept) {
    if (filled > frame.body.length) frame.body = grown(frame, filled);
    chunk.copy(frame.body, frame.filled, 0, taken);
  }
  frame.filled = filled;
  return taken;
}

function grown({ body, filled, length }: Unfinished, needed: number): Buffer {
  const larger = Buffer.allocUnsafeSlow(Math.min(length, Math.max(FIRST_BYTES, 2 * needed)));
  body.copy(larger, 0, 0, filled);
  return larger;
}

function frameOf(flags: number, body: Buffer): Frame {
  return { body, hasMore: (flags & MORE) !== 0, isCommand: (flags & COMMAND) !== 0 };
}
