/** Classes of a difference, and of what is not one. The first group counts, the second is printed beside it. */
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

export type Verdict = 'match' | 'mismatch' | 'not_comparable';

/** Why two answers could not be compared. */
export type NotComparable =
  'racy' | 'shadow_timeout' | 'shadow_error' | 'primary_error' | 'not_seeded' | 'dirty' | 'too_large';

/** One difference, without any of the compared content: a shape and a digest stand for it. */
export interface Difference {
  /** Members joined by dots; `[]` stands for any index: `context[].content`. */
  readonly path: string;
  readonly class: DifferenceClass;
  /** Shape and digest, such as `string(12)#3fa9c1d2`, or `absent`. */
  readonly legacy: string;
  readonly orchestrator: string;
}

export interface Comparison {
  readonly verdict: Verdict;
  readonly differences: readonly Difference[];
  /** Set where the verdict is `not_comparable`. */
  readonly reason?: NotComparable;
  /** Differences that a rule accepted. */
  readonly suppressed: number;
}

interface RuleBase {
  /** As {@link Difference.path}. */
  readonly path: string;
  /** Who answers for the rule. */
  readonly owner: string;
  readonly reason: string;
  /** ISO date after which the rule is off. */
  readonly expires?: string;
}

/**
 * What may differ, as data. `ignore`: the whole subtree. `tolerance_seconds`: two times (epoch seconds or ISO text) so far apart.
 * `prefix`: legacy's text, its closing `...` aside, begins the orchestrator's. `equal_if_missing`: absent equals null.
 * `set`: order of the list does not count.
 */
export type ComparisonRule = RuleBase &
  (
    | { readonly kind: 'ignore' | 'prefix' | 'equal_if_missing' | 'set' }
    | { readonly kind: 'tolerance_seconds'; readonly seconds: number }
  );
