import {
  exactInterval,
  exactUpperBound,
  isProvenBelow,
  triesToProve,
  type RateInterval,
  type Tally,
} from './rate-bounds.ts';

/** What comparisons have shown of one action since the last change of its definition or rules. */
export interface Evidence {
  /** Comparisons of its own answers that had a verdict. */
  readonly comparable: number;
  /** Of these, comparisons of two errors. They prove little about the stored data. */
  readonly errors: number;
  readonly mismatches: number;
  /** Comparisons of whole lanes of its service with a verdict, and those that did not match. */
  readonly laneComparable: number;
  readonly laneMismatches: number;
}

export const NO_EVIDENCE: Evidence = {
  comparable: 0,
  errors: 0,
  mismatches: 0,
  laneComparable: 0,
  laneMismatches: 0,
};

export function addEvidence(one: Evidence, other: Evidence): Evidence {
  return {
    comparable: one.comparable + other.comparable,
    errors: one.errors + other.errors,
    mismatches: one.mismatches + other.mismatches,
    laneComparable: one.laneComparable + other.laneComparable,
    laneMismatches: one.laneMismatches + other.laneMismatches,
  };
}

/** What an action must show before its reads move. */
export interface EvidenceLimits {
  readonly comparable: number;
  readonly notErrors: number;
  /** The limit for the one-sided exact 95 % upper bound of the mismatch rate. */
  readonly mismatchRate: number;
}

/** The evidence for an action, and what is missing. */
export interface Confidence {
  readonly comparable: number;
  /** Of these, comparisons of whole lanes; 0 if the action is judged by its own answers only. */
  readonly wholeLanes: number;
  readonly notErrors: number;
  readonly mismatches: number;
  /** Mismatches per comparison, 0–1; null while there is none. */
  readonly rate: number | null;
  /** Two-sided exact 95 % interval of the rate. */
  readonly interval: RateInterval;
  /** One-sided exact 95 % upper bound of the rate. */
  readonly upperBound: number;
  /** What it must show. */
  readonly limits: EvidenceLimits;
  readonly isProven: boolean;
  /** How many further comparisons are needed if all of them match. */
  readonly missing: number;
  /**
   * Days until then, at the rate of the last day or of the time in use. Null if nothing is missing, or if there is too little
   * traffic.
   */
  readonly days: number | null;
}

/** The traffic from which a time is estimated. */
export interface Traffic {
  /**
   * Comparisons per day of the action's own answers that count as evidence: with a verdict, and no repeats. At the rate of the
   * time in use.
   */
  readonly comparablePerDay: number;
  /** Of these, those that were not both errors. */
  readonly notErrorsPerDay: number;
  /** Comparisons per day of whole lanes of its service. */
  readonly lanesPerDay: number;
}

/** The comparisons by which an action is judged. */
interface Judged {
  readonly comparable: number;
  readonly notErrors: number;
  readonly mismatches: number;
  readonly wholeLanes: number;
  /** False if only the action's own answers count as proof. */
  readonly countsLanes: boolean;
}

/** Fewer comparisons per day allow no estimate. The first minutes of a service would give years. */
export const LEAST_DAILY_COMPARISONS = 100;

/** Computes what the evidence proves, and how much more is needed. */
export function confidenceOf(evidence: Evidence, traffic: Traffic, limits: EvidenceLimits): Confidence {
  const judged = judgedBy(evidence);
  const { comparable, notErrors, mismatches, wholeLanes } = judged;
  const tally = tallyOf(judged);
  const missing = missingOf(judged, limits);
  return {
    comparable,
    wholeLanes,
    notErrors,
    mismatches,
    rate: comparable === 0 ? null : mismatches / comparable,
    interval: exactInterval(tally),
    upperBound: exactUpperBound(tally),
    limits,
    isProven: missing.comparable === 0 && missing.notErrors === 0,
    missing: Math.max(missing.comparable, missing.notErrors),
    days: daysFor(missing, trafficOf(judged, traffic)),
  };
}

/**
 * Comparisons of whole lanes count for every read of their service (../README.md, "Comparing"), and there are more of them than
 * of a rare action's answers. They check stored data, and not what the action makes of it. So after a wrong answer of the action,
 * they no longer count in its favour, and its own answers alone must meet the bound. Lanes that do not match still count against
 * it.
 */
function judgedBy(evidence: Evidence): Judged {
  const { comparable, errors, mismatches, laneComparable, laneMismatches } = evidence;
  const own = {
    comparable,
    notErrors: comparable - errors,
    mismatches,
    wholeLanes: 0,
    countsLanes: false,
  };
  const all = {
    comparable: comparable + laneComparable,
    notErrors: own.notErrors + laneComparable,
    mismatches: mismatches + laneMismatches,
    wholeLanes: laneComparable,
    countsLanes: true,
  };
  const isWorseAlone = mismatches > 0 && exactUpperBound(tallyOf(own)) > exactUpperBound(tallyOf(all));
  return isWorseAlone ? own : all;
}

function tallyOf({ comparable, mismatches }: Judged): Tally {
  return { hits: mismatches, tries: comparable };
}

/** Comparisons, and those that are not of two errors: the number that is missing, or the number per day. */
interface Missing {
  readonly comparable: number;
  readonly notErrors: number;
}

function missingOf({ comparable, notErrors, mismatches }: Judged, limits: EvidenceLimits): Missing {
  const isBelow = isProvenBelow({ hits: mismatches, tries: comparable }, limits.mismatchRate);
  const needed = isBelow ? 0 : triesToProve(mismatches, limits.mismatchRate) - comparable;
  return {
    comparable: Math.max(needed, limits.comparable - comparable, 0),
    notErrors: Math.max(limits.notErrors - notErrors, 0),
  };
}

/** Comparisons per day by which the action is judged. Those of whole lanes never have errors. */
function trafficOf({ countsLanes }: Judged, traffic: Traffic): Missing {
  const lanes = countsLanes ? traffic.lanesPerDay : 0;
  return { comparable: traffic.comparablePerDay + lanes, notErrors: traffic.notErrorsPerDay + lanes };
}

function daysFor(missing: Missing, perDay: Missing): number | null {
  if (missing.comparable === 0 && missing.notErrors === 0) return 0;
  if (perDay.comparable < LEAST_DAILY_COMPARISONS) return null;
  const days = Math.max(
    missing.comparable / perDay.comparable,
    missing.notErrors === 0 ? 0 : missing.notErrors / perDay.notErrors,
  );
  return Number.isFinite(days) ? days : null;
}
