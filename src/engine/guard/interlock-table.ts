import type { ServiceFlag } from '../../domain/flags.ts';
import type { ActionFacts, InterlockFacts } from './interlock-facts.ts';
import type { InterlockReason, InterlockWord } from './reason.ts';

/** What a check measured, fine or not. If it is not fine, the reason blocks the flag. */
export interface Checked {
  readonly isFine: boolean;
  readonly reason: InterlockReason;
}

export type Check<Facts> = (facts: Facts) => Checked;

const HOUR_SECONDS = 3_600;
const RECONCILED_TO_RAISE_SECONDS = 24 * HOUR_SECONDS;
/** Reads that have moved go back if the last full reconciliation is older than this. */
export const RECONCILED_TO_KEEP_SECONDS = 48 * HOUR_SECONDS;
const OLDEST_DELIVERY_SECONDS = 5;
const ADDED_P95_MS = 50;
/** Share of lanes that may be dirty, stopped or excepted, and a number that is always allowed. */
const UNWELL_SHARE = 0.001;
const UNWELL_LANES = 3;

function unless(isFine: boolean, word: InterlockWord, numbers: Omit<InterlockReason, 'word'> = {}): Checked {
  return { isFine, reason: { word, ...numbers } };
}

const legacyAnswers: Check<InterlockFacts> = ({ answers }) =>
  unless(answers.legacy, 'legacy_does_not_answer');

const orchestratorAnswers: Check<InterlockFacts> = ({ answers }) =>
  unless(answers.orchestrator, 'orchestrator_does_not_answer');

const covered: Check<InterlockFacts> = ({ coverage }) => unless(coverage.number > 0, 'not_covered');

const coveredEverywhere: Check<InterlockFacts> = ({ coverage: { number, replicas, acting } }) =>
  unless(number === 0 || acting >= replicas, 'not_covered_everywhere', { have: acting, need: replicas });

const backfilled: Check<InterlockFacts> = ({ lanes: { isBackfillListed, total, unseeded, unwell } }) =>
  // Lanes with problems stay on legacy one by one. All others must be backfilled.
  unless(isBackfillListed && unseeded <= unwell, 'backfill_not_finished', {
    have: total - unseeded,
    need: total,
  });

const wellEnough: Check<InterlockFacts> = ({ lanes: { total, unwell } }) => {
  const most = Math.max(UNWELL_LANES, UNWELL_SHARE * total);
  return unless(unwell <= most, 'too_many_unwell_lanes', { have: unwell, need: most });
};

const delivered: Check<InterlockFacts> = ({ oldestDeliverySeconds: age }) =>
  unless(age < OLDEST_DELIVERY_SECONDS, 'deliveries_behind', { have: age, need: OLDEST_DELIVERY_SECONDS });

const classified: Check<InterlockFacts> = ({ unclassified: { requests, isAccepted } }) =>
  unless(requests === 0 || isAccepted, 'unclassified_actions', { have: requests, need: 0 });

const reconciled =
  (withinSeconds: number): Check<InterlockFacts> =>
  ({ reconciledAgoSeconds: ago }) =>
    ago === null
      ? unless(false, 'never_reconciled', { need: withinSeconds })
      : unless(ago < withinSeconds, 'reconciliation_too_old', { have: ago, need: withinSeconds });

/** Counts the findings of every run, because a later run may have checked other lanes. */
const equalStores: Check<InterlockFacts> = ({ stores: { lanes, run } }) =>
  unless(lanes === 0, 'lanes_differ', { have: lanes, need: 0, ...(run !== null && { of: String(run) }) });

const comparedEnough: Check<InterlockFacts> = ({ stores: { full } }) => {
  const most = Math.max(UNWELL_LANES, UNWELL_SHARE * (full?.lanes ?? 0));
  const have = full?.notComparable ?? 0;
  return unless(have <= most, 'too_many_lanes_not_compared', { have, need: most });
};

const fastEnough: Check<InterlockFacts> = ({ addedP95Ms: added }) =>
  unless(added === null || added < ADDED_P95_MS, 'too_slow', { have: added ?? 0, need: ADDED_P95_MS });

const rampFree: Check<InterlockFacts> = ({ isRampHeld }) => unless(!isRampHeld, 'ramp_held');

const notLatched: Check<InterlockFacts> = ({ latch }) =>
  unless(latch === null, 'latched', latch === null ? {} : { of: latch });

const notKilled: Check<InterlockFacts> = ({ isKilled }) => unless(!isKilled, 'kill_switch');

const sameVersion: Check<InterlockFacts> = ({ versions }) =>
  unless(versions <= 1, 'versions_differ', { have: versions, need: 1 });

const readsAllMoved: Check<InterlockFacts> = ({
  asked,
  writes: { comparableSinceFull, comparableNeeded },
}) =>
  asked['read-cutover'] < 100
    ? unless(false, 'reads_not_all_moved', { have: asked['read-cutover'], need: 100 })
    : unless(comparableSinceFull >= comparableNeeded, 'too_few_comparisons', {
        have: comparableSinceFull,
        need: comparableNeeded,
      });

const soaked: Check<InterlockFacts> = ({ writes: { fullForSeconds, soakSeconds } }) =>
  unless(fullForSeconds !== null && fullForSeconds >= soakSeconds, 'soaking', {
    have: fullForSeconds ?? 0,
    need: soakSeconds,
  });

/** The share may exist for the lane that goes first. All others wait for the proof, lane by lane. */
const reverseProven: Check<InterlockFacts> = ({ writes: { isReverseProven, isFirstLaneNamed } }) =>
  unless(isReverseProven || isFirstLaneNamed, 'reverse_delivery_not_proven');

const rollbacksAccepted: Check<InterlockFacts> = ({ writes: { openRollbacks } }) =>
  unless(openRollbacks === 0, 'rollback_list_not_accepted', { have: openRollbacks, need: 0 });

const flipped: Check<InterlockFacts> = ({ ends: { lanesNotFlipped } }) =>
  unless(lanesNotFlipped === 0, 'lanes_not_flipped', { have: lanesNotFlipped, need: 0 });

const reverseDelivered: Check<InterlockFacts> = ({ ends: { reverseBacklog } }) =>
  unless(reverseBacklog === 0, 'reverse_backlog', { have: reverseBacklog, need: 0 });

const notBypassed: Check<InterlockFacts> = ({ ends: { bypassedAgoSeconds: ago, bypassFreeSeconds: need } }) =>
  unless(ago === null || ago >= need, 'writers_bypass_the_proxy', {
    ...(ago !== null && { have: ago }),
    need,
  });

const keepCutover = [notLatched, notKilled, reconciled(RECONCILED_TO_KEEP_SECONDS)];

/** What a flag needs to be raised, and what it needs to stay: ../README.md, "Interlocks". */
export const INTERLOCKS: Readonly<
  Record<
    ServiceFlag,
    { readonly raise: readonly Check<InterlockFacts>[]; readonly keep: readonly Check<InterlockFacts>[] }
  >
> = {
  'dual-write': { raise: [legacyAnswers, orchestratorAnswers], keep: [] },
  'shadow-read': { raise: [covered, coveredEverywhere], keep: [covered] },
  'read-cutover': {
    raise: [
      covered,
      coveredEverywhere,
      notLatched,
      notKilled,
      rampFree,
      backfilled,
      wellEnough,
      delivered,
      classified,
      reconciled(RECONCILED_TO_RAISE_SECONDS),
      equalStores,
      comparedEnough,
      fastEnough,
    ],
    keep: [covered, ...keepCutover],
  },
  'write-cutover': {
    raise: [
      covered,
      notLatched,
      notKilled,
      rampFree,
      sameVersion,
      readsAllMoved,
      soaked,
      reverseProven,
      rollbacksAccepted,
    ],
    keep: keepCutover,
  },
  'legacy-read-only': { raise: [flipped, reverseDelivered, notBypassed], keep: [] },
};

/** What one action needs before its reads move, and before its share increases. */
export const ACTION_INTERLOCKS: readonly Check<ActionFacts>[] = [
  ({ confidence: { comparable, limits } }) =>
    unless(comparable >= limits.comparable, 'too_few_comparisons', {
      have: comparable,
      need: limits.comparable,
    }),
  ({ confidence: { notErrors, limits } }) =>
    unless(notErrors >= limits.notErrors, 'too_few_without_error', {
      have: notErrors,
      need: limits.notErrors,
    }),
  ({ confidence: { upperBound, limits } }) =>
    unless(upperBound < limits.mismatchRate, 'mismatch_rate_not_proven', {
      have: upperBound,
      need: limits.mismatchRate,
    }),
];
