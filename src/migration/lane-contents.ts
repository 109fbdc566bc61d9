import { isJsonObject, parseTolerantly, rawElements, rawMembers } from '../domain/json.ts';
import type { SessionId } from '../domain/ids.ts';
import type { LaneDefinition, StoredMemory } from '../domain/service-definition.ts';
import { FORGOTTEN_TAG, type ListedMemory } from './copy-plan.ts';
import type { Orchestrator, OrchestratorOptions } from './ports.ts';

const SCAN_PAGE = 1_000;

/** What the orchestrator holds of a lane. */
export interface LaneContents {
  /** Whether it knows the session, open or ended. */
  readonly exists: boolean;
  /** The lane's list, in the order of its positions, without what is marked forgotten. */
  readonly listed: readonly ListedMemory[];
  /** What earlier copies wrote of what the service derives from its items. */
  readonly derived: readonly ListedMemory[];
}

export interface ContentsQuery {
  readonly orchestrator: Orchestrator;
  readonly sessionId: SessionId;
  readonly lanes: LaneDefinition;
  /** For one page. */
  readonly options: () => OrchestratorOptions;
}

/** Reads a session completely. @throws CrossfadeError */
export async function readContents({
  orchestrator,
  sessionId,
  lanes,
  options,
}: ContentsQuery): Promise<LaneContents> {
  const memories: StoredMemory[] = [];
  let cursor: unknown;
  let exists = false;
  do {
    const payload = { limit: SCAN_PAGE, include_deleted: false, ...(cursor !== undefined && { cursor }) };
    const answer = await orchestrator.read({ action: 'scan', sessionId, payload }, options());
    exists ||= isJsonObject(answer.data['session']);
    memories.push(...rawElements(rawMembers(answer.text)['items'] ?? '[]').map(parseStoredMemory));
    cursor = answer.data['next_cursor'] ?? undefined;
  } while (cursor !== undefined);
  const shown = memories.filter(({ tags }) => !tags.includes(FORGOTTEN_TAG));
  return {
    exists,
    listed: shown.flatMap((memory) => listedAs(memory, lanes.fieldsOf(memory))),
    derived: shown.flatMap((memory) => listedAs(memory, lanes.derivedFieldsOf?.(memory))),
  };
}

function listedAs(memory: StoredMemory, fields: ListedMemory['fields'] | undefined): ListedMemory[] {
  return fields === undefined ? [] : [{ memory, fields }];
}

/** An item as the orchestrator spells it, its content as raw text. */
export function parseStoredMemory(text: string): StoredMemory {
  const fields = parseTolerantly(text) as StoredMemory;
  return { ...fields, content: rawMembers(text)['content'] ?? 'null', tags: fields.tags ?? [] };
}
