import { isJsonObject } from '../../domain/json.ts';
import type { OrchestratorWrite } from '../../domain/orchestrator-call.ts';
import type { StoredMemory } from '../../domain/service-definition.ts';

/** A delete by filter within a lane's list: of all items, or of those with certain tags. */
export interface LaneDeletion {
  /** Deletes only items below this position. */
  readonly below: number;
  /** Absent: any type. */
  readonly memoryType?: string;
  /** Deletes only items that carry all of them. */
  readonly tags: readonly string[];
  /** Ids of items that it never deletes, because they were written after it. @defaultValue none */
  readonly spares?: ReadonlySet<string>;
}

/** What a filter checks of an item. */
export type FilteredItem = Pick<StoredMemory, 'memory_id' | 'memory_type' | 'tags' | 'position'>;

const UNDERSTOOD: readonly string[] = ['memory_type', 'tags', 'position_below'];

/**
 * Undefined if an operation is not such a delete. A delete with further conditions explains nothing: its items count as vanished,
 * and a person decides.
 */
export function laneDeletionOf({ action, payload }: OrchestratorWrite): LaneDeletion | undefined {
  const filter = payload['filter'];
  if (action !== 'bulk_delete' || !isJsonObject(filter)) return undefined;
  const { memory_type: memoryType, tags = [], position_below: below } = filter;
  const isUnderstood = Object.keys(filter).every((field) => UNDERSTOOD.includes(field));
  if (!isUnderstood || typeof below !== 'number' || below <= 0 || !Array.isArray(tags)) return undefined;
  return {
    below,
    tags: tags as readonly string[],
    ...(typeof memoryType === 'string' && { memoryType }),
  };
}

/** Matches as the orchestrator evaluates its filter. */
export function takes({ below, memoryType, tags, spares }: LaneDeletion, item: FilteredItem): boolean {
  return (
    item.position < below &&
    (memoryType === undefined || memoryType === item.memory_type) &&
    tags.every((tag) => item.tags.includes(tag)) &&
    spares?.has(item.memory_id) !== true
  );
}
