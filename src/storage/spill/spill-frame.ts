import { crc32 } from 'node:zlib';
import type { SpillRecord } from '../../engine/ports/spill-ports.ts';

/** Length and checksum, before each record. */
const HEAD_BYTES = 8;
/** No request is this long (limits.messageBytes, doubled by escapes), so a larger length means a damaged record. */
const LONGEST_BYTES = 1024 * 1024 * 1024;

/** A record in the file: 4 bytes length, 4 bytes CRC-32 over number and text, then its JSON. */
export function encodeFrame(record: SpillRecord): Buffer {
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

export interface Frame {
  readonly record: SpillRecord;
  /** Length of the whole frame, in bytes. */
  readonly bytes: number;
}

/**
 * The frame at the start of the bytes, if it has the number `number`.
 * @returns the required number of bytes if there are not enough, or undefined if it is not a valid frame
 */
export function decodeFrame(bytes: Buffer, number: number): Frame | number | undefined {
  if (bytes.length < HEAD_BYTES) return HEAD_BYTES;
  const length = bytes.readUInt32LE(0);
  if (length > LONGEST_BYTES || length < 2) return undefined;
  const whole = HEAD_BYTES + length;
  if (bytes.length < whole) return whole;
  const body = bytes.subarray(HEAD_BYTES, whole);
  if (checksumOf(body, number) !== bytes.readUInt32LE(4)) return undefined;
  return { record: JSON.parse(body.toString('utf8')) as SpillRecord, bytes: whole };
}
