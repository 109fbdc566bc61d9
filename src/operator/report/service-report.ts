import type { Status } from '../api/status.ts';
import { ruleNameOf } from '../../domain/comparison.ts';
import { SERVICE_FLAGS, type ServiceFlag } from '../../domain/flags.ts';
import type { ServiceDefinition } from '../../domain/service-definition.ts';
import { stageAtTheEnd, stageOf } from '../../domain/stage.ts';
import { likeliest, type RuleHits, type SignatureSightings } from '../../engine/compare/comparison-stores.ts';
import { DistinctEstimate } from '../../engine/compare/digest.ts';
import type { RuleReport } from '../../engine/compare/rule-book.ts';
import type { InterlockFacts } from '../../engine/guard/interlock-facts.ts';
import type { Judged } from '../../engine/guard/interlock-keeper.ts';
import type { DaySpan, ServiceDay } from '../../engine/report/report-ports.ts';
import { sharesOf } from '../flags-in-effect.ts';
import { actionAbs, Changes, DayNumbers, rateNumbers, reconciliationOf, storyOf } from './day-numbers.ts';
import { type EndCriteriaFacts, type PlanFacts, planOf } from './criteria.ts';
import { nextStepOf } from './next-step.ts';
import type { ActionEvidence, FlagNumbers, Report, ServiceReport } from './report.ts';
import { evidenceExpected, trendOf } from './trend.ts';

export type ServiceStatus = Pick<
  Status['services'][number],
  'service' | 'interlocks' | 'flags' | 'lanes' | 'guard' | 'way_back'
>;

/** Everything that a service's part of the report is made of. A plain value. */
export interface ServiceFacts {
  readonly definition: Pick<ServiceDefinition, 'actions'>;
  readonly status: ServiceStatus;
  readonly judged: Judged;
  readonly answers: InterlockFacts['answers'];
  readonly end: EndCriteriaFacts;
  readonly day: ServiceDay;
  readonly signatures: readonly SignatureSightings[];
  readonly rules: readonly RuleReport[];
  readonly hits: readonly RuleHits[];
}

export interface ReportedDay {
  readonly span: DaySpan;
  readonly zone: string;
  readonly isWhole: boolean;
  readonly nowMs: number;
  /** Totals of the report of the day before. */
  readonly before: Readonly<Record<string, number>> | undefined;
  /** Stored reports of the days before, oldest first. */
  readonly earlier: readonly Report[];
  /** `criteria.readLatencyToleranceMs`. */
  readonly readLatencyToleranceMs: number;
  /** Receives the totals of this report. */
  readonly totals: Record<string, number>;
}

const SIGNATURES_SHOWN = 10;
const RULES_SHOWN = 10;

/** The numbers of a service's day, its criteria and its next step. Pure. */
export function serviceReport(facts: ServiceFacts, reported: ReportedDay): ServiceReport {
  const { status, judged, day } = facts;
  const changes = new Changes(status.service, reported.before, reported.totals);
  const numbers = new DayNumbers({ ...facts, ...reported, hours: day.hours, changes });
  const flags = flagNumbers(status);
  const phase = stageAtTheEnd(facts.end.writes?.state) ?? stageOf(sharesOf(flags, 'in_effect'));
  const shares = sharesMoved(flags);
  const { readLatencyToleranceMs } = reported;
  const speed = { ab: actionAbs(day.arms), readLatencyToleranceMs };
  const plan = planOf({ ...facts, ...shares, phase, day: numbers, ...openIn(day), ...speed });
  const evidence = evidenceOf(judged);
  const next = nextStepOf({
    service: status.service,
    phase,
    plan,
    ...shares,
    isKilled: judged.facts.isKilled,
    openLetters: day.letters.open,
    daysMissing: longest(evidence),
    findingsRun: day.divergences.run,
    mismatches: Object.fromEntries(evidence.map(({ action, hits }) => [action, hits])),
  });
  const [traffic, consistency] = [numbers.traffic(), consistencyOf(numbers, evidence)];
  const trend = trendOf(status.service, reported, { phase, flags, traffic, consistency, plan });
  const moved = { before: trend.at(-2)?.reads_moved, now: shares.readsMoved };
  return {
    service: status.service,
    phase,
    today: storyOf(day, { ...reported, moved }),
    trend,
    evidence_expected: evidenceExpected(evidence, reported),
    asked: stageOf(sharesOf(flags, 'asked')),
    interlocks: status.interlocks,
    next_step: next,
    flags,
    traffic,
    consistency,
    errors: errorsOf(numbers),
    added_latency: numbers.latency(),
    ab: actionAbs(day.arms),
    state: stateOf(facts, changes),
    signatures: signaturesOf(facts, { changes, ...reported }),
    rules: rulesOf(facts, changes),
    reconciliation: reconciliationOf(day, reported.nowMs),
    guard: guardOf(facts),
    coverage: coverageOf(facts, numbers),
    rollback: rollbackOf(facts),
    plan,
  };
}

function sharesMoved(flags: ServiceReport['flags']) {
  return {
    shadowReads: flags['shadow-read'].in_effect,
    readsMoved: flags['read-cutover'].in_effect,
    writesMoved: flags['write-cutover'].in_effect,
  };
}

/** What waits for a person. */
function openIn({
  letters,
  lost,
  divergences,
}: ServiceDay): Pick<PlanFacts, 'deadLetterLanes' | 'lostItems' | 'differingLanes'> {
  return { deadLetterLanes: letters.lanes, lostItems: lost.open, differingLanes: divergences.open };
}

function flagNumbers({ flags }: ServiceStatus): Record<ServiceFlag, FlagNumbers> {
  const entries = SERVICE_FLAGS.map((flag) => {
    const { asked, in_effect, reason, interlocks = [] } = flags[flag];
    return [flag, { asked, in_effect, reason, held_by: interlocks.map(({ word }) => word) }] as const;
  });
  return Object.fromEntries<FlagNumbers>(entries) as Record<ServiceFlag, FlagNumbers>;
}

function evidenceOf({ facts }: Judged): ActionEvidence[] {
  return Object.entries(facts.actions).map(([action, { confidence, isAccepted }]) => ({
    action,
    hits: confidence.mismatches,
    of: confidence.comparable,
    rate: confidence.rate,
    interval: confidence.comparable === 0 ? null : [confidence.interval.lower, confidence.interval.upper],
    upper_bound: confidence.upperBound,
    missing: confidence.missing,
    days_missing: confidence.days === null ? null : Math.round(confidence.days * 10) / 10,
    accepted: isAccepted,
  }));
}

function longest(evidence: readonly ActionEvidence[]): number | null {
  const days = evidence.flatMap(({ missing, days_missing: more }) => (missing > 0 ? [more] : []));
  return days.length === 0 || days.includes(null) ? null : Math.max(...days.map(Number));
}

function consistencyOf(
  numbers: DayNumbers,
  evidence: readonly ActionEvidence[],
): ServiceReport['consistency'] {
  const { hits, tries } = numbers.notComparable;
  return {
    ...rateNumbers(numbers.mismatches),
    mismatches_change: numbers.mismatchesChange(),
    not_comparable: hits,
    not_comparable_share: tries === 0 ? null : hits / tries,
    both_errors: numbers.all.bothErrors,
    evidence,
  };
}

function errorsOf({ proxyErrors, orchestratorErrors }: DayNumbers): ServiceReport['errors'] {
  return { proxy: rateNumbers(proxyErrors), orchestrator: rateNumbers(orchestratorErrors) };
}

const NO_LANES = {
  total: 0,
  flipped: 0,
  legacy_differs: 0,
  seeded: 0,
  dirty: 0,
  copying: 0,
  stopped: 0,
  excepted: 0,
  differs: 0,
};

function stateOf({ status, day }: ServiceFacts, changes: Changes): ServiceReport['state'] {
  const { open, lanes, added, redriven, skipped, copied } = day.letters;
  const counted = status.lanes ?? NO_LANES;
  return {
    lanes: counted,
    dirty_change: changes.of('dirty', counted.dirty),
    unwell: day.unwell,
    backlog: {
      writes: day.backlog.writes,
      oldest_seconds: Math.round(day.backlog.oldestSeconds * 10) / 10,
    },
    dead_letters: {
      open,
      lanes,
      new: added,
      redriven,
      skipped,
      copied,
      open_change: changes.of('dead letters', open),
    },
    unknown_outcomes: { open: day.unknown.open, new: day.unknown.found, closed: day.unknown.closed },
  };
}

/** Counted in the store, which holds more signatures than are read here. */
function signaturesOf(
  { signatures, day }: ServiceFacts,
  { changes, span }: { readonly changes: Changes; readonly span: DaySpan },
): ServiceReport['signatures'] {
  const isNew = ({ firstAtMs }: SignatureSightings): boolean =>
    firstAtMs >= span.fromMs && firstAtMs < span.toMs;
  const all = signatures.map((signature) => {
    const { action, path, shape, count, hints, laneRegisters } = signature;
    const name = ['signature', action, path, signature.class, shape].join(' ');
    return {
      action,
      path,
      class: signature.class,
      shape,
      hint: likeliest(hints) ?? null,
      count,
      change: changes.of(name, count),
      lanes: new DistinctEstimate(laneRegisters).count,
      new: isNew(signature),
    };
  });
  return {
    known: day.signatures.known,
    new: day.signatures.fresh,
    looked_at: all.length,
    top: all
      .toSorted((a, b) => (b.change ?? 0) - (a.change ?? 0) || b.count - a.count)
      .slice(0, SIGNATURES_SHOWN),
  };
}

function rulesOf({ rules, hits }: ServiceFacts, changes: Changes): ServiceReport['rules'] {
  const counted = new Map(hits.map((one) => [`${one.action} ${one.rule}`, one.hits]));
  const inForce = rules.filter(({ isExpired }) => !isExpired);
  const all = inForce.map(({ action, rule }) => {
    const name = ruleNameOf(rule);
    const total = counted.get(`${action} ${name}`) ?? 0;
    const { owner, reason, expires = null } = rule;
    return {
      action,
      rule: name,
      owner,
      reason,
      expires,
      hits: total,
      change: changes.of(`rule ${action} ${name}`, total),
    };
  });
  const total = all.reduce((sum, one) => sum + one.hits, 0);
  return {
    in_force: all.length,
    hits_change: changes.of('rule hits', total),
    hiding: all
      .filter((one) => one.hits > 0)
      .toSorted((a, b) => (b.change ?? 0) - (a.change ?? 0) || b.hits - a.hits)
      .slice(0, RULES_SHOWN),
  };
}

function guardOf({ status, day }: ServiceFacts): ServiceReport['guard'] {
  return {
    latched: day.trips.some(({ releasedAtMs }) => releasedAtMs === null),
    held_by: status.guard?.held_by ?? null,
    trips: day.trips.map(({ latch, trigger, action, trippedAtMs, releasedAtMs }) => ({
      latch: String(latch),
      trigger,
      action,
      at: new Date(trippedAtMs).toISOString(),
      released_at: releasedAtMs === null ? null : new Date(releasedAtMs).toISOString(),
    })),
    changes: day.audited,
  };
}

function coverageOf({ status, judged, day }: ServiceFacts, numbers: DayNumbers): ServiceReport['coverage'] {
  const { number, acting, replicas } = judged.facts.coverage;
  const { total, seeded } = status.lanes ?? NO_LANES;
  const { beganAtMs, endedInDay } = day.coverage;
  const { comparable } = numbers.all;
  const actions = Object.entries(judged.facts.actions);
  return {
    number,
    since: beganAtMs === null ? null : new Date(beganAtMs).toISOString(),
    ended: endedInDay,
    replicas_acting: acting,
    replicas,
    seeded_share: total === 0 ? null : seeded / total,
    compared_reads: {
      hits: comparable,
      of: numbers.reads,
      // Comparisons of whole lanes count for reads too.
      rate: numbers.reads === 0 ? null : Math.min(1, comparable / numbers.reads),
    },
    actions: actions.length,
    never_compared: actions
      .filter(([, { confidence }]) => confidence.comparable === 0)
      .map(([action]) => action),
  };
}

function rollbackOf({ day, answers, status }: ServiceFacts): ServiceReport['rollback'] {
  const { lanesOnOrchestrator, lost, unknown } = day;
  const { would_be_lost: wouldBeLost, seconds, proven_at: provenAt } = status.way_back ?? NO_WAY_BACK;
  return {
    ready: wouldBeLost === 0 && lost.open === 0 && unknown.open === 0 && answers.legacy,
    lanes_on_orchestrator: lanesOnOrchestrator,
    would_be_lost: wouldBeLost,
    seconds,
    proven_at: provenAt,
    lost_items: lost.open,
    unknown_outcomes: unknown.open,
    legacy_answers: answers.legacy,
  };
}

/** The journal was away when the status was read. */
const NO_WAY_BACK = { would_be_lost: 0, seconds: 0, proven_at: null };
