import { Json } from '../domain/json.ts';
import type { Message } from '../domain/request.ts';

/** A value as the members `text` and, where it is no string, `value` of a memory's content. */
export function textContentOf(raw: string): { readonly text: string; readonly value?: Json } {
  if (raw.startsWith('"')) return { text: JSON.parse(raw) as string };
  return { text: raw, value: new Json(raw) };
}

/** The value that {@link textContentOf} took apart, as JSON text. */
export function rawValueOf(content: Message): string {
  return content.raw['value'] ?? content.raw['text'] ?? 'null';
}
