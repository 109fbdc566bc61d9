// A string and the colon that makes it a key, a bracket, a number.
const TOKEN = /"[^"\\]*(?:\\.[^"\\]*)*"(\s*:)?|[[\]{}]|-?\d[\d.eE+-]*/g;
const RESPELLED_NUMBER = /[eE]|^-0(?:\.0*)?$/;
const ASCII = /^[ -~]*$/;

/**
 * The text of a content that jsonb would change. PostgreSQL's jsonb writes exponents out, has no negative zero, sorts keys and keeps
 * one of several equal keys. Undefined if jsonb returns the text unchanged. The order of the content's own members is ignored. Takes
 * about 2 µs for a short content.
 * @param text a JSON object that can be stored
 */
export function exactTextOf(text: string): string | undefined {
  const keys: (string | undefined)[] = [];
  for (const [token, colon] of text.matchAll(TOKEN)) {
    if (colon !== undefined) {
      const key = keyOf(token, colon);
      const before = keys.at(-1);
      if (keys.length > 1 && before !== undefined && !isBehind(key, before)) return text;
      keys[keys.length - 1] = key;
    } else if (isOpening(token)) keys.push(undefined);
    else if (isClosing(token)) keys.pop();
    else if (!token.startsWith('"') && RESPELLED_NUMBER.test(token)) return text;
  }
  return undefined;
}

function isOpening(token: string): boolean {
  return token === '{' || token === '[';
}

function isClosing(token: string): boolean {
  return token === '}' || token === ']';
}

function keyOf(token: string, colon: string): string {
  const key = token.slice(0, token.length - colon.length);
  return key.includes('\\') ? (JSON.parse(key) as string) : key.slice(1, -1);
}

/** jsonb's order of keys: by length in bytes, then by bytes. */
function isBehind(key: string, before: string): boolean {
  if (ASCII.test(key) && ASCII.test(before))
    return key.length === before.length ? key > before : key.length > before.length;
  const [bytes, bytesBefore] = [Buffer.from(key), Buffer.from(before)];
  return bytes.length === bytesBefore.length
    ? bytes.compare(bytesBefore) > 0
    : bytes.length > bytesBefore.length;
}
