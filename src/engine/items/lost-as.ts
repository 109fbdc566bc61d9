import { parseTolerantly } from '../../domain/json.ts';
import { nameOf, shapeOf } from '../compare/shape.ts';
import { digestOfFields, type ListedMemory } from './copy-plan.ts';
import type { FoundLost, LostAs } from '../ports/lost-items.ts';

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
