import { conditionOf, type Parameters, type Selection, VISIBLE } from '../memories/filter.ts';
import { spaceCondition } from './space-condition.ts';
import type { Space } from './vector-store.ts';

/** `from … where …`: the vectors of a space whose memories are selected and visible. */
export function fromSelected(space: Space, selection: Selection, parameters: Parameters): string {
  const filtered = conditionOf(selection, parameters);
  const conditions = [spaceCondition(space), filtered, VISIBLE].filter((part) => part !== '');
  return `from vector_embeddings e join memory_entries m on m.memory_id = e.memory_id where ${conditions.join(' and ')}`;
}
