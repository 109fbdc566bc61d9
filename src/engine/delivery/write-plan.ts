import { memoryIdOf, sessionIdOf, type MemoryId, type Owner } from '../../domain/ids.ts';
import { positionOf } from '../../domain/lane.ts';
import type { OrchestratorWrite } from '../../domain/orchestrator-call.ts';
import { readText } from '../../domain/request.ts';
import type { PendingWrite } from '../ports/ports.ts';
import type { ServiceRuntime } from '../ports/service-runtime.ts';

export interface WriteToPlan {
  readonly owner: Owner;
  readonly write: PendingWrite;
  /** The named items, as the orchestrator holds them. */
  readonly items?: readonly MemoryId[];
}

/** The operations of a journaled write. Always the same, whichever replica delivers it, and whenever. */
export function orchestratorWritesOf(
  service: ServiceRuntime,
  { owner, write, items = [] }: WriteToPlan,
): OrchestratorWrite[] {
  const action = service.definition.actions[write.action];
  if (action?.kind !== 'write') return [];
  return action.toOrchestrator(
    {
      request: write.message ?? readText(write.request),
      owner,
      items,
      sessionId: sessionIdOf(service.definition.lanes.sessionPrefix, owner),
      acceptedAt: new Date(write.acceptedAtMs).toISOString(),
      position: (index = 0) => positionOf(write.sequence, index),
      memoryId: (index = 0) => memoryIdOf(write.operationId, index),
    },
    service.context,
  );
}
