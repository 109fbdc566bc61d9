import type { Owner } from '../../domain/ids.ts';
import { encodeJson } from '../../domain/json.ts';
import { positionOf } from '../../domain/lane.ts';
import type { NamedItem } from '../../domain/named-item.ts';
import type { OrchestratorWrite } from '../../domain/orchestrator-call.ts';
import type { StoredMemory, WriteAction } from '../../domain/service-definition.ts';
import { digestOfFields } from '../items/copy-plan.ts';
import { laneDeletionOf, takes, type LaneDeletion } from '../items/lane-deletion.ts';
import { parseStoredMemory } from '../items/lane-contents.ts';
import type { PendingWrite } from '../ports/ports.ts';
import type { ServiceRuntime } from '../ports/service-runtime.ts';
import { orchestratorWritesOf } from '../delivery/write-plan.ts';

/** What a lane's journaled writes, which the secondary may not have seen, say of what its primary shows. */
export interface JournaledWrites {
  /** What they deleted by filter. */
  readonly deletions: readonly LaneDeletion[];
  /** Everything below this position belongs to an earlier life of the owner. */
  readonly emptyBelow: number;
  /** Writes that would prove the same, if it were known that they took effect. */
  readonly beginnings: readonly PossibleBeginning[];
  /** Ids of the items that were written, oldest first, by the digest of their fields; without those that were deleted since. */
  readonly ids: ReadonlyMap<string, readonly string[]>;
  /** What wrote them, by id, where it has taken effect for certain. None where a write may have changed single items since. */
  readonly creates: ReadonlyMap<string, OrchestratorWrite>;
  /** Those of {@link creates} that no unjournaled write can have deleted since. */
  readonly covered: ReadonlySet<string>;
  /** Items that were deleted, each by itself. */
  readonly named: readonly NamedItem[];
  /** So many items more may be gone because of writes of which nobody knows for certain what they named. */
  readonly unaccounted: number;
}

/** A write of unknown outcome: if it took effect, everything below this position belongs to an earlier life of the owner. */
export interface PossibleBeginning {
  readonly below: number;
  readonly acceptedAtMs: number;
}

export interface JournaledFacts {
  readonly service: ServiceRuntime;
  readonly owner: Owner;
  /** In sequence. */
  readonly writes: readonly PendingWrite[];
  /** Those since {@link uncertainDelete}, also what was delivered. @defaultValue {@link writes} */
  readonly since?: readonly PendingWrite[] | undefined;
  /** The lane's sequence when the primary was read. */
  readonly sequence: number;
}

interface Planned {
  readonly write: PendingWrite;
  readonly action: WriteAction | undefined;
  /** None for a write that names its items: they are found when it is delivered. */
  readonly operations: readonly OrchestratorWrite[];
  readonly deletions: readonly LaneDeletion[];
}

export function readJournaled(facts: JournaledFacts): JournaledWrites {
  const planned = facts.writes.map((write) => plannedOf(write, facts));
  const ids = idsOf(planned, facts.service);
  const naming = planned.filter(({ action }) => action?.names !== undefined);
  const beginnings = planned.filter(({ action }) => action?.provesEmpty === true);
  const creates = createsOf(planned, new Set([...ids.values()].flat()));
  return {
    deletions: planned.flatMap((each) => deletionsOf(each, facts)),
    emptyBelow: Math.max(0, ...beginnings.filter(isCertain).map(({ write }) => positionOf(write.sequence))),
    // If it took effect late, it comes after items that an earlier copy has renumbered.
    beginnings: beginnings
      .filter((each) => !isCertain(each))
      .map(({ write }) => ({ below: positionOf(facts.sequence + 1), acceptedAtMs: write.acceptedAtMs })),
    ids,
    creates,
    covered: new Set(planned.flatMap(coveredIdsOf).filter((id) => creates.has(id))),
    named: naming.flatMap(({ write }) => write.items ?? []),
    unaccounted: naming
      .filter(({ write }) => write.items === undefined || write.isUncertain === true)
      .reduce((sum, { action }) => sum + (action?.names?.atMost ?? 0), 0),
  };
}

/** Sequence of the first write of unknown outcome that deletes by filter, if it took effect. */
export function uncertainDelete(facts: Omit<JournaledFacts, 'since'>): number | undefined {
  const uncertain = facts.writes.filter(({ isUncertain }) => isUncertain === true);
  return uncertain.find((write) => plannedOf(write, facts).deletions.length > 0)?.sequence;
}

function plannedOf(write: PendingWrite, { service, owner }: JournaledFacts): Planned {
  const known = service.definition.actions[write.action];
  const action = known?.kind === 'write' ? known : undefined;
  const operations = action?.names === undefined ? orchestratorWritesOf(service, { owner, write }) : [];
  const deletions = operations.flatMap((operation) => laneDeletionOf(operation) ?? []);
  return { write, action, operations, deletions };
}

/**
 * A delete that took effect late also deleted items that an earlier copy has renumbered, so their positions do not tell which these are.
 * It explains no item that was written after it: legacy lost that item, or executed the delete out of turn, and a person decides.
 */
function deletionsOf({ write, deletions }: Planned, facts: JournaledFacts): readonly LaneDeletion[] {
  if (write.isUncertain !== true) return deletions;
  if (deletions.length === 0) return [];
  const later = (facts.since ?? facts.writes)
    .filter(({ sequence }) => sequence > write.sequence)
    .map((one) => plannedOf(one, facts));
  const spares = new Set(later.filter(isCertain).flatMap(createdIdsOf));
  return deletions.map((deletion) => ({ ...deletion, below: positionOf(facts.sequence + 1), spares }));
}

/** An equal item that was written after a delete has an id of its own. */
function idsOf(planned: readonly Planned[], { definition }: ServiceRuntime): Map<string, string[]> {
  const ids = new Map<string, string[]>();
  const deletions = planned.flatMap((each) => each.deletions);
  for (const { write, operations } of planned) {
    for (const operation of operations) {
      const memory = createdBy(operation);
      const fields = memory && definition.lanes.fieldsOf(memory);
      if (memory === undefined || fields === undefined) continue;
      if (deletions.some((deletion) => takes(deletion, memory))) continue;
      const digest = digestOfFields(fields);
      ids.set(digest, [...(ids.get(digest) ?? []), memory.memory_id]);
    }
    takeAway(write, ids);
  }
  return ids;
}

function createsOf(
  planned: readonly Planned[],
  left: ReadonlySet<unknown>,
): ReadonlyMap<string, OrchestratorWrite> {
  if (planned.some(changesSingleItems)) return new Map();
  const certain = planned.filter(isCertain);
  const creates = certain.flatMap(({ operations }) =>
    operations.filter(({ action, payload }) => action === 'create' && left.has(payload['memory_id'])),
  );
  return new Map(creates.map((create) => [String(create.payload['memory_id']), create]));
}

function coveredIdsOf(planned: Planned): readonly string[] {
  return planned.write.isCovered === true ? createdIdsOf(planned) : [];
}

function createdIdsOf({ operations }: Planned): readonly string[] {
  const creates = operations.filter(({ action }) => action === 'create');
  return creates.map(({ payload }) => String(payload['memory_id']));
}

function changesSingleItems({ operations, deletions }: Planned): boolean {
  const changes = operations.filter(({ action }) => ['update', 'delete', 'bulk_delete'].includes(action));
  return changes.length > deletions.length;
}

function createdBy({ action, payload }: OrchestratorWrite): StoredMemory | undefined {
  return action === 'create' ? parseStoredMemory(encodeJson(payload)) : undefined;
}

/** What it named it has deleted, if it took effect at all. */
function takeAway({ isUncertain, items = [] }: PendingWrite, ids: ReadonlyMap<string, string[]>): void {
  if (isUncertain === true) return;
  for (const { digest, newer } of items) {
    const known = ids.get(digest);
    if (known !== undefined && known.length > newer) known.splice(known.length - 1 - newer, 1);
  }
}

function isCertain({ write }: Planned): boolean {
  return write.isUncertain !== true;
}
