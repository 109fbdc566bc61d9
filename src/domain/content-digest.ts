import { createHash } from 'node:crypto';
import { canonicalJson } from './canonical-json.ts';
import { encodeJson, isJsonObject, Json, rawMembers, type JsonObject } from './json.ts';

/** Which members of an item's content make it what it is. */
export interface DigestedMembers {
  readonly fields: readonly string[];
  /** Members of members that are left out, such as `metadata.legacy_timestamp`. @defaultValue none */
  readonly without?: readonly string[];
}

/** The canonical text of the named members of an item's content (JSON text); those that it lacks are left out. */
export function digestedText(content: string, members: DigestedMembers): string {
  return textOfValues(content, members) ?? textOfTokens(content, members);
}

/** Nearly all contents: a tenth of the cost. Undefined where a number's digits, or what only Python reads, are in them. */
function textOfValues(content: string, { fields, without = [] }: DigestedMembers): string | undefined {
  const value = parsed(content);
  if (!isJsonObject(value)) return undefined;
  const chosen = [...new Set(fields)].flatMap((field) => {
    if (!Object.hasOwn(value, field)) return [];
    const gone = goneOf(field, without);
    const member = value[field];
    return [
      [field, gone.length > 0 && isJsonObject(member) ? withoutMembers(member, gone) : member] as const,
    ];
  });
  // Not by assignment: a member may be called __proto__.
  return canonicalValue(Object.fromEntries(chosen));
}

function parsed(text: string): unknown {
  try {
    return JSON.parse(text);
  } catch {
    return undefined;
  }
}

function withoutMembers(value: JsonObject, gone: readonly string[]): JsonObject {
  return Object.fromEntries(Object.entries(value).filter(([name]) => !gone.includes(name)));
}

/** What {@link canonicalJson} says of a value's text. Undefined where it holds a number: of some only the text says them whole. */
function canonicalValue(value: unknown): string | undefined {
  if (typeof value === 'number') return undefined;
  if (Array.isArray(value)) return enclosed('[', value.map(canonicalValue), ']');
  if (!isJsonObject(value)) return JSON.stringify(value);
  const members = Object.keys(value)
    .sort()
    .map((key) => {
      const text = canonicalValue(value[key]);
      return text === undefined ? undefined : `${JSON.stringify(key)}:${text}`;
    });
  return enclosed('{', members, '}');
}

function enclosed(open: string, texts: readonly (string | undefined)[], close: string): string | undefined {
  return texts.includes(undefined) ? undefined : `${open}${texts.join(',')}${close}`;
}

function textOfTokens(content: string, { fields, without = [] }: DigestedMembers): string {
  const members = rawMembers(content);
  const chosen = [...new Set(fields)].flatMap((field) => {
    const text = members[field];
    return text === undefined ? [] : [[field, new Json(pruned(field, text, without))] as const];
  });
  return canonicalJson(encodeJson(Object.fromEntries(chosen)));
}

/** The text of an item whose tags belong to it too, in whatever order they stand. */
export function taggedText(text: string, tags: readonly string[]): string {
  return `${text} ${tagsText(tags)}`;
}

/** Tags as {@link taggedText} puts them behind a text. */
export function tagsText(tags: readonly string[]): string {
  return JSON.stringify([...new Set(tags)].sort());
}

function pruned(field: string, text: string, without: readonly string[]): string {
  const gone = goneOf(field, without);
  if (gone.length === 0 || !text.startsWith('{')) return text;
  const kept = Object.entries(rawMembers(text)).filter(([name]) => !gone.includes(name));
  return encodeJson(Object.fromEntries(kept.map(([name, raw]) => [name, new Json(raw)])));
}

function goneOf(field: string, without: readonly string[]): string[] {
  return without.filter((path) => path.startsWith(`${field}.`)).map((path) => path.slice(field.length + 1));
}

/** The first half of the SHA-256 over texts, each on a line: 32 hexadecimal digits. */
export function orderedDigest(): { add(text: string): void; digest(): string } {
  const hash = createHash('sha256');
  return {
    add: (text) => void hash.update(text).update('\n'),
    digest: () => hash.digest().toString('hex', 0, 16),
  };
}
