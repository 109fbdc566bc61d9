import { createCipheriv, createDecipheriv, randomBytes } from 'node:crypto';
import { StorageError } from '../domain/errors.ts';

/** Text on its way into the database and back. */
export interface Seal {
  readonly isEncrypting: boolean;
  seal(text: string): string;
  /** @throws StorageError where the text was sealed with another key or altered */
  open(text: string): string;
}

const MARK = 'sealed:1:';
const IV_BYTES = 12;
const TAG_BYTES = 16;

/** Keeps text as it is, and says what a key is missing for. */
export const PLAIN: Seal = {
  isEncrypting: false,
  seal: (text) => text,
  open: (text) => {
    if (!text.startsWith(MARK)) return text;
    throw new StorageError('The journal holds encrypted requests, and no encryption key is configured', {
      effect: 'not_applied',
    });
  },
};

/** AES-256-GCM. What was written before there was a key stays readable. @param key 32 bytes */
export function createSeal(key: Buffer): Seal {
  return {
    isEncrypting: true,
    seal(text) {
      const iv = randomBytes(IV_BYTES);
      const cipher = createCipheriv('aes-256-gcm', key, iv);
      const sealed = Buffer.concat([cipher.update(text, 'utf8'), cipher.final()]);
      return MARK + Buffer.concat([iv, cipher.getAuthTag(), sealed]).toString('base64');
    },
    open(text) {
      if (!text.startsWith(MARK)) return text;
      const bytes = Buffer.from(text.slice(MARK.length), 'base64');
      const decipher = createDecipheriv('aes-256-gcm', key, bytes.subarray(0, IV_BYTES));
      decipher.setAuthTag(bytes.subarray(IV_BYTES, IV_BYTES + TAG_BYTES));
      try {
        return (
          decipher.update(bytes.subarray(IV_BYTES + TAG_BYTES), undefined, 'utf8') + decipher.final('utf8')
        );
      } catch (cause) {
        throw new StorageError('A stored request does not open with the configured encryption key', {
          effect: 'not_applied',
          cause,
        });
      }
    },
  };
}
