import type { RankingMeasure } from '../../domain/comparison.ts';
import { isJsonObject } from '../../domain/json.ts';
import type { RankingRule, RuleNode } from './compiled-rules.ts';
import { isComposite, plainOf } from './reply-values.ts';
import type { Tally } from './tally.ts';
import { combineHashes, hashText } from './digest.ts';

type IndexPair = readonly [legacy: number, orchestrator: number];

/** The pairing of the elements of two lists. All numbers are indices. */
export interface Partners {
  /**
   * The same element at another place, or the same except for its content. These are compared next, in the order of legacy's
   * list.
   */
  readonly moved: readonly IndexPair[];
  /** Whether all elements with a partner have the same order in both lists. */
  readonly isInOrder: boolean;
  readonly onlyLegacy: readonly number[];
  readonly onlyOrchestrator: readonly number[];
}

export interface ListPair {
  readonly legacy: readonly unknown[];
  readonly orchestrator: readonly unknown[];
}

/** How elements are compared. */
interface ElementEquality {
  readonly fingerprints: Fingerprints;
  /** Whether two elements are equal except for what rules accept. Accepted differences are counted. */
  holds(legacy: unknown, orchestrator: unknown, node: RuleNode | undefined): boolean;
  /** The same, without counting. */
  wouldHold(legacy: unknown, orchestrator: unknown, node: RuleNode | undefined): boolean;
}

interface Search {
  /** The rules of the lists. */
  readonly node: RuleNode | undefined;
  readonly equality: ElementEquality;
}

/**
 * Pairs equal elements. First those at the same place, counted from the front or from the end. Then, among the rest, the first of
 * several equal ones with the first, the second with the second. Elements that are equal in place are in no list of the result.
 */
export function findPartners(
  lists: ListPair,
  node: RuleNode | undefined,
  equality: ElementEquality,
): Partners {
  const search = { node, equality };
  const remaining = notInPlace(lists, search);
  const { legacy, orchestrator } = remaining;
  const isSmall = node?.setRule === undefined && legacy.length * orchestrator.length <= FEW_PAIRS;
  const moved = isSmall ? byComparison(lists, remaining, search) : byFingerprint(lists, remaining, search);
  if (moved.length === 0)
    return { moved, isInOrder: true, onlyLegacy: legacy, onlyOrchestrator: orchestrator };
  const found = new Set(moved.map(([mine]) => mine));
  const taken = new Set(moved.map(([, theirs]) => theirs));
  return {
    moved,
    isInOrder: isInOrder(lists, remaining, moved),
    onlyLegacy: legacy.filter((index) => !found.has(index)),
    onlyOrchestrator: orchestrator.filter((index) => !taken.has(index)),
  };
}

/** This many comparisons cost less than making fingerprints. */
const FEW_PAIRS = 16;

interface Indices {
  readonly legacy: readonly number[];
  readonly orchestrator: readonly number[];
}

/** Lists of equal length are compared place by place. Others are compared from the start and from the end. */
function notInPlace({ legacy, orchestrator }: ListPair, { node, equality }: Search): Indices {
  const elements = node?.elements;
  if (legacy.length === orchestrator.length) {
    const apart: number[] = [];
    for (let at = 0; at < legacy.length; at += 1) {
      if (!equality.holds(legacy[at], orchestrator[at], elements)) apart.push(at);
    }
    return { legacy: apart, orchestrator: apart };
  }
  const shorter = Math.min(legacy.length, orchestrator.length);
  let first = 0;
  while (first < shorter && equality.holds(legacy[first], orchestrator[first], elements)) first += 1;
  let last = 0;
  while (
    first + last < shorter &&
    equality.holds(legacy[legacy.length - 1 - last], orchestrator[orchestrator.length - 1 - last], elements)
  ) {
    last += 1;
  }
  return { legacy: span(first, legacy.length - last), orchestrator: span(first, orchestrator.length - last) };
}

function span(from: number, to: number): number[] {
  const indices: number[] = [];
  for (let at = from; at < to; at += 1) indices.push(at);
  return indices;
}

function byComparison(lists: ListPair, remaining: Indices, { node, equality }: Search): IndexPair[] {
  const moved: IndexPair[] = [];
  const isInPlace = lists.legacy.length === lists.orchestrator.length;
  for (const mine of remaining.legacy) {
    for (const theirs of remaining.orchestrator) {
      if ((isInPlace && mine === theirs) || moved.some(([, taken]) => taken === theirs)) continue;
      if (!equality.wouldHold(lists.legacy[mine], lists.orchestrator[theirs], node?.elements)) continue;
      moved.push([mine, theirs]);
      break;
    }
  }
  return moved;
}

function byFingerprint(lists: ListPair, remaining: Indices, { node, equality }: Search): IndexPair[] {
  const { fingerprints } = equality;
  const waiting = new Map<number, number[]>();
  for (const theirs of remaining.orchestrator.toReversed()) {
    const fingerprint = fingerprints.ofElement(lists.orchestrator[theirs], node);
    const same = waiting.get(fingerprint);
    if (same === undefined) waiting.set(fingerprint, [theirs]);
    else same.push(theirs);
  }
  return remaining.legacy.flatMap((mine): IndexPair[] => {
    const theirs = waiting.get(fingerprints.ofElement(lists.legacy[mine], node))?.pop();
    return theirs === undefined ? [] : [[mine, theirs]];
  });
}

/** Whether the elements in place and those found elsewhere have the same order in both lists. */
function isInOrder(
  { legacy, orchestrator }: ListPair,
  remaining: Indices,
  moved: readonly IndexPair[],
): boolean {
  const found = new Map(moved);
  const apart = new Set(remaining.legacy);
  const last = remaining.legacy.at(-1) ?? -1;
  // After the last place that differs, both lists are equal again, perhaps shifted.
  const shift = orchestrator.length - legacy.length;
  let before = -1;
  for (let mine = 0; mine < legacy.length; mine += 1) {
    const theirs = apart.has(mine) ? found.get(mine) : mine + (mine > last ? shift : 0);
    if (theirs === undefined) continue;
    if (theirs < before) return false;
    before = theirs;
  }
  return true;
}

const FLOORS = { k: 10, overlap: 0.7, rankBiasedOverlap: 0.7, lexicalRecall: 0.99 } as const;

/** The items that both search answers contain, in legacy's order. */
export function sharedItems({ legacy, orchestrator }: ListPair, key: string): [unknown, unknown][] {
  const theirs = byKey(orchestrator, key);
  return [...byKey(legacy, key)].flatMap(([name, mine]): [unknown, unknown][] =>
    theirs.has(name) ? [[mine, theirs.get(name)]] : [],
  );
}

/** Whether two search answers are alike enough. Notes what was measured, and deleted items that came back. */
export function judgeRanking(lists: ListPair, rule: RankingRule, tally: Tally): boolean {
  const legacy = byKey(lists.legacy, rule.key);
  const orchestrator = byKey(lists.orchestrator, rule.key);
  const { k, ...floors } = { ...FLOORS, ...rule.floors };
  const mine = [...legacy.keys()];
  const theirs = [...orchestrator.keys()];
  const lexical = lexicalRecall({ legacy, orchestrator }, rule, tally);
  const measure: RankingMeasure = {
    overlap: overlapAt(k, mine, theirs),
    rankBiasedOverlap: rankBiasedOverlap(mine, theirs),
    ...(lexical !== undefined && { lexical }),
  };
  tally.ranking = measure;
  const isAlike =
    measure.overlap >= floors.overlap &&
    measure.rankBiasedOverlap >= floors.rankBiasedOverlap &&
    (lexical === undefined || lexical.found >= lexical.expected * floors.lexicalRecall);
  if (isAlike && measure.rankBiasedOverlap < 1) tally.accepted.push(rule);
  return isAlike;
}

type ByKey = ReadonlyMap<string, unknown>;

/** Items by key, the first of equal ones. An item without a key is identified by its place. */
function byKey(items: readonly unknown[], key: string): ByKey {
  const found = new Map<string, unknown>();
  items.forEach((item, index) => {
    const name = keyOfItem(item, key) ?? `at ${index}`;
    if (!found.has(name)) found.set(name, item);
  });
  return found;
}

/** The key of a list's item as text; undefined if it has none. */
function keyOfItem(item: unknown, key: string): string | undefined {
  const value = isJsonObject(item) ? plainOf(item[key]) : undefined;
  if (typeof value === 'string') return `string ${value}`;
  return typeof value === 'number' || typeof value === 'bigint' ? `number ${value}` : undefined;
}

function lexicalRecall(
  { legacy, orchestrator }: { readonly legacy: ByKey; readonly orchestrator: ByKey },
  { query, text }: RankingRule,
  { facts }: Tally,
): RankingMeasure['lexical'] {
  const question = query === undefined ? undefined : facts.request?.[query];
  if (typeof question !== 'string' || text === undefined) return undefined;
  const words = wordsOf(question);
  const expected = [...legacy].filter(([, item]) => holdsWords(item, text, words)).map(([key]) => key);
  return { expected: expected.length, found: expected.filter((key) => orchestrator.has(key)).length };
}

function holdsWords(item: unknown, text: string, words: readonly string[]): boolean {
  const value = isJsonObject(item) ? item[text] : undefined;
  if (typeof value !== 'string' || words.length === 0) return false;
  const lower = value.toLowerCase();
  return words.every((word) => lower.includes(word));
}

/** The weight of deeper ranks. At 0.9 the first ten ranks hold 86 % of the weight. */
const PERSISTENCE = 0.9;

/** Share of the first k entries of one ranking that are among the first k of the other. Two empty rankings agree. */
export function overlapAt(k: number, left: readonly string[], right: readonly string[]): number {
  const theirs = new Set(right.slice(0, k));
  const mine = new Set(left.slice(0, k));
  const most = Math.max(mine.size, theirs.size);
  return most === 0 ? 1 : [...mine].filter((key) => theirs.has(key)).length / most;
}

/**
 * Rank-biased overlap of two rankings of any lengths, extrapolated: RBO_EXT, equation 32 of Webber, Moffat and Zobel,
 * "A similarity measure for indefinite rankings" (2010). Keys must not repeat within a ranking.
 */
export function rankBiasedOverlap(
  left: readonly string[],
  right: readonly string[],
  p = PERSISTENCE,
): number {
  const [short, long] = left.length <= right.length ? [left, right] : [right, left];
  if (long.length === 0) return 1;
  if (short.length === 0) return 0;
  const overlaps = overlapsByDepth(short, long);
  const atShort = overlaps[short.length - 1] ?? 0;
  const atLong = overlaps[long.length - 1] ?? 0;
  let sum = 0;
  overlaps.forEach((overlap, index) => {
    const depth = index + 1;
    // Beyond its end, the short ranking is assumed to agree as before.
    const assumed = depth > short.length ? (atShort * (depth - short.length)) / short.length : 0;
    sum += ((overlap + assumed) / depth) * p ** depth;
  });
  const tail = ((atLong - atShort) / long.length + atShort / short.length) * p ** long.length;
  return ((1 - p) / p) * sum + tail;
}

/** How many keys the first d entries of both share, for each depth d of the longer ranking. */
function overlapsByDepth(short: readonly string[], long: readonly string[]): number[] {
  const seenShort = new Set<string>();
  const seenLong = new Set<string>();
  let common = 0;
  return long.map((key, index) => {
    const other = short[index];
    if (other === key) common += 1;
    else {
      if (seenShort.has(key)) common += 1;
      if (other !== undefined && seenLong.has(other)) common += 1;
    }
    seenLong.add(key);
    if (other !== undefined) seenShort.add(other);
    return common;
  });
}

/** The words of a query, in lower case. */
export function wordsOf(query: string): string[] {
  return query.toLowerCase().match(/[\p{L}\p{N}]{2,}/gu) ?? [];
}

/**
 * The fingerprints of one comparison. Equal values have equal numbers, and values that a rule leaves open do not count.
 * Fingerprints find partners in lists. Partners are compared afterwards, so a collision hides nothing. Each value is hashed once,
 * at any depth.
 */
export class Fingerprints {
  #known: Map<object, number> | undefined;

  of(value: unknown, node: RuleNode | undefined): number {
    if (node?.isOpen === true) return 0;
    if (!isComposite(value)) return hashText(scalarText(plainOf(value)));
    this.#known ??= new Map();
    const known = this.#known.get(value);
    if (known !== undefined) return known;
    const made = Array.isArray(value) ? this.#ofList(value, node) : this.#ofObject(value, node);
    this.#known.set(value, made);
    return made;
  }

  /** For an element of a list. In a keyed list, only the key identifies the element. */
  ofElement(element: unknown, list: RuleNode | undefined): number {
    const key = list?.key;
    if (key === undefined || !isComposite(element)) {
      return this.of(element, list?.elements);
    }
    return this.of(element[key] ?? null, undefined);
  }

  #ofList(list: readonly unknown[], node: RuleNode | undefined): number {
    const parts = list.map((element) => this.of(element, node?.elements));
    return combineHashes(node?.setRule !== undefined ? parts.toSorted((a, b) => a - b) : parts, 1);
  }

  #ofObject(object: object, node: RuleNode | undefined): number {
    const parts: number[] = [];
    for (const [key, value] of Object.entries(object)) {
      const rules = node?.members.get(key);
      // A member that a rule allows to be missing identifies nothing.
      if (rules?.isOpen === true || (value === null && rules !== undefined)) continue;
      parts.push(combineHashes([hashText(key), this.of(value, rules)], 2));
    }
    return combineHashes(
      parts.sort((a, b) => a - b),
      3,
    );
  }
}

/** A spelling in which equal values have equal texts. A bigint and a float may be the same number. */
function scalarText(value: unknown): string {
  if (typeof value === 'string') return `"${value}`;
  const isLarge = typeof value === 'number' && Number.isInteger(value) && !Number.isSafeInteger(value);
  return String(isLarge ? BigInt(value) : value);
}
