import { parseTolerantly } from '../../domain/json.ts';
import { nameOf, shapeOf } from '../compare/shape.ts';
import { digestOfFields, type ListedMemory } from './copy-plan.ts';
import type { FoundLost } from '../ports/lost-items.ts';

/** An item as it is written down for a person to decide about: nothing of its text, only the shape of each field. */
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
