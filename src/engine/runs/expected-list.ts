import type { Owner } from '../../domain/ids.ts';
import { encodeJson } from '../../domain/json.ts';
import type { LegacyItem, StoredMemory } from '../../domain/service-definition.ts';
import { digestOfFields } from '../items/copy-plan.ts';
import { laneDeletionOf, takes, type FilteredItem, type LaneDeletion } from '../items/lane-deletion.ts';
import { parseStoredMemory } from '../items/lane-contents.ts';
import type { OrchestratorWrite } from '../../domain/orchestrator-call.ts';
import type { PendingWrite } from '../ports/ports.ts';
import type { Baseline } from '../ports/journal-facts.ts';
import type { ServiceRuntime } from '../ports/service-runtime.ts';
import { orchestratorWritesOf } from '../items/write-facts.ts';

interface ListFacts {
  readonly baseline: Baseline | undefined;
  /** Applied writes after the baseline, in sequence; undefined if some were pruned. */
  readonly writes: readonly PendingWrite[] | undefined;
  /** What the two sides show. Other items are not checked. */
  readonly shown: readonly Pick<LegacyItem, 'fields'>[];
}

/** An item of the expected list. */
interface Entry {
  readonly digest: string;
  /** Absent for items of the baseline, which come before every later write. */
  readonly memory?: StoredMemory;
}

interface Replay {
  readonly service: ServiceRuntime;
  readonly owner: Owner;
  /** What a filter checks of an item of the baseline. */
  readonly filtered: (digest: string) => FilteredItem | undefined;
}

/**
 * What both sides should show of a lane, by digest: the list as it was last seen equal, and every write since. Undefined if
 * unknown: no baseline, pruned writes, or a write of unknown outcome among them.
 */
export function expectedList(
  service: ServiceRuntime,
  owner: Owner,
  { baseline, writes, shown }: ListFacts,
): readonly string[] | undefined {
  if (baseline === undefined || writes === undefined) return undefined;
  const replay = { service, owner, filtered: filteredItems(service, owner, shown) };
  let list: Entry[] = baseline.items.map(({ digest }) => ({ digest }));
  for (const write of writes) {
    const next = after(list, write, replay);
    if (next === undefined) return undefined;
    list = next;
  }
  return list.map(({ digest }) => digest);
}

/** A copy of the same item shows which tags it carries. */
function filteredItems(
  { definition: { lanes } }: ServiceRuntime,
  owner: Owner,
  shown: ListFacts['shown'],
): Replay['filtered'] {
  let byDigest: Map<string, LegacyItem['fields']> | undefined;
  return (digest) => {
    byDigest ??= new Map(shown.map(({ fields }) => [digestOfFields(fields), fields]));
    const fields = byDigest.get(digest);
    if (fields === undefined) return undefined;
    const at = new Date(0).toISOString();
    const payload = lanes.createPayload({ fields, timestamp: at, at }, owner);
    return { ...parseStoredMemory(encodeJson(payload)), position: 0 };
  };
}

function after(list: Entry[], write: PendingWrite, replay: Replay): Entry[] | undefined {
  const { service, owner } = replay;
  const action = service.definition.actions[write.action];
  if (write.isUncertain === true || action?.kind !== 'write') return undefined;
  if (action.names !== undefined)
    return write.items === undefined ? undefined : withoutNamed(list, write.items);
  // The service had forgotten the item, so it cannot count as resurrected.
  if (action.provesEmpty === true && list.length > 0) return undefined;
  let left: Entry[] | undefined = list;
  for (const operation of orchestratorWritesOf(service, { owner, write })) {
    if (left === undefined) return undefined;
    left = replayed(left, operation, replay);
  }
  return left;
}

/** Undefined for a write that changes one item by its id, because a list of digests does not show which item. */
function replayed(list: Entry[], operation: OrchestratorWrite, replay: Replay): Entry[] | undefined {
  const deletion = laneDeletionOf(operation);
  if (deletion !== undefined) return list.filter((entry) => !isTaken(entry, deletion, replay));
  if (['update', 'delete', 'bulk_delete'].includes(operation.action)) return undefined;
  if (operation.action !== 'create') return list;
  const memory = parseStoredMemory(encodeJson(operation.payload));
  const fields = replay.service.definition.lanes.fieldsOf(memory);
  return fields === undefined ? list : [...list, { digest: digestOfFields(fields), memory }];
}

/** An item that neither side shows may be deleted as well. It makes no difference. */
function isTaken({ digest, memory }: Entry, deletion: LaneDeletion, { filtered }: Replay): boolean {
  const item = memory ?? filtered(digest);
  return item === undefined || takes(deletion, item);
}

function withoutNamed(list: Entry[], items: NonNullable<PendingWrite['items']>): Entry[] {
  const left = [...list];
  for (const { digest, newer } of items) {
    const places = left.flatMap((one, index) => (one.digest === digest ? [index] : []));
    const place = places.at(-1 - newer);
    if (place !== undefined) left.splice(place, 1);
  }
  return left;
}
