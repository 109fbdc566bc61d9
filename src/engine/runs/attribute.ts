import type { Hint } from '../../domain/comparison.ts';
import type { LegacyItem, StoredMemory } from '../../domain/service-definition.ts';
import { digestOfFields, type ListedMemory } from '../items/copy-plan.ts';
import { compareReplies } from '../compare/compare-replies.ts';
import { parseTolerantly } from '../../domain/json.ts';
import { nameOf, shapeOf } from '../compare/reply-values.ts';

/**
 * One difference between the two sides, and which side moved. On the orchestrator: `altered`, `added`, `removed`, `reordered`,
 * `resurrected` (deleted by a write, and back). On legacy, without the proxy: `altered`, `added`, `reordered`; `lost` is an item
 * that it no longer shows and that no write deleted. `not_seeded`: the lane was never copied under the present coverage.
 */
export interface ItemFinding {
  /** `unknown` if there is no record of what both sides once held. */
  readonly side: 'orchestrator' | 'legacy' | 'unknown';
  readonly kind: 'altered' | 'added' | 'removed' | 'reordered' | 'resurrected' | 'lost' | 'not_seeded';
  /** Digests of what the orchestrator holds, and of what it should hold. */
  readonly before?: string;
  readonly after?: string;
  readonly memoryId?: string;
  /** The writer on legacy, if the service records it. */
  readonly by?: string;
  /** For an altered item: what both values have in common. */
  readonly hint?: Hint;
  /** When the item was written, ISO-8601: legacy's time, or else the orchestrator's. */
  readonly at?: string;
  /** Place in legacy's list, from 1. */
  readonly place?: number;
  /** What the orchestrator holds, and what it should hold, as shapes of the fields without content. */
  readonly beforeFields?: FieldShapes;
  readonly afterFields?: FieldShapes;
}

interface Sides {
  /** Oldest first, like the orchestrator's list. */
  readonly legacy: readonly LegacyItem[];
  readonly orchestrator: readonly ListedMemory[];
  /**
   * What both should show, by digest: the list as it was last seen equal, and every journaled write since. Undefined if unknown.
   */
  readonly base: readonly string[] | undefined;
  readonly laneKey: string;
  readonly writerOf: (item: LegacyItem) => string | undefined;
}

export interface Attribution {
  readonly findings: readonly ItemFinding[];
  /** Items that the orchestrator shows and must not: replaced on legacy, or never written through the proxy. */
  readonly removable: readonly StoredMemory[];
  /** Items that legacy no longer shows and that no write deleted: forgotten, or lost. */
  readonly vanished: readonly ListedMemory[];
  /** The items of each finding about a single item. */
  readonly itemsOf: ReadonlyMap<ItemFinding, FoundItems>;
}

interface Entry<Item> {
  readonly item: Item;
  readonly digest: string;
  /** Index in its list. */
  readonly index: number;
  /** Index on the orchestrator of the nearest matched item before it. Entries of one gap have the same index. */
  readonly gap: number;
}

interface Matched {
  /** Index on the orchestrator by index on legacy. */
  readonly partners: ReadonlyMap<number, number>;
  readonly onlyLegacy: readonly Entry<LegacyItem>[];
  readonly onlyOrchestrator: readonly Entry<ListedMemory>[];
}

/** Attributes every difference of two lists to the side that moved, by what both were last seen to hold. */
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

/** Legacy has no tags. If a tag is missing, only the orchestrator can have lost it. */
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

/** Matches as multisets. Among equal items, the newest are paired. */
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

/** Items of the base without a partner on one of the sides. */
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

/** Entries of one side. Those that both sides once held come first. */
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

  /** Pairs entries within the gap: one was known on a side, and the other replaced it. */
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

  /** Undefined for an item that legacy once held. */
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

/** An item that a copy wrote has its own time. */
function isSameTime({ at }: LegacyItem, { created_at: createdAt }: StoredMemory): boolean {
  return Date.parse(at) === Date.parse(createdAt);
}

/** Which side shows the common items in another order than both once did. Undefined if the orders agree. */
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

/** Items of the base that the list also holds. Among equal items, the newest. */
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

/** Names and JSON texts, as both stores show an item. */
type Fields = Readonly<Record<string, string>>;

/** Rules with an expiry are not used. */
const NO_TIME = new Date(0).toISOString();

/**
 * The likely cause of a difference in one item, so that a person knows where to look first. Among several fields, the first with
 * a likely cause.
 */
function hintOfItems(legacy: Fields, orchestrator: Fields): Hint | undefined {
  const { comparison } = compareReplies({
    legacy: textOf(legacy),
    orchestrator: textOf(orchestrator),
    rules: [],
    nowIso: NO_TIME,
  });
  return comparison.differences.find(({ hint }) => hint !== undefined)?.hint;
}

function textOf(fields: Fields): string {
  const members = Object.entries(fields).map(([name, text]) => `${JSON.stringify(name)}:${text}`);
  return `{${members.join(',')}}`;
}

/** Findings per lane that are stored with their items' fields. For further ones only id, time and side are stored. */
const MOST_WITH_FIELDS = 1_000;
/** Fields of one item. */
const MOST_FIELDS = 20;

/** The items of a finding. They hold content, so only their shapes may be stored or shown. */
export interface FoundItems {
  readonly legacy?: LegacyItem;
  readonly orchestrator?: ListedMemory;
  /** Index in legacy's list. */
  readonly legacyIndex?: number;
}

/** Kind and size of each field, and a digest for text. */
type FieldShapes = Readonly<Record<string, string>>;

/** Adds what a reviewer needs to each finding: when the item was written, its place on legacy, and its redacted fields. */
export function detailed(
  findings: readonly ItemFinding[],
  itemsOf: ReadonlyMap<ItemFinding, FoundItems>,
): readonly ItemFinding[] {
  return findings.map((finding, index) => {
    const items = itemsOf.get(finding);
    return items === undefined ? finding : { ...finding, ...detailOf(items, index < MOST_WITH_FIELDS) };
  });
}

function detailOf(items: FoundItems, hasFields: boolean): Partial<ItemFinding> {
  const { legacy, orchestrator, legacyIndex } = items;
  const at =
    legacy === undefined || legacy.isTimeUnknown === true ? orchestrator?.memory.created_at : legacy.at;
  return {
    ...(at !== undefined && { at }),
    ...(legacyIndex !== undefined && { place: legacyIndex + 1 }),
    ...(hasFields && fieldsOf(items)),
  };
}

function fieldsOf({ legacy, orchestrator }: FoundItems): Partial<ItemFinding> {
  // Legacy has no tags, so an item that lacks them differs in nothing else.
  if (orchestrator?.dueTags !== undefined)
    return {
      beforeFields: { tags: shapeOf(orchestrator.memory.tags) },
      afterFields: { tags: shapeOf(orchestrator.dueTags) },
    };
  return {
    ...(orchestrator !== undefined && { beforeFields: shapesOf(orchestrator.fields) }),
    ...(legacy !== undefined && { afterFields: shapesOf(legacy.fields) }),
  };
}

function shapesOf(fields: Readonly<Record<string, string>>): FieldShapes {
  const shown = Object.entries(fields).slice(0, MOST_FIELDS);
  return Object.fromEntries(shown.map(([name, text]) => [nameOf(name), shapeOf(parsed(text))]));
}

function parsed(text: string): unknown {
  try {
    return parseTolerantly(text);
  } catch {
    return text;
  }
}
