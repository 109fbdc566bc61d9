import { ConnectionError, CrossfadeError } from '../../domain/errors.ts';
import type { Outcome } from '../../domain/outcome.ts';
import type { WriteAction } from '../../domain/service-definition.ts';
import type { OwnedOperation } from '../ports/operation.ts';
import type { Sequenced } from './sequence-write.ts';

export function tooLate(): ConnectionError {
  return new ConnectionError('too little of the deadline was left', {
    effect: 'not_applied',
    reason: 'late',
  });
}

export function outcomeOfFailure(error: unknown): Outcome {
  return error instanceof CrossfadeError && error.effect === 'not_applied' ? 'not_applied' : 'unknown';
}

export function writeActionOf(operation: OwnedOperation): WriteAction {
  if (operation.action.kind !== 'write') throw new Error(`"${operation.name}" is not a write`);
  return operation.action;
}

/**
 * The coverage under which the write's success seeds its lane, because it proves that the lane was empty and is the first write
 * of its life. While other writes may bypass the journal, a copy must check the lane.
 */
export function seedOf({ operation, lane, write, coverage, maySeed }: Sequenced): number | undefined {
  const provesEmpty = writeActionOf(operation).provesEmpty === true;
  return provesEmpty && maySeed && write.sequence === 1 && lane.generation === 0 ? coverage : undefined;
}
