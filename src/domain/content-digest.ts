import { createHash } from 'node:crypto';
import { canonicalJson } from './canonical-json.ts';
import { encodeJson, Json, rawMembers } from './json.ts';

/** Which members of an item's content make it what it is. */
export interface DigestedMembers {
  readonly fields: readonly string[];
  /** Members of members that are left out, such as `metadata.legacy_timestamp`. @defaultValue none */
  readonly without?: readonly string[];
}

/** The canonical text of the named members of an item's content (JSON text); those that it lacks are left out. */
export function digestedText(content: string, { fields, without = [] }: DigestedMembers): string {
  const members = rawMembers(content);
  const chosen = [...new Set(fields)].flatMap((field) => {
    const text = members[field];
    return text === undefined ? [] : [[field, new Json(pruned(field, text, without))] as const];
  });
  return canonicalJson(encodeJson(Object.fromEntries(chosen)));
}

/** The text of an item whose tags belong to it too, in whatever order they stand. */
export function taggedText(text: string, tags: readonly string[]): string {
  return `${text} ${JSON.stringify([...new Set(tags)].sort())}`;
}

function pruned(field: string, text: string, without: readonly string[]): string {
  const gone = without
    .filter((path) => path.startsWith(`${field}.`))
    .map((path) => path.slice(field.length + 1));
  if (gone.length === 0 || !text.startsWith('{')) return text;
  const kept = Object.entries(rawMembers(text)).filter(([name]) => !gone.includes(name));
  return encodeJson(Object.fromEntries(kept.map(([name, raw]) => [name, new Json(raw)])));
}

/** The first half of the SHA-256 over texts, each on a line: 32 hexadecimal digits. */
export function orderedDigest(): { add(text: string): void; digest(): string } {
  const hash = createHash('sha256');
  return {
    add: (text) => void hash.update(text).update('\n'),
    digest: () => hash.digest().toString('hex', 0, 16),
  };
}
