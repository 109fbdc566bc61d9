import type { Backend } from '../../domain/backend.ts';
import { CrossfadeError } from '../../domain/errors.ts';
import { type ServiceName, sessionIdOf } from '../../domain/ids.ts';
import type { LegacyReadEffect } from '../../domain/service-definition.ts';
import type { MappedOperation } from '../calls/ask-orchestrator.ts';
import type { Judgement } from '../compare/compare-replies.ts';
import { type ConcludedLook, notCompared, type Verdicts } from '../compare/verdicts.ts';
import type { DifferenceSample } from '../compare/comparison-stores.ts';
import type { Watermark } from '../delivery/watermarks.ts';
import type { Sightings } from '../compare/look-again.ts';
import type { Snapshot } from '../lane/lanes.ts';
import type { Comparison } from '../../domain/comparison.ts';

/** An answer that an agent got, to be compared with the other backend's answer. */
export interface ShadowRead {
  readonly operation: MappedOperation;
  readonly primary: Backend;
  /** The orchestrator is primary for the lane's writes, so a difference counts against legacy. @defaultValue false */
  readonly isFlipped?: boolean;
  readonly text: string;
  /** How long that backend took. */
  readonly primaryMs: number;
  /** Taken before the primary was asked. */
  readonly before: Snapshot;
  /** False if legacy is asked only to keep the session alive. */
  readonly isCompared: boolean;
  /** Keeps the orchestrator where the answer left the lane. Absent: the lane must stay unchanged by itself. */
  readonly watermark?: Watermark | undefined;
}

/** Both answers of one read, and whether the lane stayed unchanged between them. */
export interface Pair {
  readonly legacy: string;
  readonly orchestrator: string;
  readonly isSteady: boolean;
  /** The position of the lane. */
  readonly place: string;
}

/** A read that waits for its comparison, or is under way. */
export interface ShadowTask extends ShadowRead {
  /** How many times it was looked at before. */
  readonly looks: number;
  /** How many times a backend was not asked, because its circuit breaker was open. */
  readonly postponed: number;
  /** The differences that these looks have shown. */
  readonly seen: Sightings;
  readonly startedAtMs: number;
}

export const RACY = notCompared('racy');

/** A circuit breaker lets one call pass per second. */
export const POSTPONED_MS = 1_000;
const POSTPONED_AT_MOST = 5;

/** While a backend's circuit breaker is open, nothing is known. The read waits if that does not ask legacy more often. */
export function mayWait(task: ShadowTask, error: unknown): boolean {
  const isRefused = error instanceof CrossfadeError && error.reason === 'breaker_open';
  const isFirst = task.looks === 0 || effectOf(task) === 'nothing';
  return isRefused && isFirst && task.postponed < POSTPONED_AT_MOST;
}

export function notComparable(error: unknown): Judgement {
  const isTimeout = error instanceof CrossfadeError && error.reason === 'timeout';
  return notCompared(isTimeout ? 'shadow_timeout' : 'shadow_error');
}

export function effectOf({ operation }: Pick<ShadowTask, 'operation'>): LegacyReadEffect {
  return operation.action.onLegacy(operation.message);
}

export function namesOf({ operation }: ShadowTask): {
  readonly service: ServiceName;
  readonly action: string;
} {
  return { service: operation.service.name, action: operation.name };
}

export function comparedOf(
  task: ShadowTask,
  { legacy, orchestrator }: Pair,
  deleted: ReadonlySet<string> | undefined,
): Parameters<Verdicts['compare']> {
  const { fields } = task.operation.message;
  const { isFlipped = false } = task;
  return [namesOf(task), { legacy, orchestrator, request: fields, isFlipped, ...(deleted && { deleted }) }];
}

/** Reads that leave legacy other than it was. */
export const CHANGING: ReadonlySet<LegacyReadEffect> = new Set(['loads', 'cuts']);

/** What was compared, for the records. */
export function lookOf({ operation }: Pick<ShadowTask, 'operation'>, { legacy, place }: Pair): ConcludedLook {
  const { action, message, service, owner } = operation;
  // Keyed by the request to the orchestrator, because agents use a new request id for each equal read.
  const asked = action.toOrchestrator(message, sessionIdOf(service.definition.lanes.sessionPrefix, owner));
  return { legacyText: legacy, asked: JSON.stringify([place, asked]) };
}

export function sampleOf(task: ShadowTask, { legacy, orchestrator }: Pair): DifferenceSample {
  return { legacy, orchestrator, request: task.operation.message.text };
}

/** Why legacy shows less than the orchestrator, according to the comparison of the whole lane. */
export type GoneBy = 'forgotten' | 'lost';

/**
 * Whether legacy showed less than the orchestrator, and nothing else differed. A deleted item that is back is never explained.
 */
export function showsLess({ verdict, reason, differences, deletedReturned }: Comparison): boolean {
  if (deletedReturned !== undefined) return false;
  if (verdict !== 'mismatch') return reason === 'forgotten';
  return differences.every(({ class: kind }) => kind === 'extra_in_orchestrator');
}

/** A difference that the comparison of the whole lane explains counts in no rate. */
export function explainedBy(judgement: Judgement, by: GoneBy): Judgement {
  const { comparison } = judgement;
  if (comparison.verdict !== 'mismatch') return judgement;
  return {
    ...judgement,
    comparison: {
      verdict: 'not_comparable',
      reason: by,
      differences: [],
      suppressed: comparison.suppressed,
      ...(by === 'forgotten' && {
        explained: comparison.differences.map((difference) => ({ difference, by })),
      }),
    },
  };
}
