import { constants } from 'node:fs';
import { open, rename, rm, type FileHandle } from 'node:fs/promises';
import { dirname } from 'node:path';
import type { SpillRecord } from '../../engine/ports/spill-ports.ts';
import { decodeFrame, encodeFrame, type Frame } from './spill-frame.ts';
import { decodeHeader, encodeHeader, type SpillHeader } from './spill-header.ts';

const READ_BYTES = 256 * 1024;

/** A place between two records. */
export interface SpillPlace {
  /** Of the record before it. */
  readonly number: number;
  readonly offset: number;
}

/** What a look at the whole file has found. */
export interface SpillScan {
  readonly end: SpillPlace;
  readonly intents: number;
  readonly oldestAtMs: number | undefined;
  /** Bytes behind the last whole record. */
  readonly tornBytes: number;
}

/** The file of a spill: a header, then records, each with its checksum. Appended to by one process. */
export class SpillLog {
  readonly #handle: FileHandle;
  readonly header: SpillHeader;
  readonly start: SpillPlace;

  private constructor(handle: FileHandle, header: SpillHeader, headerBytes: number) {
    this.#handle = handle;
    this.header = header;
    this.start = { number: header.after, offset: headerBytes };
  }

  /** @throws Error where it is no spill of this version */
  static async open(path: string): Promise<SpillLog> {
    const handle = await open(path, constants.O_RDWR);
    try {
      const { buffer, bytesRead } = await handle.read(Buffer.alloc(512), 0, 512, 0);
      const { header, bytes } = decodeHeader(buffer.subarray(0, bytesRead), path);
      return new SpillLog(handle, header, bytes);
    } catch (error) {
      await handle.close();
      throw error;
    }
  }

  /** Makes an empty one, in the place of any that was there; that one is whole until this one is. */
  static async create(path: string, header: SpillHeader): Promise<SpillLog> {
    const fresh = `${path}.new`;
    await rm(fresh, { force: true });
    const handle = await open(fresh, constants.O_RDWR | constants.O_CREAT | constants.O_EXCL, 0o600);
    const bytes = encodeHeader(header);
    try {
      await handle.write(bytes, 0, bytes.length, 0);
      await handle.sync();
      await rename(fresh, path);
      await syncFolder(dirname(path));
    } catch (error) {
      await handle.close();
      await rm(fresh, { force: true });
      throw error;
    }
    return new SpillLog(handle, header, bytes.length);
  }

  /** Reads everything once, to the last whole record. */
  async scan(): Promise<SpillScan> {
    let end = this.start;
    let [intents, oldestAtMs] = [0, undefined as number | undefined];
    for await (const { record, after } of this.read(this.start)) {
      end = after;
      if (record.kind !== 'intent') continue;
      intents += 1;
      oldestAtMs ??= record.acceptedAtMs;
    }
    const { size } = await this.#handle.stat();
    return { end, intents, oldestAtMs, tornBytes: size - end.offset };
  }

  /** Records from a place on, to the first that is not whole. */
  async *read(
    from: SpillPlace,
  ): AsyncGenerator<{ readonly record: SpillRecord; readonly after: SpillPlace }> {
    let [place, wanted] = [from, READ_BYTES];
    for (;;) {
      const bytes = await this.#readAt(place.offset, wanted);
      let [at, frame] = [0, decodeFrame(bytes, place.number + 1)];
      while (isFrame(frame)) {
        at += frame.bytes;
        place = { number: place.number + 1, offset: place.offset + frame.bytes };
        yield { record: frame.record, after: place };
        frame = decodeFrame(bytes.subarray(at), place.number + 1);
      }
      // What was read ends within a record; if that is all there is, it is not whole.
      if (frame === undefined || bytes.length < wanted) return;
      wanted = Math.max(READ_BYTES, frame);
    }
  }

  async #readAt(offset: number, bytes: number): Promise<Buffer> {
    const buffer = Buffer.allocUnsafe(bytes);
    let length = 0;
    while (length < bytes) {
      const { bytesRead } = await this.#handle.read(buffer, length, bytes - length, offset + length);
      if (bytesRead === 0) break;
      length += bytesRead;
    }
    return buffer.subarray(0, length);
  }

  /** Durable when it resolves. What it rejects with may have left bytes behind: see {@link cut}. */
  async append(place: SpillPlace, records: readonly SpillRecord[]): Promise<SpillPlace> {
    const bytes = Buffer.concat(records.map(encodeFrame));
    let written = 0;
    while (written < bytes.length) {
      const left = bytes.length - written;
      const { bytesWritten } = await this.#handle.write(bytes, written, left, place.offset + written);
      written += bytesWritten;
    }
    await this.#handle.datasync();
    return { number: place.number + records.length, offset: place.offset + bytes.length };
  }

  /** Takes away what stands behind a place. */
  async cut(place: SpillPlace): Promise<void> {
    await this.#handle.truncate(place.offset);
    await this.#handle.datasync();
  }

  close(): Promise<void> {
    return this.#handle.close();
  }
}

function isFrame(frame: Frame | number | undefined): frame is Frame {
  return typeof frame === 'object';
}

/** A new name is durable when its folder is. */
export async function syncFolder(folder: string): Promise<void> {
  const handle = await open(folder, constants.O_RDONLY);
  try {
    await handle.sync();
  } finally {
    await handle.close();
  }
}
