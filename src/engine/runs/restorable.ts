import type { LegacyItem } from '../../domain/service-definition.ts';
import { takes } from '../items/lane-deletion.ts';
import type { JournaledWrites } from '../copies/journaled-writes.ts';
import { digestOfFields, type ListedMemory } from '../items/copy-plan.ts';

export interface RestoringFacts {
  /** Lost items that a person wants to restore. */
  readonly wanted: ReadonlySet<string>;
  /** All lost items of the lane that wait for a decision. */
  readonly waiting: ReadonlySet<string>;
  /** What the orchestrator holds of the lane. */
  readonly listed: readonly ListedMemory[];
  /** What legacy shows of it. */
  readonly source: readonly LegacyItem[];
  /** Writes of the lane that were not delivered yet. */
  readonly journaled: Pick<JournaledWrites, 'deletions' | 'named' | 'ids'>;
}

/** Ids of wanted items that must not be sent to legacy. */
export interface NotRestorable {
  /** An agent has deleted them, and that delete was not delivered yet. */
  readonly deleted: readonly string[];
  /** Legacy shows them again. Of equal items as many as legacy shows beyond those that are not lost. */
  readonly back: ReadonlySet<string>;
}

export function notRestorable(facts: RestoringFacts): NotRestorable {
  const { wanted, listed, journaled } = facts;
  const named = new Set(journaled.named.map(({ digest }) => digest));
  const surplus = surplusOnLegacy(facts);
  const deleted: string[] = [];
  const back = new Set<string>();
  for (const { memory, fields } of listed.filter(({ memory: { memory_id: id } }) => wanted.has(id))) {
    const digest = digestOfFields(fields);
    const left = surplus.get(digest) ?? 0;
    if (named.has(digest) || journaled.deletions.some((deletion) => takes(deletion, memory)))
      deleted.push(memory.memory_id);
    else if (left > 0) {
      back.add(memory.memory_id);
      surplus.set(digest, left - 1);
    }
  }
  return { deleted, back };
}

/** How many items of each digest legacy shows beyond those that the orchestrator holds or will hold, without the lost ones. */
function surplusOnLegacy({ waiting, listed, source, journaled }: RestoringFacts): Map<string, number> {
  const surplus = new Map<string, number>();
  const add = (digest: string, by: number): void => void surplus.set(digest, (surplus.get(digest) ?? 0) + by);
  for (const { fields } of source) add(digestOfFields(fields), 1);
  const held = new Set(listed.map(({ memory }) => memory.memory_id));
  for (const { memory, fields } of listed)
    if (!waiting.has(memory.memory_id)) add(digestOfFields(fields), -1);
  for (const [digest, ids] of journaled.ids) add(digest, -ids.filter((id) => !held.has(id)).length);
  return surplus;
}
