import { COMMAND, LONG, MORE, type Frame } from './zmtp.ts';

/** A frame whose bytes have not all come. */
interface Unfinished {
  readonly flags: number;
  readonly body: Buffer;
  filled: number;
}

const NOTHING = Buffer.alloc(0);
/** A small frame is copied out of a large chunk, which it would keep in memory as long as itself. */
const COPIED_BELOW_SHARE = 0.25;

/** Finds frames in bytes that come in pieces. */
export class FrameReader {
  readonly #limitBytes: number;
  #rest: Buffer = NOTHING;
  #unfinished: Unfinished | undefined;

  /** @param limitBytes longest frame that is read */
  constructor(limitBytes: number) {
    this.#limitBytes = limitBytes;
  }

  push(chunk: Buffer): void {
    let from = 0;
    if (this.#unfinished !== undefined) {
      from = chunk.copy(this.#unfinished.body, this.#unfinished.filled);
      this.#unfinished.filled += from;
    }
    if (from === chunk.length) return;
    const rest = from === 0 ? chunk : chunk.subarray(from);
    this.#rest = this.#rest.length === 0 ? rest : Buffer.concat([this.#rest, rest]);
  }

  /** So many bytes as they are; undefined until they have come. */
  take(length: number): Buffer | undefined {
    if (this.#rest.length < length) return undefined;
    return this.#cut(0, length);
  }

  /** Undefined until the next frame has come whole. @throws RangeError where it is longer than the limit */
  next(): Frame | undefined {
    if (this.#unfinished !== undefined) return this.#finished(this.#unfinished);
    const [flags, short] = this.#rest;
    if (flags === undefined || short === undefined) return undefined;
    const isLong = (flags & LONG) !== 0;
    if (isLong && this.#rest.length < 9) return undefined;
    const length = isLong ? Number(this.#rest.readBigUInt64BE(1)) : short;
    if (length > this.#limitBytes) throw new RangeError(`a frame of ${length} bytes`);
    const from = isLong ? 9 : 2;
    if (this.#rest.length >= from + length) return frameOf(flags, this.#body(from, length));
    const body = Buffer.allocUnsafe(length);
    this.#unfinished = { flags, body, filled: this.#rest.copy(body, 0, from) };
    this.#rest = NOTHING;
    return undefined;
  }

  #finished({ flags, body, filled }: Unfinished): Frame | undefined {
    if (filled < body.length) return undefined;
    this.#unfinished = undefined;
    return frameOf(flags, body);
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

function frameOf(flags: number, body: Buffer): Frame {
  return { body, hasMore: (flags & MORE) !== 0, isCommand: (flags & COMMAND) !== 0 };
}
