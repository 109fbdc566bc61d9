import {
  encodeJson,
  isJsonObject,
  Json,
  parseTolerantly,
  rawElements,
  rawMembers,
} from '../../domain/json.ts';
import type { OrchestratorWrite, WriteActionName } from '../../domain/orchestrator-call.ts';
import type { SessionId } from '../../domain/ids.ts';
import type { ListedMemory } from '../items/copy-plan.ts';
import { isRetime } from '../copies/legacy-times.ts';

/**
 * The writes that undo a copy's operations, as JSON text. What they deleted is created again under its own id, what they created
 * is deleted, and what they moved is moved back.
 */
export function inverseOf(operations: readonly OrchestratorWrite[], listed: readonly ListedMemory[]): string {
  const held = new Map(listed.map(({ memory }) => [memory.memory_id, memory]));
  const inverse = operations.flatMap((operation): object[] => {
    const { action, payload } = operation;
    const id = String(payload['memory_id']);
    const memory = held.get(id);
    // Legacy's own time of an item stays correct in any case, so it is not undone.
    if (isRetime(operation)) return [];
    if (action === 'create') return [{ action: 'delete', payload: { memory_id: id } }];
    if (memory === undefined) return [];
    if (action === 'update')
      return [{ action, payload: { memory_id: id, position: memory.position, tags: memory.tags } }];
    if (action !== 'delete') return [];
    const { memory_type, tags, position, created_at } = memory;
    const content = new Json(memory.content);
    const created = { memory_id: id, memory_type, content, tags, position, created_at };
    return [{ action: 'create', payload: { ...created, create_session: true, escape_unstorable: true } }];
  });
  return encodeJson(inverse.toReversed());
}

/** Parses the text of {@link inverseOf} for sending. @throws SyntaxError */
export function parseInverse(text: string, sessionId: SessionId): OrchestratorWrite[] {
  return rawElements(text).map((raw) => {
    const { action = '""', payload = '{}' } = rawMembers(raw);
    const parsed = parseTolerantly(payload);
    const { content } = rawMembers(payload);
    return {
      action: JSON.parse(action) as WriteActionName,
      sessionId,
      payload: {
        ...(isJsonObject(parsed) ? parsed : {}),
        // Numbers and their spelling survive only as text.
        ...(content !== undefined && { content: new Json(content) }),
        suppress_events: true,
      },
    };
  });
}
