import { type MemoryId, memoryIdOf, type Owner, sessionIdOf } from '../../domain/ids.ts';
import { positionOf } from '../../domain/lane.ts';
import type { OrchestratorWrite } from '../../domain/orchestrator-call.ts';
import { readText } from '../../domain/request.ts';
import type { WriteFacts } from '../../domain/service-definition.ts';
import type { PendingWrite } from '../ports/ports.ts';
import type { ServiceRuntime } from '../ports/service-runtime.ts';

export interface WriteToPlan {
  readonly owner: Owner;
  readonly write: Pick<PendingWrite, 'message' | 'request' | 'acceptedAtMs' | 'sequence' | 'operationId'>;
  /** The named items, as the orchestrator holds them. */
  readonly items?: readonly MemoryId[];
}

/** What a definition learns of a journaled write. It is the same for every replica, at any time. */
export function writeFactsOf(service: ServiceRuntime, { owner, write, items = [] }: WriteToPlan): WriteFacts {
  return {
    request: write.message ?? readText(write.request),
    owner,
    items,
    sessionId: sessionIdOf(service.definition.lanes.sessionPrefix, owner),
    acceptedAt: new Date(write.acceptedAtMs).toISOString(),
    position: (index = 0) => positionOf(write.sequence, index),
    memoryId: (index = 0) => memoryIdOf(write.operationId, index),
  };
}

/** The operations of a journaled write. Always the same, whichever replica delivers it, and whenever. */
export function orchestratorWritesOf(
  service: ServiceRuntime,
  planned: WriteToPlan & { readonly write: PendingWrite },
): OrchestratorWrite[] {
  const action = service.definition.actions[planned.write.action];
  if (action?.kind !== 'write') return [];
  return action.toOrchestrator(writeFactsOf(service, planned), service.context);
}
