import type { ComparisonRule, RankingMeasure, ShownItems } from '../../domain/comparison.ts';
import type { ExpiryFacts } from './expiry.ts';

/** Time gaps per comparison that are kept to measure the clocks. */
const GAPS_KEPT = 32;

/** Settings for judging two replies. Plain data, because it is sent to another thread. */
export interface JudgingFacts {
  /** How far legacy's clock is ahead. It is subtracted before times are compared. @defaultValue 0 */
  readonly clockOffsetSeconds?: number;
  /** The request's members, for the words of a search. */
  readonly request?: Readonly<Record<string, unknown>>;
  /** Keys of deleted items of this lane. */
  readonly deleted?: ReadonlySet<string>;
  /** The lane is flipped, so that legacy may show a deleted item as well. @defaultValue false */
  readonly isFlipped?: boolean;
  /** Identifies an item where no rule names its key. */
  readonly items?: ShownItems;
  readonly expiry?: ExpiryFacts;
}

/** What one comparison records: what rules accepted, once per time, and what was measured. */
export class Tally {
  readonly facts: JudgingFacts;
  readonly accepted: ComparisonRule[] = [];
  /** Legacy's time minus the orchestrator's. */
  readonly gapsSeconds: number[] = [];
  ranking: RankingMeasure | undefined;
  /** Whether a number was compared, because then its spelling may matter. */
  hasMetNumber = false;

  constructor(facts: JudgingFacts) {
    this.facts = facts;
  }

  noteNumber(value: unknown): void {
    if (typeof value === 'number') this.hasMetNumber = true;
  }

  gap(seconds: number): void {
    if (this.gapsSeconds.length < GAPS_KEPT) this.gapsSeconds.push(seconds);
  }

  /** Removes what was accepted since the list had this `length`, because that comparison ended with a difference. */
  rollBack(length: number): void {
    if (this.accepted.length > length) this.accepted.length = length;
  }
}
