import { CrossfadeError } from '../../domain/errors.ts';
import type { OrchestratorWrite } from '../../domain/orchestrator-call.ts';
import type { Lane } from '../lane/lane.ts';
import type { PendingWrite, WriteAnswer } from '../ports/ports.ts';

/** The result of a delivery. `skipped`: a dead letter that a person has skipped. */
export type Delivered = WriteAnswer['result'] | 'skipped';

/** A write on its way to the secondary, with its operations. */
export interface Parcel {
  readonly lane: Lane;
  readonly write: PendingWrite;
  readonly operations: readonly OrchestratorWrite[];
}

const DELETES: ReadonlySet<string> = new Set(['delete', 'bulk_delete', 'end_session']);

/** The result of each parcel, from the answers to all its operations. A write without operations counts as delivered. */
export function resultsOf(parcels: readonly Parcel[], answers: readonly WriteAnswer[]): Delivered[] {
  let at = 0;
  return parcels.map(({ write, operations }) => {
    const answer = operations.length === 0 ? undefined : answers[at];
    at += operations.length;
    return write.letter === 'skipped' ? 'skipped' : (answer?.result ?? 'applied');
  });
}

/** Deleting a missing item counts as a delete. */
export function isDelete({ operations }: Parcel): boolean {
  return operations.every(({ action }) => DELETES.has(action));
}

/** The parcel of the operation that the orchestrator named in its refusal. */
export function culpritOf(parcels: readonly Parcel[], error: CrossfadeError): Parcel | undefined {
  const index = error.details['operation'];
  if (typeof index !== 'number') return parcels.length === 1 ? parcels[0] : undefined;
  let end = 0;
  return parcels.find((parcel) => {
    end += parcel.operations.length;
    return index < end;
  });
}

/** Whether the secondary refused a batch unread, because it is too large for one message. */
export function isTooLarge(error: unknown): boolean {
  return (
    error instanceof CrossfadeError && error.effect === 'rejected' && error.details['field'] === 'message'
  );
}
