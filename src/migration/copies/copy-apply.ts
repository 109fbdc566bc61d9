import { createHash } from 'node:crypto';
import { CrossfadeError } from '../../domain/errors.ts';
import { encodeJson } from '../../domain/json.ts';
import type { LaneFence } from '../../domain/lane.ts';
import type { OrchestratorWrite } from '../../domain/orchestrator-call.ts';
import type { CopyException } from '../journal-facts.ts';
import type { Clock, Orchestrator } from '../ports.ts';
import { refusalReasonOf } from '../refusal-reason.ts';

const BATCH = 400;
/** So many refused items are no exceptions any more: the copy breaks off, and a person looks at it. */
const EXCEPTION_LIMIT = 100;

export interface CopyApplyParts {
  readonly orchestrator: Orchestrator;
  readonly clock: Clock;
  /** Most that one batch may take, in milliseconds. */
  readonly timeoutMs: number;
}

/** More items of a lane were refused than a person would accept one by one. */
export class TooManyExceptions extends Error {}

/**
 * Writes a copy's operations in batches, under the lane's new generation. The generation rises with the first batch, the sequence
 * comes with the last: a copy that breaks off lets nothing overtake it. What the orchestrator refuses for good is left out.
 * @returns what was left out
 * @throws CrossfadeError where the orchestrator fails; TooManyExceptions
 */
export async function applyCopy(
  operations: readonly OrchestratorWrite[],
  fence: LaneFence,
  parts: CopyApplyParts,
): Promise<readonly CopyException[]> {
  const exceptions: CopyException[] = [];
  for (let at = 0; at < operations.length; at += BATCH) {
    const isLast = at + BATCH >= operations.length;
    const { sequence: _last, ...generation } = fence;
    const batchFence: LaneFence = isLast ? fence : generation;
    let batch = operations.slice(at, at + BATCH);
    for (;;) {
      const refused = await refusedOf(batch, batchFence, parts);
      if (refused === undefined) break;
      exceptions.push(exceptionOf(refused.operation, refused.error));
      if (exceptions.length > EXCEPTION_LIMIT)
        throw new TooManyExceptions(`more than ${EXCEPTION_LIMIT} items of the lane were refused`);
      batch = batch.filter((operation) => operation !== refused.operation);
      // Nothing is left, and still the fence must rise: this deletes nothing.
      if (batch.length === 0) batch = [raiseFence(refused.operation)];
    }
  }
  return exceptions;
}

/** An operation that changes nothing but the lane's fence. */
export function raiseFence({ sessionId }: Pick<OrchestratorWrite, 'sessionId'>): OrchestratorWrite {
  return {
    action: 'bulk_delete',
    sessionId,
    payload: { filter: { position_below: 0 }, suppress_events: true },
  };
}

/** Applies a batch whole, or names the operation because of which nothing of it was applied. */
async function refusedOf(
  batch: readonly OrchestratorWrite[],
  lane: LaneFence,
  { orchestrator, clock, timeoutMs }: CopyApplyParts,
): Promise<{ operation: OrchestratorWrite; error: CrossfadeError } | undefined> {
  try {
    await orchestrator.batchWrite(
      batch.map((operation) => ({ ...operation, lane })),
      { purpose: 'probe', deadlineAtMs: clock.now() + timeoutMs },
    );
    return undefined;
  } catch (error) {
    // A refusal of the content; of anything else (a right that is missing, a session that went) no item is to blame.
    if (!(error instanceof CrossfadeError) || error.code !== 'validation_error') throw error;
    const operation = batch[Number(error.details['operation'])];
    if (operation === undefined) throw error;
    return { operation, error };
  }
}

function exceptionOf({ action, payload }: OrchestratorWrite, error: CrossfadeError): CopyException {
  const { memory_id: id, position: _place, ...what } = payload;
  const digest = (): string => createHash('sha256').update(encodeJson(what)).digest('hex');
  const item = action !== 'create' && typeof id === 'string' ? id : digest();
  return { item, action, code: error.code, reason: refusalReasonOf(error) };
}
