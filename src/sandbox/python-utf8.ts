import { isUtf8 } from 'node:buffer';
import { PythonError } from './python-values.ts';

/** `bytes.decode('utf-8')`. @throws PythonError with the message of a UnicodeDecodeError */
export function decodeUtf8(bytes: Buffer): string {
  if (!isUtf8(bytes)) throw decodeError(bytes);
  return bytes.toString('utf8');
}

/** Does nothing for text that UTF-8 can represent. @throws PythonError with the message of a UnicodeEncodeError */
export function assertEncodable(text: string): void {
  if (text.isWellFormed()) return;
  const points = Array.from(text);
  const start = points.findIndex(isSurrogate);
  let end = start + 1;
  while (end < points.length && isSurrogate(points[end] ?? '')) end += 1;
  const what =
    end - start === 1
      ? `character '\\u${(points[start] ?? '').charCodeAt(0).toString(16)}' in position ${start}`
      : `characters in position ${start}-${end - 1}`;
  throw new PythonError(`'utf-8' codec can't encode ${what}: surrogates not allowed`);
}

function isSurrogate(point: string): boolean {
  return !point.isWellFormed();
}

function decodeError(bytes: Buffer): PythonError {
  const { start, end, reason } = firstFault(bytes);
  const what =
    end - start === 1
      ? `byte 0x${(bytes[start] ?? 0).toString(16).padStart(2, '0')} in position ${start}`
      : `bytes in position ${start}-${end - 1}`;
  return new PythonError(`'utf-8' codec can't decode ${what}: ${reason}`);
}

interface Fault {
  readonly start: number;
  readonly end: number;
  readonly reason: 'invalid start byte' | 'invalid continuation byte' | 'unexpected end of data';
}

function firstFault(bytes: Buffer): Fault {
  let start = 0;
  while (start < bytes.length) {
    const lead = bytes[start] ?? 0;
    const length = sequenceLength(lead);
    if (length === 0) return { start, end: start + 1, reason: 'invalid start byte' };
    for (let at = start + 1; at < start + length; at += 1) {
      if (at >= bytes.length) return { start, end: bytes.length, reason: 'unexpected end of data' };
      const isSecond = at === start + 1;
      if (!continues(bytes[at] ?? 0, isSecond ? lead : 0))
        return { start, end: at, reason: 'invalid continuation byte' };
    }
    start += length;
  }
  throw new Error('The bytes are valid UTF-8');
}

function sequenceLength(lead: number): number {
  if (lead < 0x80) return 1;
  if (lead < 0xc2) return 0;
  if (lead < 0xe0) return 2;
  if (lead < 0xf0) return 3;
  return lead < 0xf5 ? 4 : 0;
}

// The lead byte limits the second one: no overlong forms, no surrogates, nothing above U+10FFFF.
const SECOND_BYTE_FROM = new Map([
  [0xe0, 0xa0],
  [0xf0, 0x90],
]);
const SECOND_BYTE_TO = new Map([
  [0xed, 0x9f],
  [0xf4, 0x8f],
]);

function continues(byte: number, lead: number): boolean {
  return byte >= (SECOND_BYTE_FROM.get(lead) ?? 0x80) && byte <= (SECOND_BYTE_TO.get(lead) ?? 0xbf);
}
