import type { Criterion } from '../api/history.ts';
import type { PairedP95 } from '../api/status.ts';
import type { ServiceFlag } from '../../domain/flags.ts';
import { STAGES, type Stage } from '../../domain/stage.ts';
import { exactLowerBound, type Tally } from '../../engine/evidence/rate-bounds.ts';
import { GUARD_LIMITS } from '../../engine/guard/triggers.ts';
import type { ActionFacts, InterlockFacts } from '../../engine/guard/interlock-facts.ts';
import type { Judged } from '../../engine/guard/interlock-keeper.ts';
import type { InterlockWord } from '../../engine/guard/reason.ts';
import { ACTION_INTERLOCKS, INTERLOCKS, type Checked } from '../../engine/guard/interlock-table.ts';
import type { CompletionFacts } from '../ends/completion.ts';
import { counted } from '../views/figures.ts';
import { FOREIGN, UNPROVEN } from '../words.ts';
import { CRITERION_WORDS, type CriterionName } from './criterion-words.ts';
import type { ActionAb, PhasePlan } from './report.ts';

/** Facts for the criteria, besides those of the interlocks. */
export interface PlanFacts {
  readonly phase: Stage;
  readonly judged: Judged;
  /** Probed now, end to end. */
  readonly answers: InterlockFacts['answers'];
  /** Active percent of read-cutover. */
  readonly readsMoved: number;
  /** Active percent of write-cutover. */
  readonly writesMoved: number;
  readonly day: {
    readonly mismatches: Tally;
    readonly notComparable: Tally;
    readonly proxyErrors: Tally;
    readonly orchestratorErrors: Tally;
  };
  readonly end: EndCriteriaFacts;
  readonly deadLetterLanes: number;
  readonly lostItems: number;
  /** Lanes that reconciliations found different, neither repaired nor accepted. */
  readonly differingLanes: number;
  /** Of the day: reads that were sent to both backends. */
  readonly ab: readonly Pick<ActionAb, 'action' | 'paired'>[];
  /** The largest upper bound of p95 above legacy that passes. */
  readonly readLatencyToleranceMs: number;
}

/** What the end of a service's migration is judged by. */
export type EndCriteriaFacts = Pick<
  CompletionFacts,
  'writes' | 'backup' | 'foreign' | 'accepted' | 'openDifferences' | 'requiredSeconds' | 'nowMs'
>;

/** A higher share of comparisons without a verdict fails. */
const NOT_COMPARABLE_SHARE = 0.05;

type DayCheck = (facts: PlanFacts) => Omit<Criterion, 'for' | 'action'>;

/** A rate of the day fails by the same rule as the guard trips: at least five hits, and proven to be above its limit. */
function rate(name: CriterionName, tally: Tally, limit: number): ReturnType<DayCheck> {
  const isAbove = tally.hits >= GUARD_LIMITS.leastHits && exactLowerBound(tally) > limit;
  const have = tally.tries === 0 ? null : tally.hits / tally.tries;
  const isByChance = !isAbove && have !== null && have > limit;
  const note = isByChance ? `${tally.hits} of ${tally.tries} may be chance` : null;
  return { name, have, limit, verdict: isAbove ? 'fail' : 'pass', note };
}

function count(name: CriterionName, have: number, { limit, isFine }: { limit: number; isFine: boolean }) {
  return { name, have, limit, verdict: isFine ? 'pass' : 'fail', note: null } as const;
}

const proxyErrors: DayCheck = ({ day }) =>
  rate('proxy_errors_of_the_day', day.proxyErrors, GUARD_LIMITS.errorRate);
const deadLetters: DayCheck = ({ deadLetterLanes: lanes }) =>
  count('dead_letter_lanes', lanes, {
    limit: GUARD_LIMITS.deadLetterLanes,
    isFine: lanes < GUARD_LIMITS.deadLetterLanes,
  });
const lostItems: DayCheck = ({ lostItems: items }) =>
  count('lost_items', items, { limit: 0, isFine: items === 0 });
const lanesDiffer: DayCheck = ({ differingLanes: lanes }) =>
  count('lanes_differ', lanes, { limit: 0, isFine: lanes === 0 });
const mismatches: DayCheck = ({ day }) =>
  rate('mismatches_of_the_day', day.mismatches, GUARD_LIMITS.mismatchRate);
const notComparable: DayCheck = ({ day }) =>
  rate('not_comparable_of_the_day', day.notComparable, NOT_COMPARABLE_SHARE);
const orchestratorErrors: DayCheck = ({ day }) =>
  rate('orchestrator_errors_of_the_day', day.orchestratorErrors, GUARD_LIMITS.errorRate);

type EndCheck = (end: EndCriteriaFacts) => Omit<Criterion, 'for' | 'action'>;

const finalReconciliation: EndCheck = ({ writes, accepted, openDifferences }) => {
  const { census, clockBeganAtMs = 0 } = writes ?? {};
  const of = { name: 'final_reconciliation_unequal', limit: 0 } as const;
  if (census === undefined || census.atMs < clockBeganAtMs)
    return { ...of, have: null, verdict: 'fail', note: 'not compared in this time yet' };
  const isAccepted = census.unproven > 0 && accepted.some(({ subject }) => subject === UNPROVEN);
  const unequal = (isAccepted ? 0 : census.unproven) + openDifferences;
  const compared = `${census.equal} of ${census.lanes} lanes equal`;
  const unproven = isAccepted ? `, ${census.unproven} without proof accepted by name` : '';
  return {
    ...of,
    have: census.unproven + openDifferences,
    verdict: unequal === 0 ? 'pass' : 'fail',
    note: `${compared}${unproven}`,
  };
};

/** An acceptance does not cover a writer that was found later. */
const writersPastProxy: EndCheck = ({ writes, foreign, accepted }) => {
  const sinceMs = writes?.sinceMs ?? 0;
  const found = foreign.filter(({ kind, foundAtMs }) => kind === 'writer' && foundAtMs >= sinceMs);
  const acceptedAtMs = accepted.find(({ subject }) => subject === FOREIGN)?.atMs ?? -Infinity;
  const isAccepted = found.every(({ foundAtMs }) => foundAtMs <= acceptedAtMs);
  return {
    ...count('writers_without_the_proxy', new Set(found.map(({ owner }) => owner)).size, {
      limit: 0,
      isFine: isAccepted,
    }),
    note: found.length > 0 && isAccepted ? 'accepted by name' : null,
  };
};

const readOnlyTime: EndCheck = ({ writes, requiredSeconds: limit, nowMs }) => {
  const { clockBeganAtMs, clockRestarts = 0 } = writes ?? {};
  if (clockBeganAtMs === undefined)
    return { name: 'read_only_time', have: null, limit, verdict: 'fail', note: 'begins with a backup' };
  const have = Math.floor((nowMs - clockBeganAtMs) / 1_000);
  return {
    ...count('read_only_time', have, { limit, isFine: have >= limit }),
    note: clockRestarts === 0 ? null : `began again ${counted(clockRestarts, 'time')}`,
  };
};

const backupVerified: EndCheck = ({ writes, backup }) => {
  const isVerified = backup !== undefined && backup.madeAtMs >= (writes?.settledAtMs ?? Infinity);
  return count('backup_not_verified', isVerified ? 1 : 0, { limit: 1, isFine: isVerified });
};

/** What a service must show before it is completed. Nothing of it can be known while legacy takes writes. */
const END: readonly EndCheck[] = [finalReconciliation, writersPastProxy, readOnlyTime, backupVerified];

function endCriteria({ end }: PlanFacts): Criterion[] {
  const isOpen = (end.writes?.state ?? 'open') === 'open';
  const open = { have: null, verdict: 'not_judged', note: 'legacy still takes writes' } as const;
  return END.map((check) => ({ ...check(end), ...(isOpen && open), for: 'go_on', action: null }));
}

interface PhaseRow {
  /** The flag whose conditions must keep holding in this stage. */
  readonly keeps?: ServiceFlag;
  /** The flag that is raised next. */
  readonly raises?: ServiceFlag;
  readonly day: readonly DayCheck[];
}

const WRITTEN = [proxyErrors, deadLetters, lostItems, lanesDiffer];
const COMPARED = [...WRITTEN, mismatches, notComparable];

/** The path of a migration: the checks of each stage, and the next flag. */
const PHASES: Readonly<Record<Stage, PhaseRow>> = {
  off: { raises: 'dual-write', day: [proxyErrors] },
  dual_write: { keeps: 'dual-write', raises: 'shadow-read', day: WRITTEN },
  shadow_read: { keeps: 'shadow-read', raises: 'read-cutover', day: COMPARED },
  read_cutover: {
    keeps: 'read-cutover',
    raises: 'write-cutover',
    day: [...COMPARED, orchestratorErrors],
  },
  write_cutover: {
    keeps: 'write-cutover',
    raises: 'legacy-read-only',
    day: [...COMPARED, orchestratorErrors],
  },
  legacy_read_only: { day: [proxyErrors, lostItems, lanesDiffer] },
  complete: { day: [] },
};

/**
 * Every stage with its criteria, judged by what is known now. The criteria of earlier stages may fail again, those of later ones
 * are still open.
 */
export function planOf(facts: PlanFacts): PhasePlan[] {
  return STAGES.filter((phase) => phase !== 'complete').map((phase) => ({
    phase,
    present: phase === facts.phase,
    criteria: criteriaOf(phase, facts),
  }));
}

/** The criteria of the present stage that fail. */
export function failedIn(plan: readonly PhasePlan[]): Criterion[] {
  return plan
    .filter(({ present }) => present)
    .flatMap(({ criteria }) => criteria.filter(({ verdict }) => verdict === 'fail'));
}

/** The criteria for raising a flag, whatever it requests now. Each has its present and its required value. */
export function raiseCriteria(flag: ServiceFlag, known: Known): Criterion[] {
  const ofService = INTERLOCKS[flag].raise.map((check): Criterion => ({
    ...judged(check, known),
    for: 'go_on',
    action: null,
  }));
  if (flag !== 'read-cutover') return ofService;
  const ofActions = Object.entries(known.judged.facts.actions).flatMap(([action, shown]) =>
    ACTION_INTERLOCKS.map((check) => actionCriterion(action, check(shown), acceptance(shown))),
  );
  return [...ofService, ...ofActions];
}

type Known = Pick<PlanFacts, 'judged' | 'answers'>;

const acceptance = ({ isAccepted }: ActionFacts): string | null => (isAccepted ? 'accepted by name' : null);

function criteriaOf(phase: Stage, facts: PlanFacts): Criterion[] {
  const { keeps, raises, day } = PHASES[phase];
  const stay = [
    ...(keeps === undefined ? [] : INTERLOCKS[keeps].keep.map((check) => judged(check, facts))),
    ...day.map((check) => check(facts)),
  ].map((criterion) => ({ ...criterion, for: 'stay' as const, action: null }));
  const slower = slowerReads(phase, facts);
  const known = new Set(stay.map(({ name, limit }) => `${name} ${limit}`));
  const goOn = raisedBy(phase, raises, facts).filter(({ name, limit }) => !known.has(`${name} ${limit}`));
  return [...stay, ...goOn, ...slower, ...(phase === 'legacy_read_only' ? endCriteria(facts) : [])];
}

/** Reads move once the orchestrator answers them as fast as legacy, and stay moved while it does. */
const SLOWER_FOR: Partial<Record<Stage, Criterion['for']>> = {
  shadow_read: 'go_on',
  read_cutover: 'stay',
  write_cutover: 'stay',
};

function slowerReads(phase: Stage, { ab, readLatencyToleranceMs: limit }: PlanFacts): Criterion[] {
  const purpose = SLOWER_FOR[phase];
  if (purpose === undefined) return [];
  return ab
    .filter(({ paired }) => paired.pairs > 0)
    .map(({ action, paired: { p95 } }) => {
      const of = { name: 'reads_slower_than_legacy', for: purpose, action, limit } as const;
      if (p95.difference_ms === null)
        return { ...of, have: null, verdict: 'not_judged', note: 'too few reads were sent to both' };
      const [difference, , upper] = p95.difference_ms;
      return {
        ...of,
        have: upper,
        verdict: upper <= limit ? 'pass' : 'fail',
        note: p95Note(difference, p95),
      };
    });
}

function p95Note(difference: number, { orchestrator_ms: ours, legacy_ms: theirs, ratio }: PairedP95): string {
  return `p95 ${ours ?? 0} ms, legacy ${theirs ?? 0} ms: difference ${difference} ms, ratio ${ratio ?? 0}`;
}

/** While some reads or writes have not moved, the next step still raises the same flag. */
function raisedBy(phase: Stage, raises: ServiceFlag | undefined, facts: PlanFacts): Criterion[] {
  if (raises === undefined) return [];
  const flag = phase === facts.phase ? (halfway(facts) ?? raises) : raises;
  const ofService = INTERLOCKS[flag].raise.map((check): Criterion => ({
    ...judged(check, facts),
    for: 'go_on',
    action: null,
  }));
  return flag === 'read-cutover' ? [...ofService, ...actionCriteria(facts)] : ofService;
}

function halfway({ phase, readsMoved, writesMoved }: PlanFacts): ServiceFlag | undefined {
  if (phase === 'read_cutover' && readsMoved < 100) return 'read-cutover';
  return phase === 'write_cutover' && writesMoved < 100 ? 'write-cutover' : undefined;
}

type Check = (typeof INTERLOCKS)[ServiceFlag]['raise'][number];

function judged(check: Check, facts: Known): Omit<Criterion, 'for' | 'action'> {
  const { facts: known } = facts.judged;
  const checked = check({ ...known, answers: facts.answers });
  return {
    ...numbersOf(checked),
    verdict: checked.isFine ? 'pass' : 'fail',
    note: NOTES[checked.reason.word]?.(checked, known) ?? null,
  };
}

function numbersOf({
  isFine,
  reason: { word, have, need },
}: Checked): Pick<Criterion, 'name' | 'have' | 'limit'> {
  if (word === 'never_reconciled') return { name: 'reconciliation_too_old', have: null, limit: need ?? 0 };
  if (CRITERION_WORDS[word].unit === 'yes_no') return { name: word, have: isFine ? 1 : 0, limit: 1 };
  return { name: word, have: have ?? null, limit: need ?? 0 };
}

/** Why a verdict differs from what the numbers alone would give. */
const NOTES: Partial<Record<InterlockWord, (checked: Checked, known: InterlockFacts) => string | null>> = {
  never_reconciled: () => 'none yet',
  backfill_not_finished: (checked, { lanes }) =>
    lanes.isBackfillListed
      ? excused(checked, 'except dirty, stopped or excepted lanes')
      : 'not all owners were listed',
  not_covered_everywhere: (checked) => excused(checked, 'once writes are journaled'),
  unclassified_actions: ({ isFine, reason: { have = 0 } }) =>
    isFine && have > 0 ? 'accepted by name' : null,
  latched: ({ reason: { of = null } }) => of,
};

function excused({ isFine, reason: { have = 0, need = 0 } }: Checked, why: string): string | null {
  return isFine && have < need ? why : null;
}

/** What each action must show before its reads move. */
function actionCriteria({ judged: { facts, verdict } }: PlanFacts): Criterion[] {
  return Object.entries(facts.actions).flatMap(([action, shown]) => {
    const hasMoved = (verdict.actions[action]?.permitted ?? 0) > 0;
    const excuse = acceptance(shown) ?? (hasMoved ? 'has moved' : null);
    return ACTION_INTERLOCKS.map((check) => actionCriterion(action, check(shown), excuse));
  });
}

function actionCriterion(action: string, checked: Checked, excuse: string | null): Criterion {
  return {
    ...numbersOf(checked),
    for: 'go_on',
    action,
    verdict: checked.isFine || excuse !== null ? 'pass' : 'fail',
    note: checked.isFine ? null : excuse,
  };
}
