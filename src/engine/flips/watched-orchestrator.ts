import { CrossfadeError, StorageError } from '../../domain/errors.ts';
import type { Orchestrator } from '../ports/ports.ts';

/** Failures after which the orchestrator, or its database, may be another one. A slow answer is none. */
const LOSSES: ReadonlySet<string | undefined> = new Set(['unreachable', 'reset', 'stopped', 'breaker_open']);

/** The same orchestrator. Each call that finds its connection or its database lost is reported. */
export function watched(orchestrator: Orchestrator, onLost: () => void): Orchestrator {
  orchestrator.onDown(onLost);
  const toldOf = (error: unknown): void => {
    if (isLoss(error)) onLost();
  };
  // The caller gets the same promise, so that each read waits for one promise less.
  const told = <Value>(answer: Promise<Value>): Promise<Value> => {
    answer.catch(toldOf);
    return answer;
  };
  return {
    read: (call, options) => told(orchestrator.read(call, options)),
    batchWrite: (operations, options) => told(orchestrator.batchWrite(operations, options)),
    writeAsPrimary: (write, fence, options) => told(orchestrator.writeAsPrimary(write, fence, options)),
    closeSequence: (fence, options) => told(orchestrator.closeSequence(fence, options)),
    load: (purpose) => orchestrator.load(purpose),
    onDown: (listener) => orchestrator.onDown(listener),
  };
}

function isLoss(error: unknown): boolean {
  if (error instanceof StorageError) return true;
  return error instanceof CrossfadeError && LOSSES.has(error.reason);
}
