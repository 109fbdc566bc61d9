import { createHash, randomUUID } from 'node:crypto';
import { CrossfadeError, refusalReasonOf } from '../../domain/errors.ts';
import { encodeJson, Json } from '../../domain/json.ts';
import type { LaneFence } from '../../domain/lane.ts';
import type { OrchestratorWrite, WriteActionName } from '../../domain/orchestrator-call.ts';
import type { CopyException } from '../ports/journal-facts.ts';
import type { Owner, SessionId } from '../../domain/ids.ts';
import type { LaneDefinition, LegacyLane, StoredMemory } from '../../domain/service-definition.ts';
import { type CopyPlan, FORGOTTEN_TAG } from '../items/copy-plan.ts';
import { callsOf, type CopyCalls } from './copy-calls.ts';
import { retimesOf } from './legacy-times.ts';

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

export interface CopyOperationFacts {
  readonly sessionId: SessionId;
  readonly owner: Owner;
  readonly lanes: LaneDefinition;
  readonly plan: CopyPlan;
  readonly forgotten: readonly StoredMemory[];
  readonly source: LegacyLane;
  /** Ends the session of an owner that the source no longer has. */
  readonly ending?: OrchestratorWrite | undefined;
}

/** A copy's plan as operations of the orchestrator. They cause no side effects. */
export function copyOperations(facts: CopyOperationFacts): OrchestratorWrite[] {
  const write = (action: WriteActionName, payload: Record<string, unknown>): OrchestratorWrite => ({
    action,
    sessionId: facts.sessionId,
    payload: { ...payload, suppress_events: true },
  });
  const creates = facts.plan.creates.map(({ item, position, memoryId = `mem-${randomUUID()}` }) =>
    write('create', {
      ...facts.lanes.createPayload(item, facts.owner),
      memory_id: memoryId,
      position,
      created_at: item.at,
      create_session: true,
      escape_unstorable: true,
    }),
  );
  const deletes = facts.plan.deletes.map(({ memory_id }) => write('delete', { memory_id }));
  const hides = facts.forgotten.map(({ memory_id, tags }) =>
    write('update', { memory_id, tags: [...tags, FORGOTTEN_TAG] }),
  );
  const moves = facts.plan.moves.map(({ memoryId, position }) =>
    write('update', { memory_id: memoryId, position }),
  );
  const retags = facts.plan.retags.map(({ memoryId, tags }) =>
    write('update', { memory_id: memoryId, tags }),
  );
  const retimes = retimesOf(facts.plan.kept, facts).map(({ payload }) => {
    // The item may have been moved in the operation before.
    const { if_version: _version, ...retime } = payload;
    return write('update', retime);
  });
  const session = sessionOperations(facts).map(({ action, payload }) => write(action, payload));
  const operations = [...session, ...deletes, ...hides, ...moves, ...retags, ...retimes, ...creates];
  // Nothing differs, but the fence must still learn the lane's sequence, because a delivery that timed out may arrive later.
  return operations.length > 0 ? operations : [raiseFence(facts)];
}

/** The operation for the owner's row. */
function sessionOperations({
  source,
  ending,
}: CopyOperationFacts): Pick<OrchestratorWrite, 'action' | 'payload'>[] {
  if (source.session === undefined) return ending === undefined ? [] : [ending];
  const { userId, metadata, createdAt } = source.session;
  const session = {
    user_id: userId,
    session_metadata: new Json(metadata),
    created_at: createdAt,
    escape_unstorable: true,
  };
  const open = { session_type: 'conversation', ended_at: null, is_archived: false };
  return [{ action: 'upsert_session', payload: { ...session, ...open } }];
}
