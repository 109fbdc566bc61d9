import type { ExplainedOperation, ExplainedWrite } from '../engine/ports/explain-ports.ts';

/** One event of an operation. */
export interface TimelineStep {
  readonly at: string;
  /** Where it happened: in the journal, on a backend, or on a ledger by a person's decision. */
  readonly where: 'journal' | 'legacy' | 'orchestrator' | 'person';
  readonly what: string;
  readonly [more: string]: unknown;
}

/** The state of a write on the orchestrator, as closed words. */
export type Standing =
  /** Legacy has not applied it, so there is nothing to deliver. */
  'not_due' | 'waits_for_outcome' | 'waiting' | 'refused' | 'left_out' | 'delivered' | 'copied';

/** The state of a write on the orchestrator, according to the journal. */
export function standingOf(write: ExplainedWrite | ExplainedOperation): Standing {
  if (write.outcome === 'refused' || write.outcome === 'not_applied') return 'not_due';
  if (write.dead_letter !== null) return 'refused';
  if (write.letter_resolution === 'skipped') return 'left_out';
  if (write.is_through) return write.via === 'copy' ? 'copied' : 'delivered';
  return write.outcome === 'applied' ? 'waiting' : 'waits_for_outcome';
}

/** Everything that is stored about an operation, in the order it happened. */
export function timelineOf(operation: ExplainedOperation): TimelineStep[] {
  const steps = [
    ...accepted(operation),
    ...outcome(operation),
    ...unknownOutcome(operation),
    ...deadLetter(operation),
    ...through(operation),
  ];
  return steps.toSorted((one, other) => Date.parse(one.at) - Date.parse(other.at));
}

type Step = Pick<TimelineStep, 'where' | 'what'>;

/** No step if it did not happen. */
function at<One extends Step>(time: Date | null, step: One): TimelineStep[] {
  return time === null ? [] : [{ at: time.toISOString(), ...step }];
}

function accepted({ accepted_at: time, sequence, replica }: ExplainedOperation): TimelineStep[] {
  return at(time, { where: 'journal', what: 'accepted', sequence, replica });
}

function outcome({ outcome: what, outcome_at: time }: ExplainedOperation): TimelineStep[] {
  return what === null ? [] : at(time, { where: 'legacy', what });
}

function unknownOutcome(operation: ExplainedOperation): TimelineStep[] {
  const { unknown_ending: ending, unknown_decided_by: person } = operation;
  const decided = person !== null && { person, reason: operation.unknown_decided_reason };
  return [
    ...at(operation.unknown_found_at, { where: 'legacy', what: 'outcome_unknown' }),
    ...at(operation.unknown_ended_at, {
      where: person === null ? 'journal' : 'person',
      what: `settled: ${ending ?? ''}`,
      ...decided,
    }),
    ...at(operation.unknown_closed_at, {
      where: 'journal',
      what: 'no late reply or effect is possible any more',
    }),
  ];
}

function deadLetter(operation: ExplainedOperation): TimelineStep[] {
  const { letter_resolved_by: person, letter_resolution: resolution } = operation;
  return [
    ...at(operation.letter_at, {
      where: 'orchestrator',
      what: 'refused for good',
      code: operation.letter_code,
      attempts: operation.letter_attempts,
    }),
    ...at(operation.letter_resolved_at, {
      where: person === null ? 'journal' : 'person',
      what: `dead letter ${resolution ?? ''}`,
      ...(person !== null && { person, reason: operation.letter_resolved_reason }),
    }),
  ];
}

function through(operation: ExplainedOperation): TimelineStep[] {
  const standing = standingOf(operation);
  if (standing === 'not_due') return [];
  return at(operation.through_at, { where: 'orchestrator', what: standing });
}
