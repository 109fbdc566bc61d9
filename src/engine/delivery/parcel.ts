import { CrossfadeError } from '../../domain/errors.ts';
import type { OrchestratorWrite } from '../../domain/orchestrator-call.ts';
import type { Lane } from '../lane/lane.ts';
import type { PendingWrite, WriteAnswer } from '../ports/ports.ts';

/** What became of a delivery; `skipped` is a dead letter that a person has left out. */
export type Delivered = WriteAnswer['result'] | 'skipped';

/** A write on its way to the secondary, with its operations. */
export interface Parcel {
  readonly lane: Lane;
  readonly write: PendingWrite;
  readonly operations: readonly OrchestratorWrite[];
}

const DELETES: ReadonlySet<string> = new Set(['delete', 'bulk_delete', 'end_session']);

/** What became of each, by the answers to all their operations; a write that needs none there is through. */
export function resultsOf(parcels: readonly Parcel[], answers: readonly WriteAnswer[]): Delivered[] {
  let at = 0;
  return parcels.map(({ write, operations }) => {
    const answer = operations.length === 0 ? undefined : answers[at];
    at += operations.length;
    return write.letter === 'skipped' ? 'skipped' : (answer?.result ?? 'applied');
  });
}

/** Deleting what is not there is a delete. */
export function isDelete({ operations }: Parcel): boolean {
  return operations.every(({ action }) => DELETES.has(action));
}

/** The parcel whose operation the orchestrator named in its refusal. */
export function culpritOf(parcels: readonly Parcel[], error: CrossfadeError): Parcel | undefined {
  const index = error.details['operation'];
  if (typeof index !== 'number') return parcels.length === 1 ? parcels[0] : undefined;
  let end = 0;
  return parcels.find((parcel) => {
    end += parcel.operations.length;
    return index < end;
  });
}

/** Whether the secondary has refused a batch unread: as one message it is too much. */
export function isTooLarge(error: unknown): boolean {
  return (
    error instanceof CrossfadeError && error.effect === 'rejected' && error.details['field'] === 'message'
  );
}
