import type { Hint } from '../../domain/comparison.ts';
import type { LegacyItem, StoredMemory } from '../../domain/service-definition.ts';
import { digestOfFields, type ListedMemory } from '../items/copy-plan.ts';
import type { FieldShapes, FoundItems } from './item-detail.ts';
import { hintOfItems } from './item-hint.ts';

/**
 * One thing that two sides disagree about, and which of them moved.
 * On the orchestrator: `altered`, `added`, `removed`, `reordered`, `resurrected` (deleted by a write, and back).
 * On legacy, past the proxy: `altered`, `added`, `reordered`; `lost` is what it does not show any more and nobody deleted.
 * `not_seeded`: the lane was never copied under the present coverage.
 */
export interface ItemFinding {
  /** `unknown` where nothing tells what both sides once held. */
  readonly side: 'orchestrator' | 'legacy' | 'unknown';
  readonly kind: 'altered' | 'added' | 'removed' | 'reordered' | 'resurrected' | 'lost' | 'not_seeded';
  /** Digest of what the orchestrator holds, and of what it should. */
  readonly before?: string;
  readonly after?: string;
  readonly memoryId?: string;
  /** Who wrote it on legacy, where the service says so. */
  readonly by?: string;
  /** Of what was altered: what both spellings have in common. */
  readonly hint?: Hint;
  /** When the item was written, ISO-8601: legacy's time, or else the orchestrator's. */
  readonly at?: string;
  /** Place in legacy's list, from 1. */
  readonly place?: number;
  /** What the orchestrator holds, and what it should hold: shapes of the fields, no content. */
  readonly beforeFields?: FieldShapes;
  readonly afterFields?: FieldShapes;
}

export interface Sides {
  /** Oldest first, as the orchestrator's. */
  readonly legacy: readonly LegacyItem[];
  readonly orchestrator: readonly ListedMemory[];
  /** What both should show, by digest: the list as it was last seen equal, and every journaled write since. Undefined: nobody knows. */
  readonly base: readonly string[] | undefined;
  readonly laneKey: string;
  readonly writerOf: (item: LegacyItem) => string | undefined;
}

export interface Attribution {
  readonly findings: readonly ItemFinding[];
  /** What the orchestrator shows and must not: replaced, or never written through the proxy. */
  readonly removable: readonly StoredMemory[];
  /** What legacy does not show any more, and nobody deleted: forgotten, or lost. */
  readonly vanished: readonly ListedMemory[];
  /** The items of each finding that is about one item. */
  readonly itemsOf: ReadonlyMap<ItemFinding, FoundItems>;
}

interface Entry<Item> {
  readonly item: Item;
  readonly digest: string;
  /** In its list. */
  readonly index: number;
  /** Index on the orchestrator of the nearest matched item before it: entries of one gap stand in the same place. */
  readonly gap: number;
}

interface Matched {
  /** Index on the orchestrator by index on legacy. */
  readonly partners: ReadonlyMap<number, number>;
  readonly onlyLegacy: readonly Entry<LegacyItem>[];
  readonly onlyOrchestrator: readonly Entry<ListedMemory>[];
}

/** Puts every difference of two lists down to the side that moved, by what both were last seen to hold. */
export function attribute(sides: Sides): Attribution {
  const digests = {
    legacy: sides.legacy.map(({ fields }) => digestOfFields(fields)),
    orchestrator: sides.orchestrator.map(({ fields }) => digestOfFields(fields)),
  };
  const matched = match(sides, digests);
  const known = new KnownItems(
    sides.base,
    [...matched.partners.keys()].map((index) => digests.legacy[index] ?? ''),
  );
  const books = new Books(sides, known);
  for (const entry of matched.onlyLegacy) books.addLegacy(entry);
  for (const entry of matched.onlyOrchestrator) books.addOrchestrator(entry);
  const side = reorderedSide(matched.partners, digests.legacy, sides.base);
  const reordered: ItemFinding[] = side === undefined ? [] : [{ side, kind: 'reordered' }];
  return books.close(reordered, untagged(sides, matched));
}

/** Legacy has no tags: where one is missing, nobody but the orchestrator can have lost it. */
function untagged({ orchestrator }: Sides, { partners }: Matched): [ItemFinding, FoundItems][] {
  return [...partners].flatMap(([legacyIndex, index]) => {
    const listed = orchestrator[index];
    if (listed?.dueTags === undefined) return [];
    const { memory_id: memoryId } = listed.memory;
    return [
      [
        { side: 'orchestrator', kind: 'altered', memoryId },
        { orchestrator: listed, legacyIndex },
      ],
    ];
  });
}

/** As multisets; of equal items the newest are each other's partners. */
function match(
  { legacy, orchestrator }: Sides,
  digests: { readonly legacy: readonly string[]; readonly orchestrator: readonly string[] },
): Matched {
  const waiting = new Map<string, number[]>();
  for (const [index, digest] of digests.orchestrator.entries())
    waiting.set(digest, [...(waiting.get(digest) ?? []), index]);
  const partners = new Map<number, number>();
  for (let index = legacy.length - 1; index >= 0; index -= 1) {
    const partner = waiting.get(digests.legacy[index] ?? '')?.pop();
    if (partner !== undefined) partners.set(index, partner);
  }
  const taken = new Set(partners.values());
  return {
    partners,
    onlyLegacy: leftOf(legacy, digests.legacy, (index) => partners.get(index)),
    onlyOrchestrator: leftOf(orchestrator, digests.orchestrator, (index) =>
      taken.has(index) ? index : undefined,
    ),
  };
}

function leftOf<Item>(
  items: readonly Item[],
  digests: readonly string[],
  partnerOf: (index: number) => number | undefined,
): Entry<Item>[] {
  let gap = -1;
  return items.flatMap((item, index) => {
    const partner = partnerOf(index);
    if (partner === undefined) return [{ item, digest: digests[index] ?? '', index, gap }];
    gap = partner;
    return [];
  });
}

/** What of the base has no partner on both sides. */
class KnownItems {
  readonly isKnown: boolean;
  readonly #left = new Map<string, number>();

  constructor(base: readonly string[] | undefined, matched: readonly string[]) {
    this.isKnown = base !== undefined;
    for (const digest of base ?? []) this.#left.set(digest, (this.#left.get(digest) ?? 0) + 1);
    for (const digest of matched) this.#left.set(digest, (this.#left.get(digest) ?? 0) - 1);
  }

  take(digest: string): boolean {
    const left = this.#left.get(digest) ?? 0;
    if (left <= 0) return false;
    this.#left.set(digest, left - 1);
    return true;
  }
}

/** Entries of one side, those first that both once held. */
interface Gap {
  readonly legacy: { readonly entry: Entry<LegacyItem>; readonly wasKnown: boolean }[];
  readonly orchestrator: { readonly entry: Entry<ListedMemory>; readonly wasKnown: boolean }[];
}

class Books {
  readonly #sides: Sides;
  readonly #known: KnownItems;
  readonly #gaps = new Map<number, Gap>();
  readonly #itemsOf = new Map<ItemFinding, FoundItems>();

  constructor(sides: Sides, known: KnownItems) {
    this.#sides = sides;
    this.#known = known;
  }

  addLegacy(entry: Entry<LegacyItem>): void {
    this.#gap(entry.gap).legacy.push({ entry, wasKnown: this.#known.take(entry.digest) });
  }

  addOrchestrator(entry: Entry<ListedMemory>): void {
    this.#gap(entry.gap).orchestrator.push({ entry, wasKnown: this.#known.take(entry.digest) });
  }

  #gap(at: number): Gap {
    const known = this.#gaps.get(at);
    if (known !== undefined) return known;
    const made: Gap = { legacy: [], orchestrator: [] };
    this.#gaps.set(at, made);
    return made;
  }

  close(
    reordered: readonly ItemFinding[],
    untaggedItems: readonly (readonly [ItemFinding, FoundItems])[],
  ): Attribution {
    for (const [finding, items] of untaggedItems) this.#itemsOf.set(finding, items);
    const removable: StoredMemory[] = [];
    const vanished: ListedMemory[] = [];
    for (const gap of this.#gaps.values()) {
      for (const { legacy, orchestrator } of this.#pairs(gap)) {
        this.#note(this.#altered(legacy, orchestrator), legacy.entry, orchestrator.entry);
        removable.push(orchestrator.entry.item.memory);
      }
      for (const one of gap.legacy) this.#note(this.#onlyOnLegacy(one), one.entry, undefined);
      for (const one of gap.orchestrator) {
        const finding = this.#onlyOnOrchestrator(one);
        if (finding === undefined) vanished.push(one.entry.item);
        else {
          this.#note(finding, undefined, one.entry);
          removable.push(one.entry.item.memory);
        }
      }
    }
    const itemsOf = this.#itemsOf;
    return { findings: [...reordered, ...itemsOf.keys()], removable, vanished, itemsOf };
  }

  #note(
    finding: ItemFinding,
    legacy: Entry<LegacyItem> | undefined,
    orchestrator: Entry<ListedMemory> | undefined,
  ): void {
    this.#itemsOf.set(finding, {
      ...(legacy !== undefined && { legacy: legacy.item, legacyIndex: legacy.index }),
      ...(orchestrator !== undefined && { orchestrator: orchestrator.item }),
    });
  }

  /** Takes out of the gap what stands for each other: of each pair one side was known, the other is what became of it. */
  #pairs(gap: Gap) {
    const pairs: { legacy: Gap['legacy'][number]; orchestrator: Gap['orchestrator'][number] }[] = [];
    for (const legacy of gap.legacy.slice()) {
      const fitting = gap.orchestrator.filter(
        ({ wasKnown }) => !this.#known.isKnown || wasKnown !== legacy.wasKnown,
      );
      const sameTime = fitting.find(({ entry }) => isSameTime(legacy.entry.item, entry.item.memory));
      const orchestrator = sameTime ?? fitting[0];
      if (orchestrator === undefined) continue;
      gap.legacy.splice(gap.legacy.indexOf(legacy), 1);
      gap.orchestrator.splice(gap.orchestrator.indexOf(orchestrator), 1);
      pairs.push({ legacy, orchestrator });
    }
    return pairs;
  }

  #altered(legacy: Gap['legacy'][number], orchestrator: Gap['orchestrator'][number]): ItemFinding {
    const { entry } = legacy;
    const hint = hintOfItems(entry.item.fields, orchestrator.entry.item.fields);
    const both = {
      kind: 'altered',
      before: orchestrator.entry.digest,
      after: entry.digest,
      memoryId: orchestrator.entry.item.memory.memory_id,
      ...(hint !== undefined && { hint }),
    } as const;
    if (!this.#known.isKnown) return { side: 'unknown', ...both };
    if (legacy.wasKnown) return { side: 'orchestrator', ...both };
    return { side: 'legacy', ...both, ...this.#by(entry.item) };
  }

  #onlyOnLegacy({ entry, wasKnown }: Gap['legacy'][number]): ItemFinding {
    if (!this.#known.isKnown) return { side: 'unknown', kind: 'removed', after: entry.digest };
    if (wasKnown) return { side: 'orchestrator', kind: 'removed', after: entry.digest };
    return { side: 'legacy', kind: 'added', after: entry.digest, ...this.#by(entry.item) };
  }

  /** Undefined for what legacy once held. */
  #onlyOnOrchestrator({ entry, wasKnown }: Gap['orchestrator'][number]): ItemFinding | undefined {
    const { memory } = entry.item;
    const isOurs = memory.lane_key === this.#sides.laneKey;
    if (wasKnown || (!this.#known.isKnown && isOurs)) return undefined;
    const kind = isOurs ? 'resurrected' : 'added';
    return { side: 'orchestrator', kind, before: entry.digest, memoryId: memory.memory_id };
  }

  #by(item: LegacyItem): Pick<ItemFinding, 'by'> {
    const by = this.#sides.writerOf(item);
    return by === undefined ? {} : { by };
  }
}

/** What a copy wrote has its item's own time. */
function isSameTime({ at }: LegacyItem, { created_at: createdAt }: StoredMemory): boolean {
  return Date.parse(at) === Date.parse(createdAt);
}

/** Which side shows the common items in another order than both once did; undefined where they are in one order. */
function reorderedSide(
  partners: ReadonlyMap<number, number>,
  legacy: readonly string[],
  base: readonly string[] | undefined,
): ItemFinding['side'] | undefined {
  const pairs = [...partners].sort(([a], [b]) => a - b);
  const isOneOrder = pairs.every(([, partner], at) => at === 0 || partner > (pairs[at - 1]?.[1] ?? -1));
  if (isOneOrder) return undefined;
  const asLegacy = pairs.map(([index]) => legacy[index] ?? '');
  const asOrchestrator = pairs.toSorted(([, a], [, b]) => a - b).map(([index]) => legacy[index] ?? '');
  const asBoth = base === undefined ? [] : newestOf(base, asLegacy);
  if (asBoth.join() === asOrchestrator.join()) return 'legacy';
  return asBoth.join() === asLegacy.join() ? 'orchestrator' : 'unknown';
}

/** Of the base only what the list holds too; of equal items the newest. */
function newestOf(base: readonly string[], list: readonly string[]): string[] {
  const wanted = new Map<string, number>();
  for (const digest of list) wanted.set(digest, (wanted.get(digest) ?? 0) + 1);
  const found = base.toReversed().filter((digest) => {
    const left = wanted.get(digest) ?? 0;
    wanted.set(digest, left - 1);
    return left > 0;
  });
  return found.toReversed();
}
