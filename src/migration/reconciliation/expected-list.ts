import type { Owner } from '../../domain/ids.ts';
import { encodeJson } from '../../domain/json.ts';
import { deletedBelow } from '../copies/copy-operations.ts';
import { digestOfFields } from '../copies/copy-plan.ts';
import { parseStoredMemory } from '../copies/lane-contents.ts';
import type { OrchestratorWrite } from '../../domain/orchestrator-call.ts';
import type { PendingWrite } from '../ports.ts';
import type { Baseline } from '../runs/run-ports.ts';
import type { ServiceRuntime } from '../service-runtime.ts';
import { orchestratorWritesOf } from '../writes/write-plan.ts';

/**
 * What both sides should show of a lane, by digest: the list as it was last seen equal, and every write since. Undefined where that
 * cannot be told: no baseline, writes pruned since, or one of unknown outcome among them.
 * @param writes applied ones after the baseline, in sequence; undefined where some are gone
 */
export function expectedList(
  service: ServiceRuntime,
  owner: Owner,
  {
    baseline,
    writes,
  }: { readonly baseline: Baseline | undefined; readonly writes: readonly PendingWrite[] | undefined },
): readonly string[] | undefined {
  if (baseline === undefined || writes === undefined) return undefined;
  let list = baseline.items.map(({ digest }) => digest);
  for (const write of writes) {
    const next = after(list, write, { service, owner });
    if (next === undefined) return undefined;
    list = next;
  }
  return list;
}

function after(
  list: string[],
  write: PendingWrite,
  { service, owner }: { readonly service: ServiceRuntime; readonly owner: Owner },
): string[] | undefined {
  const action = service.definition.actions[write.action];
  if (write.isUncertain === true || action?.kind !== 'write') return undefined;
  if (action.names !== undefined)
    return write.items === undefined ? undefined : withoutNamed(list, write.items);
  // The service had forgotten what it held: of that nobody may say that it came back.
  if (action.provesEmpty === true && list.length > 0) return undefined;
  let left: string[] | undefined = list;
  for (const operation of orchestratorWritesOf(service, { owner, write })) {
    if (left === undefined) return undefined;
    left = replayed(left, operation, service);
  }
  return left;
}

/** Undefined for what changes one item by its id: a list by digests does not show which. */
function replayed(
  list: string[],
  operation: OrchestratorWrite,
  { definition }: ServiceRuntime,
): string[] | undefined {
  if (deletedBelow(operation) > 0) return [];
  if (operation.action === 'update' || operation.action === 'delete') return undefined;
  if (operation.action !== 'create') return list;
  const fields = definition.lanes.fieldsOf(parseStoredMemory(encodeJson(operation.payload)));
  return fields === undefined ? list : [...list, digestOfFields(fields)];
}

function withoutNamed(list: string[], items: NonNullable<PendingWrite['items']>): string[] {
  const left = [...list];
  for (const { digest, newer } of items) {
    const places = left.flatMap((one, index) => (one === digest ? [index] : []));
    const place = places.at(-1 - newer);
    if (place !== undefined) left.splice(place, 1);
  }
  return left;
}
