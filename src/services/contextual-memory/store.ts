import { type Owner, parseOwner } from '../../domain/ids.ts';
import { encodeJson, Json, rawElements, rawMembers } from '../../domain/json.ts';
import type { Message } from '../../domain/request.ts';
import type {
  LaneDefinition,
  LegacyAccess,
  LegacyItem,
  LegacyLane,
  StoredMemory,
} from '../../domain/service-definition.ts';
import { epochTimeOf } from '../local-time.ts';
import {
  contentOf,
  rawValueOf,
  retime,
  tagsOf,
  textContentOf,
  unwrapMetadata,
  wrapMetadata,
  writerIn,
} from '../stored-items.ts';
import { isFalsy, respell } from '../python-spelling.ts';

/** Entries that the service keeps per session. */
const KEPT_ENTRIES = 50;

const SOURCE = 'contextual_memory';
const KINDS = ['entry', 'decision', 'summary'] as const;
type Kind = (typeof KINDS)[number];

/** Members, as JSON text. */
type Fields = Readonly<Record<string, string>>;

/** The common part of all items of this service. The `type` of an entry becomes a tag too, unless it is a reserved tag. */
function payloadOf(kind: Kind, content: Readonly<Record<string, unknown>>, type?: unknown) {
  return {
    memory_type: 'context',
    content: { ...content, source_agent: SOURCE },
    tags: tagsOf([kind], [type], KINDS),
    create_session: true,
    suppress_events: true,
    escape_unstorable: true,
  };
}

/** The `create` payload of an entry, without id, position and time. Each field is JSON text. */
export function entryPayload(fields: Fields, timestamp?: string): Readonly<Record<string, unknown>> {
  const type = fields['type'] ?? 'null';
  const metadata = isFalsy(fields['metadata']) ? undefined : fields['metadata'];
  const content = {
    ...textContentOf(fields['content'] ?? 'null'),
    type: new Json(type),
    metadata: wrapMetadata(metadata, timestamp),
  };
  return payloadOf('entry', content, type.startsWith('"') ? (JSON.parse(type) as string) : undefined);
}

export function decisionPayload(decision: string, timestamp?: string): Readonly<Record<string, unknown>> {
  return payloadOf('decision', {
    ...textContentOf(decision),
    metadata: wrapMetadata(undefined, timestamp),
  });
}

function summaryPayload(summary: string): Readonly<Record<string, unknown>> {
  return payloadOf('summary', { text: '', summary: new Json(summary), metadata: {} });
}

/** The sections of the file. @throws Error for a file that is not such a store, because it must not be read as an empty one */
async function readStore(
  access: LegacyAccess,
): Promise<{ readonly sessions: Fields; readonly summaries: Fields }> {
  const text = await access.jsonFile?.();
  if (text === undefined) throw new Error('The store of contextual-memory (its JSON file) is not configured');
  if (!text.trimStart().startsWith('{'))
    throw new Error('The store of contextual-memory is not a JSON object');
  const { sessions = '{}', summaries = '{}' } = rawMembers(text);
  return { sessions: rawMembers(sessions), summaries: rawMembers(summaries) };
}

type Store = Awaited<ReturnType<typeof readStore>>;

async function readOwners(access: LegacyAccess): Promise<readonly Owner[]> {
  const { sessions, summaries } = await readStore(access);
  const keys = new Set([...Object.keys(sessions), ...Object.keys(summaries)]);
  return [...keys].map((key) => parseOwner(key)).filter((owner) => owner !== undefined);
}

async function readLane(owner: Owner, access: LegacyAccess): Promise<LegacyLane> {
  return laneOf(owner, await readStore(access));
}

async function readMany(
  owners: readonly Owner[],
  access: LegacyAccess,
): Promise<ReadonlyMap<Owner, LegacyLane>> {
  const store = await readStore(access);
  return new Map(owners.map((owner) => [owner, laneOf(owner, store)]));
}

function laneOf(owner: Owner, store: Store): LegacyLane {
  const session = store.sessions[owner];
  const summary = store.summaries[owner];
  const { key_decisions: decided = '[]', ...texts } = summary === undefined ? {} : rawMembers(summary);
  // The file has the newest entry first, and decisions in the order in which they were made.
  const entries = rawElements(session ?? '[]')
    .toReversed()
    .map(entryOf);
  const decisions = rawElements(decided).map(decisionOf);
  return {
    exists: session !== undefined || summary !== undefined,
    items: mergeByTime(entries, decisions),
    derived: Object.keys(texts).length === 0 ? [] : [summaryOf(texts)],
  };
}

function entryOf(raw: string): LegacyItem {
  const { timestamp, type = 'null', content = 'null', metadata } = rawMembers(raw);
  return {
    fields: {
      kind: '"entry"',
      type: respell(type),
      content: respell(content),
      ...(metadata === undefined ? {} : { metadata: respell(metadata) }),
    },
    ...epochTimeOf(timestamp),
  };
}

function decisionOf(raw: string): LegacyItem {
  const { timestamp, decision = 'null' } = rawMembers(raw);
  return {
    fields: { kind: '"decision"', decision: respell(decision) },
    ...epochTimeOf(timestamp),
  };
}

/** A summary without its decisions, which are separate items. */
function summaryOf(texts: Fields): LegacyItem {
  const { last_updated: timestamp } = texts;
  const members = Object.entries(texts).map(([key, raw]) => [key, new Json(raw)]);
  return {
    fields: { kind: '"summary"', summary: respell(encodeJson(Object.fromEntries(members))) },
    ...epochTimeOf(timestamp),
  };
}

/** Merges two ordered lists. Times decide only between the lists. */
function mergeByTime(
  entries: readonly LegacyItem[],
  decisions: readonly LegacyItem[],
): readonly LegacyItem[] {
  const merged: LegacyItem[] = [];
  let taken = 0;
  for (const entry of entries) {
    for (let next = decisions[taken]; next !== undefined && isBefore(next, entry); next = decisions[taken]) {
      merged.push(next);
      taken += 1;
    }
    merged.push(entry);
  }
  return [...merged, ...decisions.slice(taken)];
}

function isBefore(a: LegacyItem, b: LegacyItem): boolean {
  return Number(a.timestamp) < Number(b.timestamp);
}

function createPayload({ fields, timestamp }: LegacyItem): Readonly<Record<string, unknown>> {
  if (fields['kind'] === '"summary"') return summaryPayload(fields['summary'] ?? '{}');
  if (fields['kind'] === '"decision"') return decisionPayload(fields['decision'] ?? 'null', timestamp);
  return entryPayload(fields, timestamp);
}

function restoreRequest(fields: Fields, owner: Owner): string {
  const session = `"session_id": ${JSON.stringify(owner)}`;
  if (fields['kind'] === '"decision"')
    return `{"action": "record_decision", ${session}, "decision": ${fields['decision'] ?? 'null'}}`;
  const { type = 'null', content = 'null', metadata = 'null' } = fields;
  return `{"action": "add_interaction", ${session}, "type": ${type}, "content": ${content}, "metadata": ${metadata}}`;
}

/**
 * The kind and the content of this service's item. Recognised by our marker, or by its tag, whichever writer wrote it, because
 * agents see both.
 */
function kindOf(memory: StoredMemory): { readonly kind: Kind; readonly content: Message } | undefined {
  const content = contentOf(memory);
  const isListed =
    content.fields['source_agent'] === SOURCE || KINDS.some((kind) => memory.tags.includes(kind));
  if (memory.memory_type !== 'context' || !isListed) return undefined;
  return { kind: kindOfContent(content), content };
}

/**
 * Recognised by its members and not by its tag, which may be lost. An entry has a type, perhaps null. A summary has its own
 * member.
 */
function kindOfContent({ raw }: Message): Kind {
  if (raw['summary'] !== undefined) return 'summary';
  return raw['type'] === undefined ? 'decision' : 'entry';
}

function fieldsOf(memory: StoredMemory): Fields | undefined {
  const { kind, content } = kindOf(memory) ?? {};
  if (kind === undefined || content === undefined || kind === 'summary') return undefined;
  const value = respell(rawValueOf(content));
  if (kind === 'decision') return { kind: '"decision"', decision: value };
  const metadata = unwrapMetadata(content.raw['metadata']);
  return {
    kind: '"entry"',
    type: respell(content.raw['type'] ?? 'null'),
    content: value,
    ...(metadata === undefined ? {} : { metadata: respell(metadata) }),
  };
}

function derivedFieldsOf(memory: StoredMemory): Fields | undefined {
  const { kind, content } = kindOf(memory) ?? {};
  if (kind !== 'summary') return undefined;
  return { kind: '"summary"', summary: respell(content?.raw['summary'] ?? '{}') };
}

/** Sessions as the service's JSON file shows them. Its `get_context` shows no entries, and truncates texts. */
export const contextualLanes: LaneDefinition = {
  sessionPrefix: 'contextual',
  retention: { entries: KEPT_ENTRIES, counts: (fields) => fields['kind'] === '"entry"' },
  owners: readOwners,
  readLegacy: readLane,
  isReadable: (access) => access.jsonFile !== undefined,
  readMany,
  strays: async (access) => {
    const { sessions, summaries } = await readStore(access);
    const keys = [...new Set([...Object.keys(sessions), ...Object.keys(summaries)])];
    return { 'sessions whose id no lane can carry': keys.filter((key) => !parseOwner(key)).length };
  },
  digest: {
    fields: ['text', 'value', 'type', 'metadata'],
    without: ['metadata.legacy_timestamp'],
    excludeTags: ['summary'],
  },
  restoreRequest,
  writerOf: ({ fields: { metadata = 'null' } }) => writerIn(metadata),
  mapping: [
    { from: 'content', to: 'content.text; a value other than text in content.value' },
    { from: 'type', to: 'content.type, and a tag' },
    { from: 'metadata', to: 'content.metadata' },
    { from: 'decision', to: 'content.text of an item with the tag decision' },
    { from: 'summary', to: 'content.summary of an item with the tag summary, after all others' },
    { from: 'timestamp', to: 'created_at; the original text in content.metadata.legacy_timestamp' },
  ],
  kindTags: KINDS,
  createPayload,
  retime,
  fieldsOf,
  derivedFieldsOf,
};
