import { isJsonObject, parseTolerantly, rawElements, rawMembers, type JsonObject } from '../domain/json.ts';
import type { OrchestratorAnswer } from '../domain/orchestrator-call.ts';
import { Message } from '../domain/request.ts';
import type { StoredMemory } from '../domain/service-definition.ts';
import { legacyTimestampOf } from './legacy-metadata.ts';

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
