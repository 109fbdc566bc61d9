/** Python counts and cuts strings by code point, JavaScript by UTF-16 unit. They differ only where there are surrogates. */
const SURROGATE = /[\ud800-\udfff]/;
const PAIRS = /[\ud800-\udbff][\udc00-\udfff]/g;

/** `len(text)` in Python. */
export function countCodePoints(text: string): number {
  return SURROGATE.test(text) ? text.length - (text.match(PAIRS)?.length ?? 0) : text.length;
}

/** `text[:end]` in Python; a negative end counts from the back. */
export function sliceCodePoints(text: string, end: number): string {
  if (!SURROGATE.test(text)) return text.slice(0, end);
  // Each code point has at most two units, so a long text is split no further than needed.
  const head = end >= 0 ? text.slice(0, 2 * end) : text;
  return Array.from(head).slice(0, end).join('');
}
