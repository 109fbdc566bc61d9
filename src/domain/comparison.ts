/** Classes of a difference that count against a service. */
export const COUNTED_CLASSES = [
  'value',
  'type',
  'missing_in_orchestrator',
  'extra_in_orchestrator',
  'order',
  'error_parity',
  'ranking',
] as const;

export type DifferenceClass = (typeof COUNTED_CLASSES)[number];

/** Classes of what is found and explained: printed beside the rate, never part of it. What a rule accepts is only counted. */
export const EXPLAINED_CLASSES = ['noise', 'forgotten', 'expired_skew'] as const;

export type ExplainedClass = (typeof EXPLAINED_CLASSES)[number];

export type Verdict = 'match' | 'mismatch' | 'not_comparable';

/**
 * Why two answers, or two lists of a lane, could not be compared. `unknown_lane`: nobody ever wrote to it, and both sides say the same
 * of it: that proves nothing, and is no fault. `unreadable`: legacy's store; `lost`: only by items that legacy lost.
 * Where all that differs is explained, what explains it.
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
  | 'spelling_of_numbers';

/** One difference, without any of the compared content: a shape and a digest stand for it. */
export interface Difference {
  /** Members joined by dots; `[]` stands for any index: `context[].content`. */
  readonly path: string;
  readonly class: DifferenceClass;
  /** Shape and digest, such as `string(12)#3fa9c1d2`, or `absent`. */
  readonly legacy: string;
  readonly orchestrator: string;
  readonly hint?: Hint;
  /** How far two numbers (their unit) or two times (seconds) are apart: enough to judge a tolerance without the values. */
  readonly apart?: number;
}

/** A difference that something other than the orchestrator's being wrong accounts for. */
export interface ExplainedDifference {
  readonly difference: Difference;
  readonly by: ExplainedClass;
}

/** How alike two rankings are. Each 0–1. */
export interface RankingMeasure {
  /** Share of legacy's first k that are among the orchestrator's first k. */
  readonly overlap: number;
  /** Rank-biased overlap, p = 0.9, extrapolated. */
  readonly rankBiasedOverlap: number;
  /** Of legacy's items that hold a word of the query, those the orchestrator returned too; absent where no query is known. */
  readonly lexical?: { readonly expected: number; readonly found: number };
}

export interface Comparison {
  readonly verdict: Verdict;
  readonly differences: readonly Difference[];
  /** Set where the verdict is `not_comparable`. */
  readonly reason?: NotComparable;
  /** Differences that a rule accepted. */
  readonly suppressed: number;
  /** Found, explained, and not counted. */
  readonly explained?: readonly ExplainedDifference[];
  /** Set where both answers are errors in the service's dialect. */
  readonly isErrorPair?: true;
  readonly ranking?: RankingMeasure;
  /** A match that was seen lately, of the same lane at the same place asked for the same: no further evidence. */
  readonly isRepeat?: true;
  /** Items the orchestrator returned although they were deleted: a violation of I5. */
  readonly deletedReturned?: number;
}

interface RuleBase {
  /** As {@link Difference.path}. */
  readonly path: string;
  /** Who answers for the rule. */
  readonly owner: string;
  readonly reason: string;
  /** ISO date from which on the rule is off; an operator's rule always has one. */
  readonly expires?: string;
}

/** Floors of a search answer, each 0–1. */
export interface RankingFloors {
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
 * What may differ, as data. `ignore`: the whole subtree. `tolerance_seconds`: two times (epoch seconds or ISO text) so far apart.
 * `tolerance`: two numbers so far apart. `prefix`: legacy's text, its closing `...` aside, begins the orchestrator's.
 * `equal_if_missing`: absent equals null. `default`: absent equals this value. `set`: order of the list does not count.
 * `keyed`: nor does it here, and elements with the same `key` stand for each other. `ranking`: a search answer, judged against floors
 * and never by identity; `key` names an item, `text` holds its words, `query` is the request's member with the question.
 */
export type ComparisonRule = RuleBase &
  (
    | { readonly kind: 'prefix' | 'equal_if_missing' | 'set' }
    // Where it names no member of a list's element, whoever added it has said that it may hide all of a list.
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

/** Which rule it is, for people and for counting: `tolerance_seconds context[].timestamp`. */
export function ruleNameOf({ kind, path }: ComparisonRule): string {
  return `${kind} ${path}`;
}
