import { createCipheriv, createDecipheriv, randomBytes } from 'node:crypto';
import { StorageError } from '../../domain/errors.ts';
import { isJsonObject, parseTolerantly } from '../../domain/json.ts';
import type { EncryptionKey } from './keys.ts';

/** The row of a content. The content is bound to it, and cannot be decrypted in another row. */
export interface Place {
  readonly memory_id: string;
  readonly session_id: string;
}

/** The ciphertext of a row `m`; null if its content is unencrypted. */
const SEALED_CONTENT = `case when m.content_key is not null then m.content ->> '$sealed' end`;

/**
 * The content of a row `m` as text: the JSON as sent if it is unencrypted, otherwise the ciphertext, which starts with {@link SEALED}. If the
 * text differs from the column content, another program has changed that column.
 */
export const CONTENT = `case when m.content_key is not null then m.content ->> '$sealed'
    when m.content_text::jsonb = m.content then m.content_text else m.content::text end`;

/** The summary of a session `s`, and the ciphertext of a sealed one, which the vault decrypts. */
export const SUMMARY = `case when s.summary_key is null then s.summary end as summary,
  case when s.summary_key is not null then s.summary end as sealed_summary`;

/** The place of a session's summary. */
export function summaryPlace(sessionId: string): Place {
  return { memory_id: 'summary', session_id: sessionId };
}

/** The place of a kept answer, by the key of its row. */
export function answerPlace(key: string): Place {
  return { memory_id: 'answer', session_id: key };
}

/** Prefix of a ciphertext; no JSON object starts like this. */
export const SEALED = 'sealed:';

const IV_BYTES = 12;
const TAG_BYTES = 16;

/** AES-256-GCM with a random IV: `sealed:<key id>:<base64 of IV, tag and ciphertext>`. */
export function sealText({ id, content: key }: EncryptionKey, place: Place, text: string): string {
  const iv = randomBytes(IV_BYTES);
  const cipher = createCipheriv('aes-256-gcm', key, iv).setAAD(bindingOf(place));
  const sealed = Buffer.concat([cipher.update(text, 'utf8'), cipher.final()]);
  return `${SEALED}${id}:${Buffer.concat([iv, cipher.getAuthTag(), sealed]).toString('base64')}`;
}

/** @throws StorageError if the key is missing, or the text was altered or belongs to another row */
export function openText(keys: ReadonlyMap<string, EncryptionKey>, place: Place, sealed: string): string {
  const end = sealed.indexOf(':', SEALED.length);
  const id = sealed.slice(SEALED.length, end);
  const key = keys.get(id);
  if (key === undefined) throw unreadable(`is sealed with the key "${id}", which is not configured`, place);
  const bytes = Buffer.from(sealed.slice(end + 1), 'base64');
  const decipher = createDecipheriv('aes-256-gcm', key.content, bytes.subarray(0, IV_BYTES), {
    authTagLength: TAG_BYTES,
  }).setAAD(bindingOf(place));
  decipher.setAuthTag(bytes.subarray(IV_BYTES, IV_BYTES + TAG_BYTES));
  try {
    return decipher.update(bytes.subarray(IV_BYTES + TAG_BYTES), undefined, 'utf8') + decipher.final('utf8');
  } catch {
    throw unreadable(
      `cannot be decrypted with the key "${id}", because it was altered or belongs to another row`,
      place,
    );
  }
}

function bindingOf({ memory_id: memory, session_id: session }: Place): Buffer {
  return Buffer.from(JSON.stringify([memory, session]));
}

function unreadable(what: string, { memory_id: memory }: Place): StorageError {
  return new StorageError(`The content of a memory ${what}`, {
    effect: 'not_applied',
    reason: 'sealed',
    details: { memory_id: memory },
  });
}

/** A row of {@link textColumns}, decrypted by the vault. */
export interface TextRow {
  /** Null if the content has no text, or is sealed. */
  readonly text: string | null;
  /** Null if the content is unencrypted, because then only the text is read. */
  readonly content: string | null;
}

/** The text of a row `m`, for readers that need no other part of a content. @param maxCharacters limit of a text */
export function textColumns(maxCharacters: number): string {
  return `case when m.content_key is null then left(m.text_content, ${maxCharacters}) end as text,
    ${SEALED_CONTENT} as content, m.memory_id, m.session_id`;
}

export function textIn({ text, content }: TextRow, maxCharacters: number): string {
  if (content === null) return text ?? '';
  const parsed = parseTolerantly(content);
  const sealedText = isJsonObject(parsed) ? parsed['text'] : undefined;
  return typeof sealedText === 'string' ? sealedText.slice(0, maxCharacters) : '';
}
