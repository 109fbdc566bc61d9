import type { Owner } from '../../domain/ids.ts';
import type { OrchestratorWrite } from '../../domain/orchestrator-call.ts';
import type { PendingWrite } from '../ports/ports.ts';
import type { ServiceRuntime } from '../ports/service-runtime.ts';
import { orchestratorWritesOf } from '../delivery/write-plan.ts';

/** Whether the writes of a lane did nothing but add: of what a repair changed before them nothing was altered or deleted since. */
export function onlyAdded(service: ServiceRuntime, owner: Owner, writes: readonly PendingWrite[]): boolean {
  return writes.every((write) => isAddition(service, owner, write));
}

function isAddition(service: ServiceRuntime, owner: Owner, write: PendingWrite): boolean {
  const action = service.definition.actions[write.action];
  // What names its item by its place removes or alters it; what proves that the lane was empty began another life of it.
  if (action?.kind !== 'write' || action.names !== undefined || action.provesEmpty === true) return false;
  return orchestratorWritesOf(service, { owner, write }).every(({ action: name }) => !REMOVING.has(name));
}

const REMOVING: ReadonlySet<string> = new Set(['update', 'delete', 'bulk_delete', 'end_session']);

/** Without what is so already: the repair that it puts back, or the undoing itself, ended in its middle. */
export function stillToPutBack(
  operations: readonly OrchestratorWrite[],
  held: ReadonlySet<string>,
): OrchestratorWrite[] {
  return operations.filter(
    ({ action, payload }) => held.has(String(payload['memory_id'])) === (action !== 'create'),
  );
}
