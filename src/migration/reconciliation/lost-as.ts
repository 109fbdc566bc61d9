import { digestOfFields, type ListedMemory } from '../copies/copy-plan.ts';
import type { LostAs } from './divergence-ports.ts';

/** An item as it is written down for a person to decide about. */
export function lostAs({ memory, fields }: ListedMemory): LostAs {
  return { memoryId: memory.memory_id, digest: digestOfFields(fields), position: memory.position };
}
