import type { MemoryId } from '../../domain/ids.ts';
import type { NamedItem } from '../../domain/named-item.ts';
import type { LegacyLane } from '../../domain/service-definition.ts';
import { digestOfFields, type ListedMemory } from './copy-plan.ts';

/** The items at these places of a list. Places that the list does not have are left out. */
export function nameItems({ items }: LegacyLane, indices: readonly number[]): NamedItem[] {
  const digests = items.map(({ fields }) => digestOfFields(fields));
  return [...new Set(indices)].flatMap((index) => {
    const digest = digests[index];
    if (digest === undefined) return [];
    return [{ digest, newer: digests.slice(index + 1).filter((other) => other === digest).length }];
  });
}

/** The named items on the secondary; undefined if one of them is missing there. */
export function findNamed(
  named: readonly NamedItem[],
  listed: readonly ListedMemory[],
): readonly MemoryId[] | undefined {
  const byDigest = new Map<string, MemoryId[]>();
  for (const { memory, fields } of listed) {
    const digest = digestOfFields(fields);
    byDigest.set(digest, [...(byDigest.get(digest) ?? []), memory.memory_id as MemoryId]);
  }
  const found = named.flatMap(({ digest, newer }) => byDigest.get(digest)?.at(-1 - newer) ?? []);
  return found.length === named.length ? found : undefined;
}
