import type { Owner } from '../../domain/ids.ts';
import { encodeJson } from '../../domain/json.ts';
import { type NamedItem, positionOf } from '../../domain/lane.ts';
import type { OrchestratorWrite } from '../../domain/orchestrator-call.ts';
import type { StoredMemory, WriteAction } from '../../domain/service-definition.ts';
import { digestOfFields } from '../items/copy-plan.ts';
import { type LaneDeletion, laneDeletionOf, takes } from '../items/lane-deletion.ts';
import { parseStoredMemory } from '../items/lane-contents.ts';
import type { PendingWrite } from '../ports/ports.ts';
import type { ServiceRuntime } from '../ports/service-runtime.ts';
import { orchestratorWritesOf } from '../items/write-facts.ts';

/** What the lane's journaled writes, which the secondary may not have seen, say about the items of the primary. */
export interface JournaledWrites {
  /** The deletes by filter. */
  readonly deletions: readonly LaneDeletion[];
  /** Everything below this position belongs to an earlier life of the owner. */
  readonly emptyBelow: number;
  /** Writes that would prove the same if they took effect, which is unknown. */
  readonly beginnings: readonly PossibleBeginning[];
  /** Ends the owner's session. Absent if no write ended it, or if a later one began it again. */
  readonly ending: OrchestratorWrite | undefined;
  /** Ids of the written items, oldest first, by the digest of their fields. Items that were deleted since are left out. */
  readonly ids: ReadonlyMap<string, readonly string[]>;
  /** The write of each item, by id, if it certainly took effect. Empty if a later write may have changed single items. */
  readonly creates: ReadonlyMap<string, OrchestratorWrite>;
  /** Those of {@link creates} that no unjournaled write can have deleted. */
  readonly covered: ReadonlySet<string>;
  /** Items that were deleted individually. */
  readonly named: readonly NamedItem[];
  /** This many further items may be gone because of writes whose items are not certain. */
  readonly unaccounted: number;
}

/** A write of unknown outcome. If it took effect, everything below this position belongs to an earlier life of the owner. */
export interface PossibleBeginning {
  readonly below: number;
  readonly acceptedAtMs: number;
}

interface JournaledFacts {
  readonly service: ServiceRuntime;
  readonly owner: Owner;
  /** In sequence. */
  readonly writes: readonly PendingWrite[];
  /** The writes after {@link beforeUncertainDelete}, including delivered ones. @defaultValue {@link writes} */
  readonly since?: readonly PendingWrite[] | undefined;
  /** The lane's sequence when the primary was read. */
  readonly sequence: number;
}

interface Planned {
  readonly write: PendingWrite;
  readonly action: WriteAction | undefined;
  /** Empty for a write that names its items, which are found when it is delivered. */
  readonly operations: readonly OrchestratorWrite[];
  readonly deletions: readonly LaneDeletion[];
}

export function readJournaled(facts: JournaledFacts): JournaledWrites {
  const planned = facts.writes.map((write) => sparing(plannedOf(write, facts), facts));
  const ids = idsOf(planned, facts.service);
  const naming = planned.filter(({ action }) => action?.names !== undefined);
  const beginnings = planned.filter(({ action }) => action?.provesEmpty === true);
  const creates = createsOf(planned, new Set([...ids.values()].flat()));
  return {
    deletions: planned.flatMap((each) => deletionsOf(each, facts)),
    emptyBelow: Math.max(0, ...beginnings.filter(isCertain).map(({ write }) => positionOf(write.sequence))),
    // If it took effect late, it comes after items that an earlier copy renumbered.
    beginnings: beginnings
      .filter((each) => !isCertain(each))
      .map(({ write }) => ({ below: positionOf(facts.sequence + 1), acceptedAtMs: write.acceptedAtMs })),
    ending: endingOf(planned),
    ids,
    creates,
    covered: new Set(planned.flatMap(coveredIdsOf).filter((id) => creates.has(id))),
    named: naming.flatMap(({ write }) => write.items ?? []),
    unaccounted: naming
      .filter(({ write }) => write.items === undefined || write.isUncertain === true)
      .reduce((sum, { action }) => sum + (action?.names?.atMost ?? 0), 0),
  };
}

function endingOf(planned: readonly Planned[]): OrchestratorWrite | undefined {
  const begun = planned.findLastIndex((each) => each.action?.provesEmpty === true && isCertain(each));
  const since = planned.slice(begun + 1).flatMap(({ operations }) => operations);
  return since.findLast(({ action }) => action === 'end_session');
}

/**
 * The last sequence before the writes that certainly followed a write of unknown outcome that deletes by filter. Undefined if there is no
 * such delete.
 */
export function beforeUncertainDelete(facts: Omit<JournaledFacts, 'since' | 'sequence'>): number | undefined {
  const uncertain = facts.writes.filter(({ isUncertain }) => isUncertain === true);
  const deletes = uncertain.filter((write) => plannedOf(write, facts).deletions.length > 0);
  const before = deletes.map(({ sequence, precedes = sequence }) => precedes - 1);
  return before.length === 0 ? undefined : Math.min(...before);
}

/** The deletes by filter among these writes. Each explains only items below its own position. */
export function deletionsOfWrites(
  facts: Omit<JournaledFacts, 'since' | 'sequence'>,
): readonly LaneDeletion[] {
  return facts.writes.flatMap((write) => plannedOf(write, facts).deletions);
}

function plannedOf(
  write: PendingWrite,
  { service, owner }: Pick<JournaledFacts, 'service' | 'owner'>,
): Planned {
  const known = service.definition.actions[write.action];
  const action = known?.kind === 'write' ? known : undefined;
  const operations = action?.names === undefined ? orchestratorWritesOf(service, { owner, write }) : [];
  const deletions = operations.flatMap((operation) => laneDeletionOf(operation) ?? []);
  return { write, action, operations, deletions };
}

/**
 * A delete of unknown outcome does not explain items that were written after it. Either legacy lost such an item or executed the delete
 * out of order, and a person decides.
 */
function sparing(planned: Planned, facts: JournaledFacts): Planned {
  const { write, deletions } = planned;
  if (isCertain(planned) || deletions.length === 0) return planned;
  const later = (facts.since ?? facts.writes)
    .filter(({ sequence }) => sequence > write.sequence || sequence >= (write.precedes ?? Infinity))
    .map((one) => plannedOf(one, facts));
  const spares = new Set(later.filter(isCertain).flatMap(createdIdsOf));
  return { ...planned, deletions: deletions.map((deletion) => ({ ...deletion, spares })) };
}

/** If the delete took effect late, it also deleted items that an earlier copy renumbered, so their positions do not identify them. */
function deletionsOf({ write, deletions }: Planned, { sequence }: JournaledFacts): readonly LaneDeletion[] {
  if (write.isUncertain !== true) return deletions;
  return deletions.map((deletion) => ({ ...deletion, below: positionOf(sequence + 1) }));
}

/** An equal item that was written after a delete has its own id. */
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

/** It has deleted the item that it named, if it took effect. */
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
