import { isJsonObject, parseTolerantly } from '../../domain/json.ts';
import { SEALED_CONTENT } from './sealed-content.ts';

/** A row of {@link textColumns}, decrypted by the vault. */
export interface TextRow {
  /** Null if the content has no text, or is sealed. */
  readonly text: string | null;
  /** Null if the content is in clear, because then only the text is read. */
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
