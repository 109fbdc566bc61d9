import type { ServiceName } from '../domain/ids.ts';
import { GUARD_LIMITS } from '../engine/guard/triggers.ts';
import type { Finding, Trigger } from '../engine/ports/finding.ts';
import type { FlagsOffState } from '../engine/guard/flags-after-trip.ts';
import type { Hold } from '../engine/guard/latch-board.ts';
import type { ActionFacts } from '../engine/guard/interlock-facts.ts';
import type { Judged } from '../engine/guard/interlock-keeper.ts';
import type { FlagVerdict } from '../engine/guard/judge-flags.ts';
import { toldInterlocks, type ToldInterlock } from './told-interlocks.ts';

/** Gives latches, findings and verdicts from memory. */
export interface GuardSource {
  /** Undefined before the first judgement. */
  judged(service: ServiceName): Judged | undefined;
  holdOf(service: ServiceName): Hold | undefined;
  /** The findings of the last second. */
  findingsOf(service: ServiceName): readonly Finding[];
  /** The triggers for which shadow load is dropped. Empty while it is not dropped. */
  shadowDroppedFor(service: ServiceName): readonly Trigger[];
  /** Undefined if nothing tripped. */
  flagsOffOf(service: ServiceName): FlagsOffState | undefined;
}

/** One action's part of read-cutover. Percent. */
export interface ActionStatus {
  readonly asked: number;
  readonly in_effect: number;
  readonly interlocks: readonly ToldInterlock[];
  /** A person accepted the action by name, so it moves without evidence. */
  readonly accepted: boolean;
  readonly comparable: number;
  /**
   * How many of these compared whole lanes. 0 after a wrong answer of the action, because then only its own answers count as
   * proof.
   */
  readonly whole_lanes: number;
  readonly not_errors: number;
  readonly mismatches: number;
  /** Two-sided exact 95 % interval of the mismatch rate, 0–1. */
  readonly mismatch_interval: readonly [number, number];
  /** One-sided exact 95 % bound, which must be below 0.001. */
  readonly mismatch_upper_bound: number;
  /** How many further comparisons are needed if all of them match. */
  readonly comparisons_missing: number;
  /** At the traffic of the last 24 hours that counts as evidence. Null if there were fewer than 100 comparisons. */
  readonly days_missing: number | null;
}

export interface GuardStatus {
  /** What keeps the service's reads on legacy. Null if nothing does. */
  readonly held_by: string | null;
  /** The latency that the proxies added in the last minutes, as the interlock judges it. Absent before the first judgement. */
  readonly added?: { readonly p95_ms: number | null; readonly minutes: number };
  readonly latch?: {
    readonly id: number;
    readonly tripped_at: string;
    readonly cool_down_until: string;
    readonly finding: Finding;
  };
  readonly findings: readonly Finding[];
  /** Whether the flags show the trip. Absent while nothing tripped. */
  readonly flags_off?: {
    readonly state: FlagsOffState['state'];
    readonly flags?: readonly string[];
    readonly tries?: number;
    readonly last_error?: string;
  };
}

export function actionStatuses(
  service: ServiceName,
  { facts, verdict }: Judged,
): Record<string, ActionStatus> {
  const entries = Object.entries(facts.actions).flatMap(([action, shown]) => {
    const judged = verdict.actions[action];
    if (judged === undefined) return [];
    const interlocks = toldInterlocks(judged.reasons, { service, action, confidence: shown.confidence });
    return [[action, { ...actionStatus(shown, judged), interlocks }] as const];
  });
  return Object.fromEntries(entries);
}

function actionStatus(
  { confidence, isAccepted }: ActionFacts,
  judged: FlagVerdict,
): Omit<ActionStatus, 'interlocks'> {
  const { interval } = confidence;
  return {
    asked: judged.asked,
    in_effect: judged.inEffect,
    accepted: isAccepted,
    comparable: confidence.comparable,
    whole_lanes: confidence.wholeLanes,
    not_errors: confidence.notErrors,
    mismatches: confidence.mismatches,
    mismatch_interval: [interval.lower, interval.upper],
    mismatch_upper_bound: confidence.upperBound,
    comparisons_missing: confidence.missing,
    days_missing: confidence.days,
  };
}

/** An action whose evidence holds mismatches. A release resets what the guard counted, and not this evidence. */
export type StainedAction = Pick<ActionStatus, 'comparable' | 'mismatches' | 'comparisons_missing'> & {
  readonly action: string;
};

export function stainedActions(judged: Judged | undefined): StainedAction[] {
  if (judged === undefined) return [];
  return Object.entries(judged.facts.actions).flatMap(([action, { confidence }]) => {
    const { comparable, mismatches, missing } = confidence;
    return missing === 0 || mismatches === 0
      ? []
      : [{ action, comparable, mismatches, comparisons_missing: missing }];
  });
}

export function guardStatus(source: GuardSource, service: ServiceName): GuardStatus {
  const hold = source.holdOf(service);
  const judged = source.judged(service);
  const { latch } = hold ?? {};
  return {
    held_by: hold?.cause ?? null,
    findings: source.findingsOf(service),
    ...(judged !== undefined && {
      added: { p95_ms: judged.facts.addedP95Ms, minutes: GUARD_LIMITS.ofMinutes },
    }),
    ...flagsOffStatus(source.flagsOffOf(service)),
    ...(latch !== undefined && {
      latch: {
        id: latch.id,
        tripped_at: new Date(latch.trippedAtMs).toISOString(),
        cool_down_until: new Date(latch.coolDownUntilMs).toISOString(),
        finding: latch.finding,
      },
    }),
  };
}

function flagsOffStatus(off: FlagsOffState | undefined): Pick<GuardStatus, 'flags_off'> {
  if (off === undefined) return {};
  if (off.state !== 'waiting') return { flags_off: off };
  const { state, tries, lastError } = off;
  return { flags_off: { state, tries, ...(lastError !== undefined && { last_error: lastError }) } };
}
