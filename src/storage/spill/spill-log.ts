import { constants } from 'node:fs';
import { open, rename, rm, type FileHandle } from 'node:fs/promises';
import { dirname } from 'node:path';
import type { SpillRecord } from '../../engine/ports/spill-ports.ts';
import { decodeFrame, encodeFrame, type Frame } from './spill-frame.ts';
import { decodeHeader, encodeHeader, type SpillHeader } from './spill-header.ts';

const READ_BYTES = 256 * 1024;

/** A place between two records. */
export interface SpillPlace {
  /** Number of the record before it. */
  readonly number: number;
  readonly offset: number;
}

/** The result of a scan of the whole file. */
export interface SpillScan {
  readonly end: SpillPlace;
  readonly intents: number;
  readonly oldestAtMs: number | undefined;
  /** Bytes after the last complete record. */
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

  /** @throws Error if the file is not a spill of this version */
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

  /** Replaces the file by an empty one. The old file stays intact until the new one is complete. */
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

  /** Reads the whole file, up to the last complete record. */
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

  /** Records from a place on, up to the first incomplete one. */
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
      // The read bytes end within a record. If the file ends here too, the record is incomplete.
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

  /** Durable when it resolves. After a rejection the file may have extra bytes: see {@link cut}. */
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

  /** Removes the bytes after a place. */
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

/** Syncs a folder, which makes new names in it durable. */
export async function syncFolder(folder: string): Promise<void> {
  const handle = await open(folder, constants.O_RDONLY);
  try {
    await handle.sync();
  } finally {
    await handle.close();
  }
}
