import { createHash } from 'node:crypto';
import { CrossfadeError } from '../../domain/errors.ts';
import { encodeJson } from '../../domain/json.ts';
import type { LaneFence } from '../../domain/lane.ts';
import type { OrchestratorWrite } from '../../domain/orchestrator-call.ts';
import type { CopyException } from '../ports/journal-facts.ts';
import { callsOf, type CopyCalls } from './copy-calls.ts';
import { refusalReasonOf } from '../delivery/refusal-reason.ts';

/** With this many refused items, they are no longer exceptions. The copy stops, and a person checks the lane. */
const EXCEPTION_LIMIT = 100;

/** Thrown when more items of a lane were refused than a person would accept one by one. */
export class TooManyExceptions extends Error {}

/**
 * Writes a copy's operations in as few calls as possible, under the lane's new generation. The first call raises the generation,
 * and the last call carries the sequence. So an interrupted copy lets nothing overtake it. Items that the orchestrator refuses
 * for good are left out.
 * @returns the items that were left out
 * @throws CrossfadeError if the orchestrator fails; TooManyExceptions
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
    // Nothing is left to write, but the generation must still rise. This deletes nothing.
    else if (waiting.length === 0) waiting.push([raiseFence(operation)]);
  }
  return exceptions;
}

function halvesOf(batch: readonly OrchestratorWrite[]): OrchestratorWrite[][] {
  const half = Math.ceil(batch.length / 2);
  return [batch.slice(0, half), batch.slice(half)];
}

/** An operation that changes only the lane's fence. */
export function raiseFence({ sessionId }: Pick<OrchestratorWrite, 'sessionId'>): OrchestratorWrite {
  return {
    action: 'bulk_delete',
    sessionId,
    payload: { filter: { position_below: 0 }, suppress_events: true },
  };
}

/**
 * Why nothing of a batch was applied: one operation was refused, or the batch was refused before the orchestrator could name one.
 */
interface Refusal {
  readonly operation: OrchestratorWrite | undefined;
  readonly error: CrossfadeError;
}

/** Applies a batch as a whole. Returns undefined on success. */
async function refusalOf(
  batch: readonly OrchestratorWrite[],
  lane: LaneFence,
  calls: Pick<CopyCalls, 'write'>,
): Promise<Refusal | undefined> {
  try {
    await calls.write(batch.map((operation) => ({ ...operation, lane })));
    return undefined;
  } catch (error) {
    // The content was refused. For any other failure (a missing right, a deleted session) no item is the cause.
    if (!(error instanceof CrossfadeError) || error.code !== 'validation_error') throw error;
    const named = batch[Number(error.details['operation'])];
    if (named !== undefined) return { operation: named, error };
    // Too long, or too deeply nested, to be parsed.
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
