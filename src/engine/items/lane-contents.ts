import { isJsonObject, parseTolerantly, rawElements, rawMembers } from '../../domain/json.ts';
import type { Owner, SessionId } from '../../domain/ids.ts';
import type { LaneDefinition, StoredMemory, StoredSession } from '../../domain/service-definition.ts';
import type { Orchestrator, OrchestratorOptions } from '../ports/ports.ts';
import { nameOf, shapeOf } from '../compare/reply-values.ts';
import type { FoundLost, LostAs } from '../ports/lost-items.ts';
import { digestOfFields, FORGOTTEN_TAG, type ListedMemory } from './copy-plan.ts';

const SCAN_PAGE = 1_000;

/** What the orchestrator holds of a lane. */
export interface LaneContents {
  /** The lane's list, ordered by position, without items marked forgotten. */
  readonly listed: readonly ListedMemory[];
  /** Derived items that earlier copies wrote. */
  readonly derived: readonly ListedMemory[];
}

export interface ContentsQuery {
  readonly orchestrator: Pick<Orchestrator, 'read'>;
  readonly sessionId: SessionId;
  readonly lanes: LaneDefinition;
  /** The owner of the session, needed to know which tags its items must carry. Absent: tags are not checked. */
  readonly owner?: Owner;
  /** Options for one page. */
  readonly options: () => OrchestratorOptions;
}

/**
 * Reads a session completely. A page of `scan` ends early if its contents are long. Its cursor shows that, so it is never
 * `page_too_large`. @throws CrossfadeError
 */
export async function readContents({ lanes, owner, ...session }: ContentsQuery): Promise<LaneContents> {
  const memories = await readMemories(session);
  const shown = memories.filter(({ tags }) => !tags.includes(FORGOTTEN_TAG));
  const checked = (listed: ListedMemory): ListedMemory =>
    owner === undefined ? listed : withDueTags(listed, lanes, owner);
  return {
    listed: shown.flatMap((memory) => listedAs(memory, lanes.fieldsOf(memory))).map(checked),
    derived: shown.flatMap((memory) => listedAs(memory, lanes.derivedFieldsOf?.(memory))).map(checked),
  };
}

/** The session's own row; undefined if the orchestrator has none. @throws CrossfadeError */
export async function readSession({
  orchestrator,
  sessionId,
  options,
}: Pick<ContentsQuery, 'orchestrator' | 'sessionId' | 'options'>): Promise<StoredSession | undefined> {
  const payload = { limit: 1, include_deleted: false };
  const answer = await orchestrator.read({ action: 'scan', sessionId, payload }, options());
  const session = answer.data['session'];
  if (!isJsonObject(session)) return undefined;
  const { session_metadata: metadata = '{}' } = rawMembers(rawMembers(answer.text)['session'] ?? '{}');
  return { userId: String(session['user_id']), metadata };
}

/** Everything that a session holds, including items marked forgotten. @throws CrossfadeError */
export async function readMemories({
  orchestrator,
  sessionId,
  options,
}: Pick<ContentsQuery, 'orchestrator' | 'sessionId' | 'options'>): Promise<readonly StoredMemory[]> {
  const memories: StoredMemory[] = [];
  let cursor: unknown;
  do {
    const payload = { limit: SCAN_PAGE, include_deleted: false, ...(cursor !== undefined && { cursor }) };
    const answer = await orchestrator.read({ action: 'scan', sessionId, payload }, options());
    memories.push(...rawElements(rawMembers(answer.text)['items'] ?? '[]').map(parseStoredMemory));
    cursor = answer.data['next_cursor'] ?? undefined;
  } while (cursor !== undefined);
  return memories;
}

function listedAs(memory: StoredMemory, fields: ListedMemory['fields'] | undefined): ListedMemory[] {
  return fields === undefined ? [] : [{ memory, fields }];
}

/** A copy of the same item shows which tags it carries. Additional tags of others stay, unless they identify the item. */
export function withDueTags(listed: ListedMemory, lanes: LaneDefinition, owner: Owner): ListedMemory {
  const { memory, fields } = listed;
  const item = { fields, timestamp: memory.created_at, at: memory.created_at };
  const due = lanes.createPayload(item, owner)['tags'];
  // Lone surrogates are stored in another spelling, so it is unknown whether such a tag exists.
  const isThere = (tag: string): boolean => memory.tags.includes(tag) || !tag.isWellFormed();
  if (!Array.isArray(due) || due.every(isThere)) return listed;
  const others = memory.tags.filter((tag) => !due.includes(tag) && lanes.kindTags?.includes(tag) !== true);
  return { ...listed, dueTags: [...(due as string[]), ...others] };
}

/** An item as the orchestrator returns it, with its content as raw text. */
export function parseStoredMemory(text: string): StoredMemory {
  const fields = parseTolerantly(text) as StoredMemory;
  return { ...fields, content: rawMembers(text)['content'] ?? 'null', tags: fields.tags ?? [] };
}

/** An item as stored for a person's decision: only the shape of each field, without its text. */
export function lostAs({ memory, fields }: ListedMemory): FoundLost {
  const shapes = Object.entries(fields).map(
    ([name, text]) => `${nameOf(name)}: ${shapeOf(parseTolerantly(text))}`,
  );
  return {
    memoryId: memory.memory_id,
    digest: digestOfFields(fields),
    position: memory.position,
    storedAt: memory.created_at,
    shape: shapes.join(', '),
  };
}

/** Ids of the items that are listed as lost. A copy may have given an item another position since it was listed. */
export function listedLost(
  listed: readonly ListedMemory[],
  waiting: readonly Pick<LostAs, 'memoryId' | 'digest'>[],
): ReadonlySet<string> {
  if (waiting.length === 0) return new Set();
  const known = new Set(waiting.map(({ memoryId, digest }) => `${memoryId} ${digest}`));
  const lost = listed.filter(({ memory, fields }) =>
    known.has(`${memory.memory_id} ${digestOfFields(fields)}`),
  );
  return new Set(lost.map(({ memory }) => memory.memory_id));
}
