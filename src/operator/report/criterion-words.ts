import { GUARD_LIMITS } from '../../engine/guard/triggers.ts';
import type { InterlockWord } from '../../engine/guard/reason.ts';

/** Criteria that need the numbers of a whole day. */
type DayWord =
  | 'mismatches_of_the_day'
  | 'not_comparable_of_the_day'
  | 'proxy_errors_of_the_day'
  | 'orchestrator_errors_of_the_day'
  | 'dead_letter_lanes'
  | 'lost_items'
  | 'reads_slower_than_legacy';

/** Criteria of a service whose legacy is read-only. */
type EndWord =
  'final_reconciliation_unequal' | 'writers_without_the_proxy' | 'read_only_time' | 'backup_not_verified';

/** A missing reconciliation fails the same criterion as one that is too old. */
export type CriterionName = Exclude<InterlockWord, 'never_reconciled'> | DayWord | EndWord;

export type CriterionUnit = 'yes_no' | 'count' | 'rate' | 'percentage' | 'seconds' | 'ms';

interface CriterionWords {
  readonly title: string;
  readonly unit: CriterionUnit;
  /** How the present value must compare to the limit. */
  readonly sign: '<' | '≤' | '≥';
}

const yesNo = (title: string): CriterionWords => ({ title, unit: 'yes_no', sign: '≥' });

export const CRITERION_WORDS: Readonly<Record<CriterionName, CriterionWords>> = {
  legacy_does_not_answer: yesNo('Legacy answers a probe'),
  orchestrator_does_not_answer: yesNo('The orchestrator answers a probe'),
  not_covered: yesNo('Every write is journaled'),
  not_covered_everywhere: { title: 'Replicas that use the current coverage', unit: 'count', sign: '≥' },
  backfill_not_finished: { title: 'Backfilled lanes', unit: 'count', sign: '≥' },
  too_many_unwell_lanes: { title: 'Dirty, stopped or excepted lanes', unit: 'count', sign: '≤' },
  deliveries_behind: { title: 'Oldest write not delivered', unit: 'seconds', sign: '<' },
  unclassified_actions: { title: 'Requests of unknown actions, 24 h', unit: 'count', sign: '≤' },
  reconciliation_too_old: { title: 'Time since the last full reconciliation', unit: 'seconds', sign: '<' },
  lanes_differ: { title: 'Lanes that differ between the stores', unit: 'count', sign: '≤' },
  too_many_lanes_not_compared: {
    title: 'Lanes that the last full reconciliation could not compare',
    unit: 'count',
    sign: '≤',
  },
  too_slow: { title: `p95 of added latency, last ${GUARD_LIMITS.ofMinutes} minutes`, unit: 'ms', sign: '<' },
  ramp_held: yesNo('The guard does not block increases'),
  latched: yesNo('No latch is set'),
  kill_switch: yesNo('The kill switch is off'),
  too_few_comparisons: { title: 'Comparisons', unit: 'count', sign: '≥' },
  too_few_without_error: { title: 'Comparisons without errors', unit: 'count', sign: '≥' },
  mismatch_rate_not_proven: { title: '95 % upper bound of the mismatch rate', unit: 'rate', sign: '<' },
  versions_differ: { title: 'Versions that replicas answer moved writes with', unit: 'count', sign: '≤' },
  reads_not_all_moved: { title: 'Reads that have moved', unit: 'percentage', sign: '≥' },
  soaking: { title: 'Time since all reads moved', unit: 'seconds', sign: '≥' },
  reverse_delivery_not_proven: yesNo('Delivery to legacy is proven'),
  rollback_list_not_accepted: { title: 'Writes that legacy could not hold', unit: 'count', sign: '≤' },
  lanes_not_flipped: { title: 'Lanes whose writes have not moved', unit: 'count', sign: '≤' },
  reverse_backlog: { title: 'Writes that wait for legacy', unit: 'count', sign: '≤' },
  writers_bypass_the_proxy: {
    title: 'Time since a writer bypassed the proxy',
    unit: 'seconds',
    sign: '≥',
  },
  final_reconciliation_unequal: {
    title: 'Lanes and items not equal in the last comparison of a read-only legacy',
    unit: 'count',
    sign: '≤',
  },
  writers_without_the_proxy: {
    title: 'Owners changed without the proxy, since legacy is read-only',
    unit: 'count',
    sign: '≤',
  },
  read_only_time: { title: 'Time read-only without a foreign writer', unit: 'seconds', sign: '≥' },
  backup_not_verified: {
    title: 'Backups of legacy restored and read back, since its last write',
    unit: 'count',
    sign: '≥',
  },
  mismatches_of_the_day: { title: 'Mismatches of the day', unit: 'rate', sign: '≤' },
  not_comparable_of_the_day: { title: 'Answers that could not be compared', unit: 'rate', sign: '≤' },
  proxy_errors_of_the_day: { title: 'Requests that the proxy failed', unit: 'rate', sign: '≤' },
  orchestrator_errors_of_the_day: { title: 'Reads that the orchestrator failed', unit: 'rate', sign: '≤' },
  dead_letter_lanes: { title: 'Lanes blocked by a dead letter', unit: 'count', sign: '<' },
  reads_slower_than_legacy: {
    title: 'p95 above legacy, upper bound of the 95 % interval',
    unit: 'ms',
    sign: '≤',
  },
  lost_items: { title: 'Items that legacy lost', unit: 'count', sign: '≤' },
};
