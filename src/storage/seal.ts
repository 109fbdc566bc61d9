import { createCipheriv, createDecipheriv, randomBytes } from 'node:crypto';
import { StorageError } from '../domain/errors.ts';

/** Encrypts texts for the database, and decrypts them. */
export interface Seal {
  seal(text: string): string;
  /** @throws StorageError if the text was sealed with another key or altered */
  open(text: string): string;
}

const MARK = 'sealed:1:';
const IV_BYTES = 12;
const TAG_BYTES = 16;

/** Stores text unencrypted. Sealed text is an error, because the key is missing. */
export const PLAIN: Seal = {
  seal: (text) => text,
  open: (text) => {
    if (!text.startsWith(MARK)) return text;
    throw new StorageError(
      'The journal contains encrypted requests, but journal.encryptionKey is not set: set the key with which they were encrypted',
      {
        effect: 'not_applied',
      },
    );
  },
};

/** AES-256-GCM. Text that was stored without a key stays readable. @param key 32 bytes */
export function createSeal(key: Buffer): Seal {
  return {
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
        throw new StorageError(
          'A stored request cannot be decrypted with journal.encryptionKey: set the key with which it was encrypted',
          {
            effect: 'not_applied',
            cause,
          },
        );
      }
    },
  };
}
