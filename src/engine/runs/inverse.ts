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
 * The writes that put back what a copy's operations change, as JSON text: what they delete is created again under its own id, what they
 * create is deleted, what they move is moved back.
 */
export function inverseOf(operations: readonly OrchestratorWrite[], listed: readonly ListedMemory[]): string {
  const held = new Map(listed.map(({ memory }) => [memory.memory_id, memory]));
  const inverse = operations.flatMap((operation): object[] => {
    const { action, payload } = operation;
    const id = String(payload['memory_id']);
    const memory = held.get(id);
    // Legacy's own time of an item is right whatever became of the repair.
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

/** What {@link inverseOf} wrote down, ready to be sent. @throws SyntaxError */
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
        // Its numbers and its spelling survive as text only.
        ...(content !== undefined && { content: new Json(content) }),
        suppress_events: true,
      },
    };
  });
}
