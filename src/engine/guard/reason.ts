/** Why less of a flag is active than requested, as closed words. */
export type InterlockWord =
  // dual-write
  | 'legacy_does_not_answer'
  | 'orchestrator_does_not_answer'
  // shadow-read
  | 'not_covered'
  | 'not_covered_everywhere'
  // read-cutover, of the service
  | 'backfill_not_finished'
  | 'too_many_unwell_lanes'
  | 'deliveries_behind'
  | 'unclassified_actions'
  | 'never_reconciled'
  | 'reconciliation_too_old'
  | 'lanes_differ'
  | 'too_many_lanes_not_compared'
  | 'too_slow'
  | 'ramp_held'
  | 'latched'
  | 'kill_switch'
  // read-cutover, of one action
  | 'too_few_comparisons'
  | 'too_few_without_error'
  | 'mismatch_rate_not_proven'
  // write-cutover
  | 'versions_differ'
  | 'reads_not_all_moved'
  | 'soaking'
  | 'reverse_delivery_not_proven'
  | 'rollback_list_not_accepted'
  // legacy-read-only
  | 'lanes_not_flipped'
  | 'reverse_backlog'
  | 'writers_bypass_the_proxy';

/** One reason with its numbers: the present and the required value. */
export interface InterlockReason {
  readonly word: InterlockWord;
  /** The unit depends on the word: seconds, lanes, comparisons, or a rate. */
  readonly have?: number;
  readonly need?: number;
  /** A name, if the reason has one: an action or a trigger. */
  readonly of?: string;
}
