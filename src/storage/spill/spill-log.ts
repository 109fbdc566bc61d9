import { constants } from 'node:fs';
import { type FileHandle, open, rename, rm } from 'node:fs/promises';
import { dirname } from 'node:path';
import { crc32 } from 'node:zlib';
import type { SpillRecord } from '../../engine/ports/spill-ports.ts';

const READ_BYTES = 256 * 1024;

/** A place between two records. */
export interface SpillPlace {
  /** Number of the record before it. */
  readonly number: number;
  readonly offset: number;
}

/** The result of a scan of the whole file. */
interface SpillScan {
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

/** Length and checksum, before each record. */
const HEAD_BYTES = 8;
/** No request is this long (limits.messageBytes, doubled by escapes), so a larger length means a damaged record. */
const LONGEST_BYTES = 1024 * 1024 * 1024;

/** A record in the file: 4 bytes length, 4 bytes CRC-32 over number and text, then its JSON. */
function encodeFrame(record: SpillRecord): Buffer {
  const body = Buffer.from(JSON.stringify(record), 'utf8');
  const frame = Buffer.allocUnsafe(HEAD_BYTES + body.length);
  frame.writeUInt32LE(body.length, 0);
  frame.writeUInt32LE(checksumOf(body, record.number), 4);
  body.copy(frame, HEAD_BYTES);
  return frame;
}

/** The checksum includes the number, which reveals a record that was copied to another place. */
function checksumOf(body: Buffer, number: number): number {
  return crc32(body, number % 2 ** 32);
}

interface Frame {
  readonly record: SpillRecord;
  /** Length of the whole frame, in bytes. */
  readonly bytes: number;
}

/**
 * The frame at the start of the bytes, if it has the number `number`.
 * @returns the required number of bytes if there are not enough, or undefined if it is not a valid frame
 */
function decodeFrame(bytes: Buffer, number: number): Frame | number | undefined {
  if (bytes.length < HEAD_BYTES) return HEAD_BYTES;
  const length = bytes.readUInt32LE(0);
  if (length > LONGEST_BYTES || length < 2) return undefined;
  const whole = HEAD_BYTES + length;
  if (bytes.length < whole) return whole;
  const body = bytes.subarray(HEAD_BYTES, whole);
  if (checksumOf(body, number) !== bytes.readUInt32LE(4)) return undefined;
  return { record: JSON.parse(body.toString('utf8')) as SpillRecord, bytes: whole };
}

/** First line of a spill file. */
interface SpillHeader {
  /** The id of the spill, kept when the file is replaced. */
  readonly id: string;
  /** The number of the last record before this file. */
  readonly after: number;
}

const FORMAT = 'crossfade-spill';
const VERSION = 1;
/** Limit of the first line. */
const LONGEST_HEADER_BYTES = 256;

function encodeHeader({ id, after }: SpillHeader): Buffer {
  return Buffer.from(`${JSON.stringify({ format: FORMAT, version: VERSION, id, after })}\n`);
}

interface ReadHeader {
  readonly header: SpillHeader;
  readonly bytes: number;
}

/** @throws Error if the file is not a spill of this version. It may contain acknowledged writes, so nothing is changed */
function decodeHeader(start: Buffer, file: string): ReadHeader {
  const end = start.subarray(0, LONGEST_HEADER_BYTES).indexOf('\n');
  const facts = end < 0 ? undefined : parsed(start.subarray(0, end).toString('utf8'));
  if (facts?.['format'] !== FORMAT)
    throw new Error(
      `${file} is not a spill of Crossfade, or its first line is damaged. It may contain acknowledged writes: keep a copy, ` +
        'then move it away and start again. Every lane is then copied again',
    );
  if (facts['version'] !== VERSION)
    throw new Error(
      `${file} is a spill of format version ${String(facts['version'])}, but this program uses version ${VERSION}. It may contain ` +
        'acknowledged writes: first run the program version that wrote it until its status shows no spilled writes',
    );
  const { id, after } = facts;
  if (typeof id !== 'string' || typeof after !== 'number')
    throw new Error(`${file} has an incomplete first line: keep a copy, then move it away`);
  return { header: { id, after }, bytes: end + 1 };
}

function parsed(line: string): Record<string, unknown> | undefined {
  try {
    const value: unknown = JSON.parse(line);
    return typeof value === 'object' && value !== null ? (value as Record<string, unknown>) : undefined;
  } catch {
    return undefined;
  }
}
