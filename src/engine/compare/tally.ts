import type { ComparisonRule, RankingMeasure } from '../../domain/comparison.ts';
import type { ShownItems } from '../../domain/item-key.ts';
import type { ExpiryFacts } from './expiry.ts';

/** Time gaps of one comparison that are kept to measure the clocks. */
const GAPS_KEPT = 32;

/** What two replies are judged with, beside themselves. Plain data: it crosses to another thread. */
export interface JudgingFacts {
  /** What legacy's clock is ahead by; times are compared after it is subtracted. @defaultValue 0 */
  readonly clockOffsetSeconds?: number;
  /** The request's members, for the words of a search. */
  readonly request?: Readonly<Record<string, unknown>>;
  /** Keys of items of this lane that were deleted. */
  readonly deleted?: ReadonlySet<string>;
  /** What names an item where no rule names its key. */
  readonly items?: ShownItems;
  readonly expiry?: ExpiryFacts;
}

/** What one comparison notes on its way: what rules accepted, once each time, and what was measured. */
export class Tally {
  readonly facts: JudgingFacts;
  readonly accepted: ComparisonRule[] = [];
  /** Legacy's time minus the orchestrator's. */
  readonly gapsSeconds: number[] = [];
  ranking: RankingMeasure | undefined;
  /** Whether a number was compared: its spelling may matter. */
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

  /** Forgets what was accepted since it was `length` long: that comparison came to nothing. */
  rollBack(length: number): void {
    if (this.accepted.length > length) this.accepted.length = length;
  }
}
