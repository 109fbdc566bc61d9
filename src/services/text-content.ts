import { Json } from '../domain/json.ts';
import type { Message } from '../domain/request.ts';

/** A value as the members of a memory's content: `text`, and `value` if it is not a string. */
export function textContentOf(raw: string): { readonly text: string; readonly value?: Json } {
  if (raw.startsWith('"')) return { text: JSON.parse(raw) as string };
  return { text: raw, value: new Json(raw) };
}

/** The value that {@link textContentOf} split, as JSON text. */
export function rawValueOf(content: Message): string {
  return content.raw['value'] ?? content.raw['text'] ?? 'null';
}
