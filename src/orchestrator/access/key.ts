import { hash, randomBytes, timingSafeEqual } from 'node:crypto';

const MARK = 'cfo';
const ID_BYTES = 6;
const SECRET_BYTES = 32;
const KEY = new RegExp(`^${MARK}_([0-9a-f]{${2 * ID_BYTES}})_[A-Za-z0-9_-]{43}$`);

/** A new key, shown once. Only its id and its digest are stored. */
export interface NewKey {
  /** The public id. It finds the row, and names the key in lists and logs. */
  readonly keyId: string;
  readonly text: string;
  readonly digest: Buffer;
}

/** `cfo_<12 hex digits>_<32 random bytes in base64url>`. */
export function createKey(): NewKey {
  const keyId = randomBytes(ID_BYTES).toString('hex');
  const text = `${MARK}_${keyId}_${randomBytes(SECRET_BYTES).toString('base64url')}`;
  return { keyId, text, digest: digestOf(text) };
}

/** The public id of a key, or undefined for a text that is not a key. */
export function keyIdOf(text: string): string | undefined {
  return KEY.exec(text)?.[1];
}

/** Compares in constant time. */
export function isKeyOf(text: string, digest: Buffer): boolean {
  return timingSafeEqual(digestOf(text), digest);
}

// One round of SHA-256 instead of a slow hash. Slow hashes protect passwords, but 256 random bits cannot be guessed at any speed, and
// a slow hash on every request (50 ms for scrypt) would make it easy to overload the orchestrator.
function digestOf(text: string): Buffer {
  return hash('sha256', text, 'buffer');
}
