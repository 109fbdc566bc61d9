import type { ServiceName } from '../domain/ids.ts';
import { GUARD_LIMITS } from '../engine/guard/triggers.ts';
import type { Finding, Trigger } from '../engine/ports/finding.ts';
import type { FlagsOffState } from '../engine/guard/flags-after-trip.ts';
import type { Hold } from '../engine/guard/latches.ts';
import type { ActionFacts } from '../engine/guard/interlock-facts.ts';
import type { Judged } from '../engine/guard/interlock-keeper.ts';
import type { FlagVerdict } from '../engine/guard/judge-flags.ts';
import type { GuardStatus, StainedAction } from './api/guard.ts';
import type { ActionStatus } from './api/status.ts';
import { toldInterlocks } from './told-interlocks.ts';

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
      flipped_lanes: judged.facts.lanes.flipped,
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
