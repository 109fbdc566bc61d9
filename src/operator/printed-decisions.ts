import type { StoredDeadLetter, StoredUnknown } from '../engine/ports/decision-ports.ts';

/** A late reply is awaited for this long. */
const LISTENED_MS = 60_000;

function at(ms: number | undefined): string | null {
  return ms === undefined ? null : new Date(ms).toISOString();
}

/** A dead letter as people see it, without the content of the write. */
export function printedLetter(letter: StoredDeadLetter): object {
  return {
    operation_id: letter.operationId,
    service: letter.service,
    lane: letter.lane,
    sequence: letter.sequence,
    action: letter.action,
    code: letter.code,
    reason: letter.reason,
    refused_at: at(letter.refusedAtMs),
    attempts: letter.attempts,
    state: letter.standing,
    resolved_at: at(letter.resolvedAtMs),
    resolved_by: letter.resolvedBy?.person ?? null,
    resolved_reason: letter.resolvedBy?.reason ?? null,
    /** Whether the lane's deliveries have passed it. */
    through: letter.isThrough,
    waiting_behind: letter.waiting,
  };
}

interface Circumstances {
  readonly isReadable: boolean;
  readonly nowMs: number;
}

/** A write of unknown outcome, and what may still settle it. */
export function printedUnknown(unknown: StoredUnknown, circumstances: Circumstances): object {
  return {
    ...printedEnd(unknown),
    ...waitingOf(unknown, circumstances),
  };
}

/** What it waits for, and what a person may choose. */
function waitingOf({ ending, foundAtMs }: StoredUnknown, { isReadable, nowMs }: Circumstances): object {
  if (ending !== undefined) return { waits_for: null, choices: [] };
  const isYoung = nowMs - foundAtMs < LISTENED_MS;
  const otherwise = isYoung ? 'late_reply' : 'person';
  return {
    waits_for: isReadable ? 'copy' : otherwise,
    choices: isYoung ? [] : ['assume-applied', 'assume-lost'],
  };
}

function printedEnd(unknown: StoredUnknown): object {
  return {
    operation_id: unknown.operationId,
    service: unknown.service,
    lane: unknown.lane,
    sequence: unknown.sequence,
    action: unknown.action,
    accepted_at: at(unknown.acceptedAtMs),
    found_at: at(unknown.foundAtMs),
    end: unknown.ending ?? null,
    ended_at: at(unknown.endedAtMs),
    closed_at: at(unknown.closedAtMs),
    decided_by: unknown.decidedBy?.person ?? null,
    decided_reason: unknown.decidedBy?.reason ?? null,
  };
}
