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
  /** Of these, both answers were errors: they prove little of what is stored. */
  readonly errors: number;
  readonly mismatches: number;
  /** Comparisons of whole lanes of its service that had a verdict, and those that did not match. */
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
  /** The one-sided exact 95 % upper bound of the mismatch rate must be below. */
  readonly mismatchRate: number;
}

export const EVIDENCE_LIMITS: EvidenceLimits = { comparable: 3_000, notErrors: 300, mismatchRate: 0.001 };

/** How far an action is from being proven. */
export interface Confidence {
  readonly comparable: number;
  /** Of these, comparisons of whole lanes; 0 where the action is judged by its own answers alone. */
  readonly wholeLanes: number;
  readonly notErrors: number;
  readonly mismatches: number;
  /** Mismatches per comparison, 0–1; null while there is none. */
  readonly rate: number | null;
  /** Two-sided exact 95 % interval of the rate. */
  readonly interval: RateInterval;
  /** One-sided exact 95 % upper bound of the rate. */
  readonly upperBound: number;
  readonly isProven: boolean;
  /** Further comparisons it takes if all of them match. */
  readonly missing: number;
  /** Days that takes at the rate since the service is in use, of the last day; null where that is none, or too little to tell. */
  readonly days: number | null;
}

/** Traffic that an estimate of time is made from. */
export interface Traffic {
  /** Comparisons of the action's own answers a day that are evidence: with a verdict, and no repeats. At the rate of the time in use. */
  readonly comparablePerDay: number;
  /** Of these, not both errors. */
  readonly notErrorsPerDay: number;
  /** Comparisons of whole lanes of its service a day. */
  readonly lanesPerDay: number;
}

/** Comparisons that an action is judged by. */
interface Judged {
  readonly comparable: number;
  readonly notErrors: number;
  readonly mismatches: number;
  readonly wholeLanes: number;
  /** False where its own answers alone must prove it. */
  readonly countsLanes: boolean;
}

/** Fewer comparisons a day say nothing of the days to come: the first minutes of a service would promise years. */
export const LEAST_DAILY_COMPARISONS = 100;

/** How much evidence says, and how much more it would take. */
export function confidenceOf(
  evidence: Evidence,
  traffic: Traffic,
  limits: EvidenceLimits = EVIDENCE_LIMITS,
): Confidence {
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
    isProven: missing.comparable === 0 && missing.notErrors === 0,
    missing: Math.max(missing.comparable, missing.notErrors),
    days: daysFor(missing, trafficOf(judged, traffic)),
  };
}

/**
 * Whole lanes count for every read of their service (../README.md, "Comparing"), and more of them are compared than of a rare action's
 * answers. They say what is stored, not what the action makes of it: once an answer of its own was wrong, they can add nothing to its
 * favour, and its own answers alone must hold the bound. Lanes that do not match count against it all the same.
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

/** Comparisons, and those that are not of two errors: how many are missing, or come in a day. */
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

/** Comparisons a day of what the action is judged by; those of whole lanes are never of errors. */
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
