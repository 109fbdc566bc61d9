import { createHash } from 'node:crypto';
import { CrossfadeError } from '../../domain/errors.ts';
import { encodeJson } from '../../domain/json.ts';
import type { LaneFence } from '../../domain/lane.ts';
import type { OrchestratorWrite } from '../../domain/orchestrator-call.ts';
import type { CopyException } from '../ports/journal-facts.ts';
import { callsOf, type CopyCalls } from './copy-calls.ts';
import { refusalReasonOf } from '../delivery/refusal-reason.ts';

/** So many refused items are no exceptions any more: the copy breaks off, and a person looks at it. */
const EXCEPTION_LIMIT = 100;

/** More items of a lane were refused than a person would accept one by one. */
export class TooManyExceptions extends Error {}

/**
 * Writes a copy's operations in as few calls as can hold them, under the lane's new generation. The generation rises with the first
 * call, the sequence comes with the last: a copy that breaks off lets nothing overtake it. What the orchestrator refuses for good is
 * left out.
 * @returns what was left out
 * @throws CrossfadeError where the orchestrator fails; TooManyExceptions
 */
export async function applyCopy(
  operations: readonly OrchestratorWrite[],
  fence: LaneFence,
  calls: Pick<CopyCalls, 'write'>,
): Promise<readonly CopyException[]> {
  const exceptions: CopyException[] = [];
  const { sequence: _last, ...generation } = fence;
  const waiting = callsOf(operations);
  for (let batch = waiting.shift(); batch !== undefined; batch = waiting.shift()) {
    const refusal = await refusalOf(batch, waiting.length === 0 ? fence : generation, calls);
    if (refusal === undefined) continue;
    const { operation, error } = refusal;
    if (operation === undefined) {
      waiting.unshift(...halvesOf(batch));
      continue;
    }
    exceptions.push(exceptionOf(operation, error));
    if (exceptions.length > EXCEPTION_LIMIT)
      throw new TooManyExceptions(`more than ${EXCEPTION_LIMIT} items of the lane were refused`);
    const rest = batch.filter((one) => one !== operation);
    if (rest.length > 0) waiting.unshift(rest);
    // Nothing is left, and still the fence must rise: this deletes nothing.
    else if (waiting.length === 0) waiting.push([raiseFence(operation)]);
  }
  return exceptions;
}

function halvesOf(batch: readonly OrchestratorWrite[]): OrchestratorWrite[][] {
  const half = Math.ceil(batch.length / 2);
  return [batch.slice(0, half), batch.slice(half)];
}

/** An operation that changes nothing but the lane's fence. */
export function raiseFence({ sessionId }: Pick<OrchestratorWrite, 'sessionId'>): OrchestratorWrite {
  return {
    action: 'bulk_delete',
    sessionId,
    payload: { filter: { position_below: 0 }, suppress_events: true },
  };
}

/** Why nothing of a batch was applied: because of one operation, or of one that the orchestrator did not come far enough to name. */
interface Refusal {
  readonly operation: OrchestratorWrite | undefined;
  readonly error: CrossfadeError;
}

/** Applies a batch whole; undefined then. */
async function refusalOf(
  batch: readonly OrchestratorWrite[],
  lane: LaneFence,
  calls: Pick<CopyCalls, 'write'>,
): Promise<Refusal | undefined> {
  try {
    await calls.write(batch.map((operation) => ({ ...operation, lane })));
    return undefined;
  } catch (error) {
    // A refusal of the content; of anything else (a right that is missing, a session that went) no item is to blame.
    if (!(error instanceof CrossfadeError) || error.code !== 'validation_error') throw error;
    const named = batch[Number(error.details['operation'])];
    if (named !== undefined) return { operation: named, error };
    // Too long, or nested too deeply, to be read at all.
    if (error.details['field'] !== 'message') throw error;
    return { operation: batch.length === 1 ? batch[0] : undefined, error };
  }
}

function exceptionOf({ action, payload }: OrchestratorWrite, error: CrossfadeError): CopyException {
  const { memory_id: id, position: _place, ...what } = payload;
  const digest = (): string => createHash('sha256').update(encodeJson(what)).digest('hex');
  const item = action !== 'create' && typeof id === 'string' ? id : digest();
  return { item, action, code: error.code, reason: refusalReasonOf(error) };
}
