import { hkdfSync } from 'node:crypto';

/** One key of the installation, with independent derived keys. */
export interface EncryptionKey {
  readonly id: string;
  readonly content: Buffer;
  readonly words: Buffer;
  readonly equality: Buffer;
}

const KEY_BYTES = 32;
const LINE = /^([A-Za-z0-9._-]{1,32}):([A-Za-z0-9+/]{43}=)$/;

/**
 * Reads `id:base64` of 32 bytes, one key a line or separated by commas; what follows `#` is a comment. The first seals, the others
 * only open.
 * @throws Error with the number of the line, without its text
 */
export function parseEncryptionKeys(text: string): EncryptionKey[] {
  const lines = text.split(/[\n,]/).map((line) => line.replace(/#.*$/, '').trim());
  const keys = lines.flatMap((line, index) => (line === '' ? [] : [keyOf(line, index + 1)]));
  const ids = new Set(keys.map(({ id }) => id));
  if (ids.size < keys.length) throw new Error('Two encryption keys have the same id');
  return keys;
}

function keyOf(line: string, number: number): EncryptionKey {
  const [, id, base64] = LINE.exec(line) ?? [];
  if (id === undefined || base64 === undefined)
    throw new Error(
      `Line ${number} of the encryption keys is invalid: use "id:key" with 32 bytes in base64 (openssl rand -base64 32)`,
    );
  const master = Buffer.from(base64, 'base64');
  const derived = (use: string): Buffer =>
    Buffer.from(hkdfSync('sha256', master, '', `crossfade orchestrator ${use}`, KEY_BYTES));
  return { id, content: derived('content'), words: derived('words'), equality: derived('equality') };
}
