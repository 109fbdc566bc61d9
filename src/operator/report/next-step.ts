import type { Criterion } from '../api/history.ts';
import type { ServiceFlag } from '../../domain/flags.ts';
import type { Stage } from '../../domain/stage.ts';
import type { CriterionName } from './criterion-words.ts';
import { failedIn } from './criteria.ts';
import { counted } from '../views/figures.ts';
import type { PhasePlan } from './report.ts';

/** What a person should do next for a service. */
export interface NextStep {
  /**
   * `mend`: something is wrong. `prepare`: a person must do something first. `wait`: it takes time. `raise`: continue. `stay`:
   * nothing to do.
   */
  readonly kind: 'mend' | 'prepare' | 'wait' | 'raise' | 'stay';
  readonly text: string;
  /** The command line for it, if there is one. */
  readonly command: string | null;
}

interface StepFacts {
  readonly service: string;
  readonly phase: Stage;
  readonly plan: readonly PhasePlan[];
  /** Active percent. */
  readonly shadowReads: number;
  readonly readsMoved: number;
  readonly writesMoved: number;
  readonly isKilled: boolean;
  readonly openLetters: number;
  /** The longest time that an action's evidence still takes at today's traffic. Null if none is missing, or if it is unknown. */
  readonly daysMissing: number | null;
  /** The newest reconciliation with open findings. Null if there is none. */
  readonly findingsRun: number | null;
  /** Mismatches in the evidence, by action. */
  readonly mismatches: Readonly<Record<string, number>>;
}

type Advice = (
  failed: Pick<Criterion, 'action'>,
  facts: Pick<StepFacts, 'service' | 'daysMissing' | 'findingsRun' | 'mismatches'>,
) => NextStep;

const mend = (text: string, command?: (service: string) => string): Advice => advising('mend', text, command);
const prepare = (text: string, command?: (service: string) => string): Advice =>
  advising('prepare', text, command);

function advising(
  kind: NextStep['kind'],
  text: string,
  command: ((service: string) => string) | undefined,
): Advice {
  return (_failed, { service }) => ({ kind, text, command: command?.(service) ?? null });
}

/** Mismatches stay in the evidence. Waiting helps only after their cause is removed. */
const waitForComparisons: Advice = ({ action }, { service, daysMissing, mismatches }) => {
  const differing = action === null ? 0 : (mismatches[action] ?? 0);
  const days =
    daysMissing === null
      ? ''
      : ` (${daysMissing < 1 ? 'less than a day' : `about ${counted(Math.ceil(daysMissing), 'day')}`} at the traffic of the last 24 h)`;
  const wait = `ait for more comparisons of ${action ?? 'its reads'}${days}.`;
  if (differing === 0) return { kind: 'wait', text: `W${wait}`, command: null };
  return {
    kind: 'mend',
    text: `Find and remove the cause of ${counted(differing, 'mismatch', 'mismatches')}. Then w${wait}`,
    command: differencesOf(service),
  };
};

const resolveFindings: Advice = (_failed, { findingsRun: run }) => ({
  kind: 'mend',
  text: `Lanes differ between the stores. Check the repair plan${run === null ? '' : ` of run ${run}`}, then repair the lanes or accept each by name.`,
  command: run === null ? 'crossfade runs list' : `crossfade repair plan ${run}`,
});

const guardRelease = (service: string): string =>
  `crossfade guard release ${service} --person NAME --reason TEXT`;
const status = (): string => 'crossfade status';
const differencesOf = (service: string): string => `crossfade differences ${service}`;
const lanesOf = (service: string): string => `crossfade lanes list ${service} --unwell`;

/** In order of urgency. The first criterion that fails gives the next step. */
export const ADVICE: Readonly<Record<CriterionName, Advice>> = {
  latched: mend('Find the cause of the trip (see its bundle), then release the latch.', guardRelease),
  kill_switch: mend('The kill switch keeps reads on legacy. Switch it off when its cause is gone.'),
  lost_items: mend('Accept or restore each item that legacy lost.', () => 'crossfade lost list'),
  lanes_differ: resolveFindings,
  dead_letter_lanes: mend(
    'Resolve the dead letters. Later writes of their lanes wait.',
    () => 'crossfade dead-letters list',
  ),
  mismatches_of_the_day: mend(
    'Find the cause of the mismatches. Start with the most frequent signature.',
    differencesOf,
  ),
  mismatch_rate_not_proven: waitForComparisons,
  orchestrator_errors_of_the_day: mend(
    'Find why reads fail on the orchestrator. Check its log and its health.',
    status,
  ),
  proxy_errors_of_the_day: mend(
    'Find why the proxy fails requests. Check its log and the load on its machine.',
    status,
  ),
  not_comparable_of_the_day: mend(
    'Find why these answers cannot be compared. The status shows the reasons.',
    status,
  ),
  legacy_does_not_answer: mend('Legacy does not answer a probe. Check the service and its address.'),
  orchestrator_does_not_answer: mend(
    'The orchestrator does not answer a probe. Check its log and its address.',
  ),
  not_covered: mend('Writes are not journaled. Switch dual-write on, or check what lowers it.'),
  not_covered_everywhere: mend(
    'Some replicas do not use the current coverage yet. Check the log of those that lag.',
  ),
  ramp_held: mend(
    'The guard blocks further increases. Check what it found.',
    (service) => `crossfade guard status --service ${service}`,
  ),
  too_many_unwell_lanes: mend('Too many lanes are dirty, stopped or excepted. Find out why.', lanesOf),
  deliveries_behind: mend('Deliveries lag. Check whether the orchestrator keeps up, and its log.'),
  too_slow: mend('The proxy adds too much latency. Check the load on its machine and its database.'),
  reads_slower_than_legacy: mend(
    'The orchestrator answers reads slower than legacy. Check its load and its database.',
    status,
  ),
  backfill_not_finished: prepare(
    'Finish the backfill.',
    (service) => `crossfade backfill --service ${service} --person NAME --reason TEXT`,
  ),
  reconciliation_too_old: prepare(
    'Reconcile every lane.',
    (service) => `crossfade reconcile --full --service ${service} --person NAME --reason TEXT`,
  ),
  too_many_lanes_not_compared: prepare(
    'The last full reconciliation could not compare these lanes. Find out why, then reconcile every lane again.',
    (service) => `crossfade reconcile --full --service ${service} --person NAME --reason TEXT`,
  ),
  unclassified_actions: prepare(
    'Agents send actions that the definition does not know. Define them, or accept them by name.',
    (service) => `crossfade guard accept ${service} unclassified --person NAME --reason TEXT`,
  ),
  too_few_comparisons: waitForComparisons,
  too_few_without_error: waitForComparisons,
  versions_differ: mend(
    'Replicas would answer moved writes differently. Give all of them the same version and definitions.',
  ),
  reads_not_all_moved: prepare('Raise read-cutover to 100 % first.'),
  soaking: () => ({
    kind: 'wait',
    text: 'Wait until all reads have been moved for long enough.',
    command: null,
  }),
  reverse_delivery_not_proven: prepare(
    'Prove delivery to legacy: request write-cutover for 1 % of the lanes. Crossfade then proves it with writes of its own.',
  ),
  rollback_list_not_accepted: prepare(
    'The definition cannot move some writes, or bring them back. See which, and why.',
    (service) => `crossfade flips show ${service}`,
  ),
  lanes_not_flipped: prepare(
    'Move the writes of the remaining lanes. See what keeps them on legacy.',
    (service) => `crossfade flips show ${service}`,
  ),
  reverse_backlog: () => ({ kind: 'wait', text: 'Wait until legacy has every write.', command: null }),
  final_reconciliation_unequal: mend(
    'Legacy and the orchestrator are not found equal yet. Check every condition, and decide about each difference.',
    (service) => `crossfade complete ${service}`,
  ),
  writers_without_the_proxy: mend(
    'A foreign writer changed legacy although it is read-only. Configure it to use the proxy, then decide about its change.',
    (service) => `crossfade complete ${service}`,
  ),
  backup_not_verified: prepare(
    'Back legacy up. The backup is restored and read back, and starts the time without a write to legacy.',
    (service) => `crossfade read-only ${service} --backup FOLDER --person NAME --reason TEXT`,
  ),
  read_only_time: () => ({
    kind: 'wait',
    text: 'Wait until legacy has been read-only for long enough without a foreign writer.',
    command: null,
  }),
  writers_bypass_the_proxy: mend('A writer bypasses the proxy. Configure it to use the proxy.'),
};

/** What is wrong comes first, then what a person must do, then what takes time. */
const URGENCY: readonly NextStep['kind'][] = ['mend', 'prepare', 'wait'];

/** Depends only on the criteria of the present stage. If all pass, it depends on the shares of the flags. */
export function nextStepOf(facts: StepFacts): NextStep {
  const order = Object.keys(ADVICE);
  const advices = failedIn(facts.plan)
    .toSorted((a, b) => order.indexOf(a.name) - order.indexOf(b.name))
    .map((failed) => ADVICE[failed.name](failed, facts));
  for (const kind of URGENCY) {
    const first = advices.find((advice) => advice.kind === kind);
    if (first !== undefined) return first;
  }
  if (facts.isKilled) return ADVICE.kill_switch(NOTHING, facts);
  if (facts.openLetters > 0) return ADVICE.dead_letter_lanes(NOTHING, facts);
  return ONWARDS[facts.phase](facts);
}

const NOTHING: Criterion = {
  name: 'kill_switch',
  for: 'stay',
  action: null,
  have: null,
  limit: 0,
  verdict: 'fail',
  note: null,
};

/** The shares of lanes at which reads, and then writes, stay for a while, percent. */
const RAMP = [1, 5, 10, 25, 50, 100] as const;

type Onwards = (facts: Pick<StepFacts, 'service' | 'shadowReads' | 'readsMoved' | 'writesMoved'>) => NextStep;

/** The step after every criterion of a stage passes. */
const ONWARDS: Readonly<Record<Stage, Onwards>> = {
  off: ({ service }) => raise(service, 'dual-write', 'switch dual-write on'),
  dual_write: ({ service }) => raise(service, 'shadow-read', 'raise shadow-read to 100 %'),
  shadow_read: ({ service, shadowReads }) =>
    shadowReads < 100
      ? raise(service, 'shadow-read', 'raise shadow-read to 100 %')
      : raise(service, 'read-cutover', 'raise read-cutover to 1 %'),
  read_cutover: ({ service, readsMoved }) =>
    ramp(service, 'read-cutover', readsMoved) ??
    raise(service, 'write-cutover', 'raise write-cutover to 1 %'),
  write_cutover: ({ service, writesMoved }) =>
    ramp(service, 'write-cutover', writesMoved) ??
    end('make legacy read-only', `crossfade read-only ${service}`),
  legacy_read_only: ({ service }) => end('complete the service', `crossfade complete ${service}`),
  complete: () => ({
    kind: 'stay',
    text: 'The service is complete. Legacy can be switched off.',
    command: null,
  }),
};

function raise(service: string, flag: ServiceFlag, to: string): NextStep {
  return {
    kind: 'raise',
    text: `All criteria of this stage pass: ${to} (crossfade.${service}.${flag}).`,
    command: null,
  };
}

/** Undefined once all of it has moved. */
function ramp(service: string, flag: ServiceFlag, moved: number): NextStep | undefined {
  const next = RAMP.find((share) => share > moved);
  return next === undefined ? undefined : raise(service, flag, `raise ${flag} to ${next} %`);
}

/** A step that no flag makes. */
function end(to: string, command: string): NextStep {
  return { kind: 'prepare', text: `All criteria of this stage pass: ${to}.`, command };
}
