import { randomUUID } from 'node:crypto';
import type { Owner, SessionId } from '../../domain/ids.ts';
import { Json } from '../../domain/json.ts';
import type { OrchestratorWrite, WriteActionName } from '../../domain/orchestrator-call.ts';
import type { LaneDefinition, LegacyLane, StoredMemory } from '../../domain/service-definition.ts';
import { raiseFence } from './copy-apply.ts';
import { FORGOTTEN_TAG, type CopyPlan } from '../items/copy-plan.ts';
import { retimesOf } from './legacy-times.ts';

export interface CopyOperationFacts {
  readonly sessionId: SessionId;
  readonly owner: Owner;
  readonly lanes: LaneDefinition;
  readonly plan: CopyPlan;
  readonly forgotten: readonly StoredMemory[];
  readonly source: LegacyLane;
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
}: CopyOperationFacts): { action: WriteActionName; payload: Record<string, unknown> }[] {
  if (source.session === undefined) return [];
  const { userId, metadata, createdAt } = source.session;
  const session = {
    user_id: userId,
    session_metadata: new Json(metadata),
    created_at: createdAt,
    escape_unstorable: true,
  };
  return [
    { action: 'upsert_session', payload: { ...session, session_type: 'conversation', ended_at: null } },
  ];
}
