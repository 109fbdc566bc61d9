import { COMMAND, LONG, MORE, type Frame } from './zmtp.ts';

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
