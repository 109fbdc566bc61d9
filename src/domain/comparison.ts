/** Classes of differences that count against a service. */
const COUNTED_CLASSES = [
  'value',
  'type',
  'missing_in_orchestrator',
  'extra_in_orchestrator',
  'order',
  'error_parity',
  'ranking',
] as const;

export type DifferenceClass = (typeof COUNTED_CLASSES)[number];

/**
 * Classes of differences that are found and explained. They are shown next to the rate and are no part of it. What a rule accepts
 * is only counted.
 */
export const EXPLAINED_CLASSES = ['noise', 'forgotten', 'expired_skew'] as const;

export type ExplainedClass = (typeof EXPLAINED_CLASSES)[number];

export type Verdict = 'match' | 'mismatch' | 'not_comparable';

/**
 * Why two answers, or two lists of a lane, could not be compared. `unknown_lane`: it was never written, and both sides answer the
 * same, which proves nothing and is not an error. `unreadable`: legacy's store. `lost`: they differ only by lost items. If
 * everything that differs is explained, the explanation.
 */
export type NotComparable =
  | 'racy'
  | 'shadow_timeout'
  | 'shadow_error'
  | 'primary_error'
  | 'not_seeded'
  | 'unknown_lane'
  | 'dirty'
  | 'too_large'
  | 'unreadable'
  | 'lost'
  | ExplainedClass;

/** What the two values have in common, so that a person knows where to look first. */
export type Hint =
  | 'clock'
  | 'default_value'
  | 'rounding'
  | 'missing_backfill'
  | 'order'
  | 'encoding'
  | 'cut_text'
  | 'flipped_lane'
  | 'spelling_of_numbers';

/** One difference, without the compared content: shapes and digests replace it. */
export interface Difference {
  /** Members joined by dots. `[]` means any index: `context[].content`. */
  readonly path: string;
  readonly class: DifferenceClass;
  /** Shape and digest, such as `string(12)#3fa9c1d2`, or `absent`. */
  readonly legacy: string;
  readonly orchestrator: string;
  readonly hint?: Hint;
  /** The distance of two numbers (their unit) or two times (seconds): enough to judge a tolerance without the values. */
  readonly apart?: number;
}

/** A difference whose cause is not an error of the orchestrator. */
interface ExplainedDifference {
  readonly difference: Difference;
  readonly by: ExplainedClass;
}

/** The similarity of two rankings. Each value is 0–1. */
export interface RankingMeasure {
  /** Share of legacy's first k items that are among the orchestrator's first k. */
  readonly overlap: number;
  /** Rank-biased overlap, p = 0.9, extrapolated. */
  readonly rankBiasedOverlap: number;
  /** Share of legacy's items with a word of the query that the orchestrator also returned. Absent without a query. */
  readonly lexical?: { readonly expected: number; readonly found: number };
}

export interface Comparison {
  readonly verdict: Verdict;
  readonly differences: readonly Difference[];
  /** Set if the verdict is `not_comparable`. */
  readonly reason?: NotComparable;
  /** Differences that a rule accepted. */
  readonly suppressed: number;
  /** Differences that were found and explained, and do not count. */
  readonly explained?: readonly ExplainedDifference[];
  /** Set if both answers are errors in the service's dialect. */
  readonly isErrorPair?: true;
  readonly ranking?: RankingMeasure;
  /** A match that was seen lately, for the same request on the unchanged lane. It is no further evidence. */
  readonly isRepeat?: true;
  /** Deleted items that the orchestrator returned: a violation of I5. */
  readonly deletedReturned?: number;
}

interface RuleBase {
  /** Like {@link Difference.path}. */
  readonly path: string;
  /** The person responsible for the rule. */
  readonly owner: string;
  readonly reason: string;
  /** The rule is off from this ISO date. An operator's rule always has one. */
  readonly expires?: string;
}

/** Minimum values for a search answer, each 0–1. */
interface RankingFloors {
  /** @defaultValue 10 */
  readonly k?: number;
  /** @defaultValue 0.7 */
  readonly overlap?: number;
  /** @defaultValue 0.7 */
  readonly rankBiasedOverlap?: number;
  /** @defaultValue 0.99 */
  readonly lexicalRecall?: number;
}

/**
 * Allowed differences, as data. `ignore`: the whole subtree. `tolerance_seconds`: the maximum distance of two times (epoch
 * seconds or ISO text). `tolerance`: the maximum distance of two numbers. `prefix`: legacy's text, without its final `...`,
 * begins the orchestrator's. `equal_if_missing`: absent equals null. `default`: absent equals this value. `set`: the order of the
 * list does not count. `keyed`: the order does not count, and elements with the same `key` are compared. `ranking`: a search
 * answer, compared by minimum similarity and not by identity. Its `key` identifies an item, `text` holds the item's words, and
 * `query` is the request's member with the query.
 */
export type ComparisonRule = RuleBase &
  (
    | { readonly kind: 'prefix' | 'equal_if_missing' | 'set' }
    // If the path names no member of a list's element, the author has confirmed that it may hide whole items.
    | { readonly kind: 'ignore'; readonly hidesList?: true }
    | { readonly kind: 'tolerance_seconds'; readonly seconds: number }
    | { readonly kind: 'tolerance'; readonly within: number }
    | { readonly kind: 'default'; readonly value: string | number | boolean | null }
    | { readonly kind: 'keyed'; readonly key: string }
    | {
        readonly kind: 'ranking';
        readonly key: string;
        readonly text?: string;
        readonly query?: string;
        readonly floors?: RankingFloors;
      }
  );

export type RuleKind = ComparisonRule['kind'];

/** The rule's name, for people and for counting: `tolerance_seconds context[].timestamp`. */
export function ruleNameOf({ kind, path }: ComparisonRule): string {
  return `${kind} ${path}`;
}

/** Which elements of an answer are items, for replies without ids: those of this member. These members of an item identify it. */
export interface ShownItems {
  readonly list: string;
  readonly members: readonly string[];
}

/**
 * Identifies an item by what it shows, in this order. Numbers use their JavaScript value, because requests and replies may be
 * parsed differently. It holds the item's content, so it must not be stored or logged.
 */
export function itemKeyOf(shown: readonly unknown[]): string {
  return JSON.stringify(shown, (_key, value: unknown) => (typeof value === 'bigint' ? Number(value) : value));
}
