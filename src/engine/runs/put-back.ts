import type { Owner } from '../../domain/ids.ts';
import type { OrchestratorWrite } from '../../domain/orchestrator-call.ts';
import type { PendingWrite } from '../ports/ports.ts';
import type { ServiceRuntime } from '../ports/service-runtime.ts';
import { orchestratorWritesOf } from '../delivery/write-plan.ts';

/** Whether the writes of a lane only added items. Then nothing that a repair changed before them was altered or deleted. */
export function onlyAdded(service: ServiceRuntime, owner: Owner, writes: readonly PendingWrite[]): boolean {
  return writes.every((write) => isAddition(service, owner, write));
}

function isAddition(service: ServiceRuntime, owner: Owner, write: PendingWrite): boolean {
  const action = service.definition.actions[write.action];
  // A write that names its item by place removes or alters it. A write that proves that the lane was empty began another life of
  // it.
  if (action?.kind !== 'write' || action.names !== undefined || action.provesEmpty === true) return false;
  return orchestratorWritesOf(service, { owner, write }).every(({ action: name }) => !REMOVING.has(name));
}

const REMOVING: ReadonlySet<string> = new Set(['update', 'delete', 'bulk_delete', 'end_session']);

/** Leaves out what is already done, because the repair or its undo may have stopped in the middle. */
export function stillToPutBack(
  operations: readonly OrchestratorWrite[],
  held: ReadonlySet<string>,
): OrchestratorWrite[] {
  return operations.filter(
    ({ action, payload }) => held.has(String(payload['memory_id'])) === (action !== 'create'),
  );
}
