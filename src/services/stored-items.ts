import {
  encodeJson,
  isJsonObject,
  Json,
  type JsonObject,
  parseTolerantly,
  rawElements,
  rawMembers,
} from '../domain/json.ts';
import type { OrchestratorAnswer } from '../domain/orchestrator-call.ts';
import { Message } from '../domain/request.ts';
import type { LegacyItem, StoredMemory } from '../domain/service-definition.ts';

/** The mark of an item that its service has forgotten by itself. It is kept, and hidden from answers. */
const FORGOTTEN = 'forgotten';

/** An item of the orchestrator, as an answer returns it. */
export interface StoredItem {
  readonly content: Message;
  readonly tags: readonly string[];
  readonly position: number;
  readonly createdAt: string;
  /** The service's own spelling of its time, if a copy kept it. */
  readonly legacyTimestamp: string | undefined;
}

const NO_CONTENT: JsonObject = {};

// A read of many pages is evaluated again after every page.
const cut = new WeakMap<OrchestratorAnswer, readonly StoredItem[]>();

/** The items of a `batch_read` that the service has not forgotten, in the answer's order. */
export function itemsOf(answer: OrchestratorAnswer): readonly StoredItem[] {
  const known = cut.get(answer);
  if (known !== undefined) return known;
  const texts = rawElements(rawMembers(answer.text)['memories'] ?? '[]');
  const items = memoriesOf(answer)
    .map((memory, index) => itemOf(memory, texts[index] ?? '{}'))
    .filter(({ tags }) => !tags.includes(FORGOTTEN));
  cut.set(answer, items);
  return items;
}

/** How many items the answer holds, including forgotten ones. The next page begins there. */
export function countItems(answer: OrchestratorAnswer): number {
  return memoriesOf(answer).length;
}

export function hasMore(answer: OrchestratorAnswer): boolean {
  const page = answer.data['page_info'];
  return isJsonObject(page) && page['has_more'] === true && countItems(answer) > 0;
}

/** The content of a stored memory, parsed and as text. */
export function contentOf(memory: StoredMemory): Message {
  const value = parseTolerantly(memory.content);
  return new Message(memory.content, isJsonObject(value) ? value : NO_CONTENT);
}

function memoriesOf({ data }: OrchestratorAnswer): readonly unknown[] {
  const memories = data['memories'];
  return Array.isArray(memories) ? memories : [];
}

function itemOf(memory: unknown, text: string): StoredItem {
  const fields = isJsonObject(memory) ? memory : NO_CONTENT;
  const content = fields['content'];
  const { tags, position, created_at: createdAt } = fields;
  const contentFields = isJsonObject(content) ? content : NO_CONTENT;
  return {
    content: new Message(rawMembers(text)['content'] ?? '{}', contentFields),
    tags: Array.isArray(tags) ? tags.filter((tag) => typeof tag === 'string') : [],
    // Null means without an order: after everything else.
    position: typeof position === 'number' ? position : Number.MAX_SAFE_INTEGER,
    createdAt: typeof createdAt === 'string' ? createdAt : new Date(0).toISOString(),
    legacyTimestamp: legacyTimestampOf(contentFields['metadata']),
  };
}

/** A value as the members of a memory's content: `text`, and `value` if it is not a string. */
export function textContentOf(raw: string): { readonly text: string; readonly value?: Json } {
  if (raw.startsWith('"')) return { text: JSON.parse(raw) as string };
  return { text: raw, value: new Json(raw) };
}

/** The value that {@link textContentOf} split, as JSON text. */
export function rawValueOf(content: Message): string {
  return content.raw['value'] ?? content.raw['text'] ?? 'null';
}

/** Members of an item by which agents give their name. */
const NAMES = ['source_agent', 'agent', 'agent_id', 'source'] as const;
const LONGEST = 64;

/** The writer of an item, if its JSON text names one. */
export function writerIn(raw: string): string | undefined {
  const members = parseTolerantly(raw);
  if (!isJsonObject(members)) return undefined;
  const names = NAMES.map((name) => members[name]);
  const name = names.find((value): value is string => typeof value === 'string' && value !== '');
  return name?.slice(0, LONGEST);
}

/** The orchestrator's limits: characters per tag, tags per item. */
const TAG_LENGTH = 64;
const TAG_COUNT = 256;

const NUL = '\u0000';
const HALF_AT_END = /[\ud800-\udbff]$/;

/**
 * Tags that the orchestrator accepts: each once, cut to 64 characters, without those that it cannot store. `own` tags come from
 * the definition. `given` tags come from agents, and must not equal Crossfade's own marks, which are in `reserved`.
 */
export function tagsOf(
  own: readonly string[],
  given: readonly unknown[],
  reserved: readonly string[] = [],
): string[] {
  const marks = new Set(['forgotten', ...reserved]);
  const taken = given
    .filter((tag): tag is string => typeof tag === 'string' && !tag.includes(NUL))
    .map((tag) => trimTag(tag))
    .filter((tag) => tag !== '' && !marks.has(tag));
  return [...new Set([...own.map((tag) => trimTag(tag)), ...taken])].slice(0, TAG_COUNT);
}

function trimTag(tag: string): string {
  return tag.slice(0, TAG_LENGTH).replace(HALF_AT_END, '');
}

/*
 * The agents' own metadata lives in `content.metadata`. Keys that begin with `legacy_` belong to the migration. So metadata
 * that is not an object, or has such a key itself, is stored as a whole under `legacy_value`.
 */
const VALUE = 'legacy_value';
const TIMESTAMP = 'legacy_timestamp';
const OURS = 'legacy_';

/** The value of `content.metadata` for an agent's metadata (JSON text), with the time that a copy found. */
export function wrapMetadata(raw: string | undefined, timestamp?: string): Readonly<Record<string, unknown>> {
  const own = raw === undefined ? {} : membersOf(raw);
  return timestamp === undefined ? own : { ...own, [TIMESTAMP]: timestamp };
}

function membersOf(raw: string): Readonly<Record<string, unknown>> {
  if (!isJsonObject(parseTolerantly(raw))) return { [VALUE]: new Json(raw) };
  const members = Object.entries(rawMembers(raw));
  if (members.some(([key]) => key.startsWith(OURS))) return { [VALUE]: new Json(raw) };
  return Object.fromEntries(members.map(([key, text]) => [key, new Json(text)]));
}

/** The agent's metadata as JSON text. Undefined if there was none (or an empty object). */
export function unwrapMetadata(raw: string | undefined): string | undefined {
  if (raw === undefined || !raw.startsWith('{')) return undefined;
  const { [VALUE]: value, [TIMESTAMP]: timestamp, ...own } = rawMembers(raw);
  if (value !== undefined) return value;
  if (Object.keys(own).length === 0) return undefined;
  if (timestamp === undefined) return raw;
  return textOfMembers(own);
}

/** The time of an item in its service's own spelling, if a copy kept it. */
function legacyTimestampOf(metadata: unknown): string | undefined {
  const timestamp = isJsonObject(metadata) ? metadata[TIMESTAMP] : undefined;
  return typeof timestamp === 'string' ? timestamp : undefined;
}

/** The orchestrator refuses longer contents. */
const CONTENT_BYTES = 1024 * 1024;

/** The `update` payload that gives an item legacy's time. Undefined if it has that time, or has no room for it. */
export function retime(
  { content }: StoredMemory,
  { timestamp, at, isTimeUnknown }: LegacyItem,
): Readonly<Record<string, unknown>> | undefined {
  const members = rawMembers(content);
  const { metadata = '{}' } = members;
  if (isTimeUnknown === true || !metadata.startsWith('{')) return undefined;
  const own = rawMembers(metadata);
  const spelled = JSON.stringify(timestamp);
  if (own[TIMESTAMP] === spelled) return undefined;
  const timed = textOfMembers({ ...members, metadata: textOfMembers({ ...own, [TIMESTAMP]: spelled }) });
  if (Buffer.byteLength(timed) > CONTENT_BYTES) return undefined;
  return { content: new Json(timed), created_at: at, escape_unstorable: true };
}

/** The text of an object, from its members' texts. */
export function textOfMembers(members: Readonly<Record<string, string>>): string {
  return encodeJson(Object.fromEntries(Object.entries(members).map(([key, raw]) => [key, new Json(raw)])));
}
