import type { SessionId } from '../../domain/ids.ts';
import { laneFence } from '../../domain/lane.ts';
import type { OrchestratorWrite } from '../../domain/orchestrator-call.ts';
import type { LegacyItem, LegacyLane, StoredMemory } from '../../domain/service-definition.ts';
import type { CopyException, WriteHistory } from '../ports/journal-facts.ts';
import type { Lane } from '../lane/lane.ts';
import type { Journal } from '../ports/ports.ts';
import type { ServiceRuntime } from '../ports/service-runtime.ts';
import { type CopyPlan, digestOfFields, planCopy } from '../items/copy-plan.ts';
import type { LaneContents } from '../items/lane-contents.ts';
import {
  beforeUncertainDelete,
  deletionsOfWrites,
  type JournaledWrites,
  readJournaled,
} from './journaled-writes.ts';
import { applyCopy } from './copy-apply.ts';
import type { CopyCalls } from './copy-calls.ts';

/** A repeat is looked for during a minute; two clocks may differ. */
const REPEATS_WITHIN_MS = 120_000;

export interface LookedAt {
  readonly lane: Lane;
  readonly service: ServiceRuntime;
  readonly sessionId: SessionId;
  readonly generation: number;
  /** Agents may have written to the lane while writes were not journaled. */
  readonly wasUncovered: boolean;
  /** This copy made the lane's row, so nothing of it was ever sent to the secondary. */
  readonly isFirst: boolean;
}

/** What the primary showed while the lane was held. */
export interface ShownLane {
  readonly source: LegacyLane;
  readonly sequence: number;
  /** The last sequence that the secondary held before the copy; undefined if that is not known. */
  readonly heldUpTo: number | undefined;
}

/** What a copy finds on the secondary and in the journal. */
export interface CopyLook {
  readonly contents: LaneContents;
  readonly journaled: JournaledWrites;
  readonly plan: CopyPlan;
  /** Ends the session that the secondary has of an owner whom a journaled write removed from the primary. */
  readonly ending: OrchestratorWrite | undefined;
  /** The items that the secondary refused. */
  readonly exceptions: readonly CopyException[];
}

interface CopyLookParts {
  readonly journal: Pick<Journal, 'undelivered' | 'deliveredSinceCopy'>;
  /** Absent: after a delete of unknown outcome, only the undelivered writes are known. */
  readonly history: WriteHistory | undefined;
  readonly calls: CopyCalls;
  /** @throws StorageError if the lane may have been written to without the journal before it was read */
  checkReading(): Promise<void>;
}

/**
 * Compares the secondary and the journal with what the primary shows. An applied write that was not delivered, and whose items
 * the primary no longer shows, is delivered first. Vanished items are judged by what the secondary holds, so the loss would
 * otherwise stay silent.
 * @throws CrossfadeError; TooManyExceptions
 */
export async function lookAt(copy: LookedAt, shown: ShownLane, parts: CopyLookParts): Promise<CopyLook> {
  const { lane, service, sessionId } = copy;
  const look = async (journaled: JournaledWrites): Promise<Omit<CopyLook, 'exceptions'>> => {
    const session = { sessionId, lanes: service.definition.lanes, owner: lane.owner };
    const contents = await parts.calls.contents(session, copy.isFirst);
    const ending = shown.source.exists ? undefined : journaled.ending;
    const isHeld = ending !== undefined && (await parts.calls.holdsSession(sessionId));
    const plan = await planOf(copy, { shown, contents, journaled, journal: parts.journal });
    return { contents, journaled, plan, ending: isHeld ? ending : undefined };
  };
  const [journaled] = await Promise.all([journaledOf(copy, shown, parts), parts.checkReading()]);
  const first = await look(journaled);
  const unshown = unshownCreates(shown, first).filter(
    // An unseen write of an agent may have deleted items from before every replica journaled.
    ({ payload }) => !copy.wasUncovered || first.journaled.covered.has(String(payload['memory_id'])),
  );
  if (unshown.length === 0 || areDeleted(unshown, first)) return { ...first, exceptions: [] };
  const fence = laneFence(lane, copy.generation);
  const exceptions = await applyCopy(unshown.map(asDelivered), fence, parts.calls);
  return { ...(await look(journaled)), exceptions };
}

/**
 * Writes whose items are unknown may have deleted everything that vanished, together with these items. This copy would then delete
 * each item that it delivers, and a repeated copy would bring it back.
 */
function areDeleted(
  unshown: readonly OrchestratorWrite[],
  { plan, journaled }: Pick<CopyLook, 'plan' | 'journaled'>,
): boolean {
  return plan.vanished.length + unshown.length <= journaled.unaccounted;
}

async function journaledOf(
  { lane, service }: LookedAt,
  { sequence, heldUpTo }: ShownLane,
  { journal, history }: CopyLookParts,
): Promise<JournaledWrites> {
  const writes = sequence === 0 ? [] : await journal.undelivered(lane.key, sequence, heldUpTo);
  const facts = { service, owner: lane.owner, writes, sequence };
  const after = beforeUncertainDelete(facts);
  const since = after === undefined ? undefined : await history?.between(lane.key, after, sequence);
  return readJournaled({ ...facts, since });
}

interface PlannedFacts extends Pick<CopyLook, 'contents' | 'journaled'>, Pick<CopyLookParts, 'journal'> {
  readonly shown: ShownLane;
}

/**
 * A restored orchestrator shows again what delivered deletes had removed. If more was delivered since, its sequence does not tell that it was
 * restored. So these deletes count, too, if nothing else explains why an item vanished. A delete that named its items does not, because it
 * could be taken for the loss of an equal one.
 */
async function planOf(
  { lane, service }: LookedAt,
  { shown, contents, journaled, journal }: PlannedFacts,
): Promise<CopyPlan> {
  const facts = {
    source: shown.source.items,
    existing: contents.listed,
    derived: { source: shown.source.derived ?? [], existing: contents.derived },
    sequence: shown.sequence,
    deletions: journaled.deletions,
    named: journaled.named,
    journaledIds: journaled.ids,
  };
  const plan = planCopy(facts);
  if (plan.vanished.length <= journaled.unaccounted) return plan;
  const writes = await journal.deliveredSinceCopy(lane.key);
  const undone = deletionsOfWrites({ service, owner: lane.owner, writes });
  return undone.length === 0 ? plan : planCopy({ ...facts, deletions: [...facts.deletions, ...undone] });
}

/**
 * Returns journaled writes whose items are missing, which means that both sides show fewer equal items than were written. Equal items
 * cannot be distinguished, so it returns every such write that is not on the secondary. An item under another id counts as shown, because
 * an earlier copy may have given it that id. An item under the id of a write of unknown outcome also counts, because that write may never
 * have been sent. An item that is clearly older than the write does not count. A repeat takes the place of an equal write of the last
 * minute, whose item then counts for both.
 */
function unshownCreates(
  { source }: ShownLane,
  { contents, journaled }: Omit<CopyLook, 'exceptions'>,
): OrchestratorWrite[] {
  const shown = countsOf(source.items);
  const held = memoriesOf(contents);
  const heldIds = new Set(contents.listed.map(({ memory }) => memory.memory_id));
  return [...journaled.ids].flatMap(([digest, ids]) => {
    const missing = ids.filter((id) => !heldIds.has(id)).flatMap((id) => journaled.creates.get(id) ?? []);
    const standing = held.get(digest) ?? [];
    const isOlder = olderThan(missing);
    const others = standing.filter(
      (memory) =>
        isOlder(memory) || (ids.includes(memory.memory_id) && journaled.creates.has(memory.memory_id)),
    );
    const equal = Math.max(shown.get(digest) ?? 0, standing.length) - others.length;
    return missing.length > equal ? missing : [];
  });
}

/**
 * Older than every one of these writes by its position, and by so much that no repeat of it can be among them. No copy has taken over the
 * item of a write before the write had its sequence, see `checkReading`.
 */
function olderThan(writes: readonly OrchestratorWrite[]): (memory: StoredMemory) => boolean {
  const first = Math.min(...writes.map(({ payload }) => Number(payload['position'])));
  const firstMs = Math.min(...writes.map(({ payload }) => Date.parse(String(payload['created_at']))));
  return ({ position, created_at: at }) => position < first && Date.parse(at) < firstMs - REPEATS_WITHIN_MS;
}

function memoriesOf({ listed }: LaneContents): ReadonlyMap<string, readonly StoredMemory[]> {
  const memories = new Map<string, StoredMemory[]>();
  for (const { memory, fields } of listed) {
    const digest = digestOfFields(fields);
    memories.set(digest, [...(memories.get(digest) ?? []), memory]);
  }
  return memories;
}

function countsOf(items: readonly Pick<LegacyItem, 'fields'>[]): ReadonlyMap<string, number> {
  const counts = new Map<string, number>();
  for (const { fields } of items) {
    const digest = digestOfFields(fields);
    counts.set(digest, (counts.get(digest) ?? 0) + 1);
  }
  return counts;
}

function asDelivered({ payload, ...create }: OrchestratorWrite): OrchestratorWrite {
  const always = { create_session: true, escape_unstorable: true, suppress_events: true };
  return { ...create, payload: { ...payload, ...always } };
}
