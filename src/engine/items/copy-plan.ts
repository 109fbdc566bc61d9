import { hash } from 'node:crypto';
import { canonicalJson } from '../../domain/json.ts';
import { type NamedItem, positionOf, POSITIONS_PER_SEQUENCE } from '../../domain/lane.ts';
import type { LegacyItem, LegacyLane, StoredMemory } from '../../domain/service-definition.ts';
import type { BaselineItem } from '../ports/journal-facts.ts';
import type { MemoryId } from '../../domain/ids.ts';
import { type LaneDeletion, takes } from './lane-deletion.ts';

/**
 * The mark on the orchestrator of items that the legacy service forgot by itself. They are kept, and hidden from answers in the
 * legacy dialect.
 */
export const FORGOTTEN_TAG = 'forgotten';

/** An item of the orchestrator that belongs to the lane's list. */
export interface ListedMemory {
  readonly memory: StoredMemory;
  readonly fields: Readonly<Record<string, string>>;
  /** The tags that the item should have, if a tag that the service's items carry is missing. Reads by tag would not show it. */
  readonly dueTags?: readonly string[];
}

export interface CopyFacts {
  /** The primary's list, oldest first. */
  readonly source: readonly LegacyItem[];
  /** The secondary's list, ordered by position, without items marked forgotten. */
  readonly existing: readonly ListedMemory[];
  /** What the service derives from its items, as it is now and as earlier copies wrote it. */
  readonly derived: { readonly source: readonly LegacyItem[]; readonly existing: readonly ListedMemory[] };
  /** The lane's sequence when the source was read. */
  readonly sequence: number;
  /** Deletes by filter of journaled writes that the secondary may not have seen. */
  readonly deletions: readonly LaneDeletion[];
  /** Items that such writes deleted individually. */
  readonly named: readonly NamedItem[];
  /** Ids of journaled writes that the secondary may not have seen, by the digest of their items. */
  readonly journaledIds: ReadonlyMap<string, readonly string[]>;
}

interface PlannedCreate {
  readonly item: LegacyItem;
  readonly position: number;
  /** The id of the journaled write that wrote the item. Absent for items that are in no journaled write. */
  readonly memoryId?: string;
}

/** The same item on both sides. */
export interface ItemPair {
  readonly item: LegacyItem;
  readonly memory: StoredMemory;
}

/** What makes the secondary's list equal to the primary's. */
export interface CopyPlan {
  readonly creates: readonly PlannedCreate[];
  readonly moves: readonly { readonly memoryId: string; readonly position: number }[];
  /** Items that both sides show. */
  readonly kept: readonly ItemPair[];
  readonly retags: readonly { readonly memoryId: string; readonly tags: readonly string[] }[];
  /** Deleted by an acknowledged write. */
  readonly deletes: readonly StoredMemory[];
  /** Items that the primary does not show and that no journaled write deleted: forgotten or lost. */
  readonly vanished: readonly StoredMemory[];
}

type Fields = Readonly<Record<string, string>>;

/** A copy needs each digest twice: to plan, and to record the result. */
const digests = new WeakMap<Fields, string>();

/** The identity of an item in a list without ids: every field that the source shows, except times. */
export function digestOfFields(fields: Fields): string {
  const known = digests.get(fields);
  if (known !== undefined) return known;
  const digest = hash('sha256', canonicalFields(fields), 'hex').slice(0, 32);
  digests.set(fields, digest);
  return digest;
}

/** The text that {@link digestOfFields} digests: equal for equal items, different for others. */
export function canonicalFields(fields: Fields): string {
  let text = '';
  for (const key of Object.keys(fields).sort())
    text += `${text === '' ? '' : ','}${JSON.stringify(key)}:${canonicalJson(fields[key] ?? 'null')}`;
  return text;
}

interface Match {
  readonly item: LegacyItem;
  readonly digest: string;
  readonly memory: StoredMemory | undefined;
}

/**
 * Compares the lists as ordered multisets. Duplicates are kept, and a second run changes nothing. Positions that are already in
 * the primary's order are kept. Otherwise the lane is renumbered.
 */
export function planCopy(facts: CopyFacts): CopyPlan {
  const matches = matchItems(facts);
  const kept = new Set(matches.map(({ memory }) => memory));
  const isKept = ({ memory }: ListedMemory): boolean => kept.has(memory);
  const { deleted, vanished } = explainGone(
    facts,
    facts.existing.filter((listed) => !isKept(listed)),
  );
  const positions = positionsFor(matches, facts.sequence);
  const derived = planDerived(facts, Math.max(positionOf(facts.sequence), positions.at(-1) ?? 0));
  return {
    creates: [...createsFor(matches, positions, freeIds(facts)), ...derived.creates],
    moves: matches.flatMap(({ memory }, index) => {
      const position = positions[index] ?? 0;
      return memory === undefined || memory.position === position
        ? []
        : [{ memoryId: memory.memory_id, position }];
    }),
    kept: matches.flatMap(pairOf),
    retags: facts.existing.filter(isKept).flatMap(retagOf),
    deletes: [...deleted, ...derived.deletes],
    vanished,
  };
}

function retagOf({ memory, dueTags }: ListedMemory): CopyPlan['retags'][number][] {
  return dueTags === undefined ? [] : [{ memoryId: memory.memory_id, tags: dueTags }];
}

/** Separates what the journal's deletes explain from what they do not. */
function explainGone(
  { deletions, named }: CopyFacts,
  gone: readonly ListedMemory[],
): { deleted: StoredMemory[]; vanished: StoredMemory[] } {
  const left = new Map<string, number>();
  for (const { digest } of named) left.set(digest, (left.get(digest) ?? 0) + 1);
  const isNamed = ({ fields }: ListedMemory): boolean => {
    if (left.size === 0) return false;
    const digest = digestOfFields(fields);
    const count = left.get(digest) ?? 0;
    left.set(digest, count - 1);
    return count > 0;
  };
  const isTaken = ({ memory, dueTags: tags = memory.tags }: ListedMemory): boolean =>
    deletions.some((deletion) => takes(deletion, { ...memory, tags }));
  const deleted = gone.filter((one) => isTaken(one) || isNamed(one));
  return {
    deleted: deleted.map(({ memory }) => memory),
    vanished: gone.filter((one) => !deleted.includes(one)).map(({ memory }) => memory),
  };
}

/** An unrecorded delivery may have used the id of its write already, and a second item cannot be created under it. */
function freeIds({ existing, journaledIds }: CopyFacts): Map<string, string[]> {
  const used = new Set(existing.map(({ memory }) => memory.memory_id));
  return new Map([...journaledIds].map(([digest, ids]) => [digest, ids.filter((id) => !used.has(id))]));
}

function createsFor(
  matches: readonly Match[],
  positions: readonly number[],
  ids: ReadonlyMap<string, string[]>,
): PlannedCreate[] {
  return matches.flatMap(({ item, memory, digest }, index) => {
    if (memory !== undefined) return [];
    const memoryId = ids.get(digest)?.shift();
    return [{ item, position: positions[index] ?? 0, ...(memoryId !== undefined && { memoryId }) }];
  });
}

/** Derived items come after all items they were made of. Those already there are left unchanged. */
function planDerived(
  { derived }: CopyFacts,
  last: number,
): { creates: readonly PlannedCreate[]; deletes: readonly StoredMemory[] } {
  const wanted = derived.source.map(({ fields }) => digestOfFields(fields)).join();
  const standing = derived.existing.filter(
    ({ memory, dueTags }) => memory.position > last && dueTags === undefined,
  );
  const isStanding = standing.length === derived.existing.length;
  if (isStanding && standing.map(({ fields }) => digestOfFields(fields)).join() === wanted)
    return { creates: [], deletes: [] };
  return {
    creates: derived.source.map((item, index) => ({ item, position: last + 1 + index })),
    deletes: derived.existing.map(({ memory }) => memory),
  };
}

/**
 * The items that both sides show, in legacy's order. Of equal items there are none if one side shows more than the other, because it is
 * not known which of them belong together.
 */
export function pairItems(lists: Pick<CopyFacts, 'source' | 'existing'>): ItemPair[] {
  const surplus = new Map<string, number>();
  const count = (fields: LegacyItem['fields'], by: number): void => {
    const digest = digestOfFields(fields);
    surplus.set(digest, (surplus.get(digest) ?? 0) + by);
  };
  for (const { fields } of lists.source) count(fields, 1);
  for (const { fields } of lists.existing) count(fields, -1);
  return matchItems(lists).flatMap((match) => (surplus.get(match.digest) === 0 ? pairOf(match) : []));
}

function pairOf({ item, memory }: Match): ItemPair[] {
  return memory === undefined ? [] : [{ item, memory }];
}

function matchItems({ source, existing }: Pick<CopyFacts, 'source' | 'existing'>): Match[] {
  const waiting = new Map<string, StoredMemory[]>();
  for (const { memory, fields } of existing) {
    const digest = digestOfFields(fields);
    const same = waiting.get(digest);
    if (same === undefined) waiting.set(digest, [memory]);
    else same.push(memory);
  }
  // Among equal items the newest are kept, because a list that was cleared and started again ends with them.
  const matches = source.toReversed().map((item) => {
    const digest = digestOfFields(item.fields);
    return { item, digest, memory: waiting.get(digest)?.pop() };
  });
  return matches.toReversed();
}

/**
 * Keeps the present positions if the matched items ascend and everything new comes after them. Otherwise numbers the whole list
 * again.
 */
function positionsFor(matches: readonly Match[], sequence: number): number[] {
  if (matches.length >= POSITIONS_PER_SEQUENCE) {
    throw new RangeError(
      `A lane of ${matches.length} items cannot be numbered: the limit is ${POSITIONS_PER_SEQUENCE - 1}`,
    );
  }
  const base = positionOf(sequence);
  let last = -1;
  let isKept = true;
  let hasNew = false;
  const positions = matches.map(({ memory }) => {
    const position = memory?.position ?? Math.max(last + 1, base + 1);
    isKept &&= position > last && !(hasNew && memory !== undefined);
    hasNew ||= memory === undefined;
    last = position;
    return position;
  });
  return isKept ? positions : matches.map((_, index) => base + 1 + index);
}

/** A list as stored, to be compared with later. */
export function baselineOf(items: readonly LegacyItem[]): BaselineItem[] {
  return items.map(({ fields, at }) => ({ digest: digestOfFields(fields), atMs: Date.parse(at) }));
}

/** The items at these places of a list. Places that the list does not have are left out. */
export function nameItems({ items }: LegacyLane, indices: readonly number[]): NamedItem[] {
  const digests = items.map(({ fields }) => digestOfFields(fields));
  return [...new Set(indices)].flatMap((index) => {
    const digest = digests[index];
    if (digest === undefined) return [];
    return [{ digest, newer: digests.slice(index + 1).filter((other) => other === digest).length }];
  });
}

/** The places of named items in a list. Items that it does not have are left out. */
export function placesOfNamed(named: readonly NamedItem[], { items }: LegacyLane): readonly number[] {
  const places = new Map<string, number[]>();
  for (const [place, { fields }] of items.entries()) {
    const digest = digestOfFields(fields);
    places.set(digest, [...(places.get(digest) ?? []), place]);
  }
  return named.flatMap(({ digest, newer }) => places.get(digest)?.at(-1 - newer) ?? []);
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
