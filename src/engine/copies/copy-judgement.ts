import type { OwnersAround, Retention } from '../../domain/retention.ts';
import type { LegacyLane, ServiceContext, StoredMemory } from '../../domain/service-definition.ts';
import type { OrchestratorWrite } from '../../domain/orchestrator-call.ts';
import { digestOfFields, type ListedMemory } from '../items/copy-plan.ts';
import { naiveSecondsOf } from '../compare/clock-offset.ts';
import { positionOf, POSITIONS_PER_SEQUENCE, sequenceAt } from '../../domain/lane.ts';
import type { LastApplied } from '../ports/journal-facts.ts';
import type { PossibleBeginning } from './journaled-writes.ts';

/** A copy that would remove more than this number of items, and this share of the lane, stops for a person. */
const REMOVAL_LIMIT = 20;
const REMOVAL_SHARE = 0.2;

/** The lane, as a copy found it. */
export interface CopiedLane {
  readonly source: LegacyLane;
  readonly listed: readonly ListedMemory[];
  readonly sequence: number;
}

/** Further knowledge of a repair, beyond that of a copy. */
export interface CopyAdvice {
  /** Ids of items that a person has asked to remove from the orchestrator. */
  removable(found: CopiedLane): Promise<ReadonlySet<string>>;
  /** Ids of lost items that wait for a decision. They stay, and they do not stop the copy. */
  undecided(found: CopiedLane): Promise<ReadonlySet<string>>;
  /** Called before anything is written. If it throws, the copy ends. */
  beforeWriting(found: CopiedLane, operations: readonly OrchestratorWrite[]): Promise<void>;
}

interface VanishedJudgement {
  readonly deletes: readonly StoredMemory[];
  readonly forgotten: readonly StoredMemory[];
  readonly lost: readonly StoredMemory[];
  /** Number of items that stay because they wait for a decision. */
  readonly left: number;
  /** Why the copy stops for a person. */
  readonly stop: string | undefined;
}

export interface JudgedFacts {
  /** Items that the primary does not show, and that no journaled write certainly deleted. */
  readonly vanished: readonly StoredMemory[];
  /** Of these, this many may have been deleted by writes whose items are unknown. */
  readonly unaccounted: number;
  /** Agents may have written to the lane while writes were not journaled. */
  readonly wasUncovered: boolean;
  /** Ids of items written since every replica journals. No unseen write can have deleted them. */
  readonly covered: ReadonlySet<string>;
  /** Items of the orchestrator's list. */
  readonly held: number;
  /** Items that a person has asked to remove. */
  readonly removable: ReadonlySet<string>;
  /** Lost items that wait for a decision. */
  readonly undecided: ReadonlySet<string>;
  /**
   * Ids of items that were listed as lost before and wait for a person. An explanation that exists only now came later,
   * and does not count.
   */
  readonly listedLost: ReadonlySet<string>;
  readonly explain: (
    vanished: readonly StoredMemory[],
  ) => Promise<{ readonly forgotten: readonly StoredMemory[]; readonly lost: readonly StoredMemory[] }>;
}

/** Decides about items that the primary no longer shows. */
export async function judgeVanished(facts: JudgedFacts): Promise<VanishedJudgement> {
  const { unaccounted, removable, undecided } = facts;
  const asked = facts.vanished.filter(({ memory_id: id }) => removable.has(id));
  const open = facts.vanished.filter(({ memory_id: id }) => !removable.has(id) && !undecided.has(id));
  const before = open.filter(({ memory_id: id }) => facts.listedLost.has(id));
  const vanished = open.filter(({ memory_id: id }) => !facts.listedLost.has(id));
  // A delete by an agent is checked before what the service may have forgotten by itself.
  const isCovered = vanished.length <= unaccounted;
  const { forgotten, lost } = isCovered ? { forgotten: [], lost: vanished } : await facts.explain(vanished);
  // An item that vanished while writes were not journaled may have been deleted by an agent.
  const known = facts.wasUncovered ? lost.filter(({ memory_id: id }) => facts.covered.has(id)) : lost;
  const surelyLost = [...before, ...(known.length <= unaccounted ? [] : known)];
  const deletedUnseen = lost.filter((memory) => !surelyLost.includes(memory));
  const stop = reasonToStop({
    lost: surelyLost.length,
    removed: deletedUnseen.length,
    held: facts.held,
  });
  const left = facts.vanished.length - asked.length - open.length;
  return { deletes: [...asked, ...deletedUnseen], forgotten, lost: surelyLost, left, stop };
}

interface Removal {
  readonly lost: number;
  readonly removed: number;
  readonly held: number;
}

function reasonToStop({ lost, removed, held }: Removal): string | undefined {
  if (lost > 0) return 'lost';
  return removed > REMOVAL_LIMIT && removed > held * REMOVAL_SHARE ? 'would_remove_too_much' : undefined;
}

/** Agents may have deleted some of the owners that pushed another one out. */
const NEARLY_FULL = 0.9;
/** Assumed maximum difference between two clocks. */
const SLACK_MS = 5_000;
/** A service looks for idle owners from time to time: session-memory once a minute. */
const SWEEP_MS = 2 * 60_000;

interface RetentionFacts {
  readonly retention: Retention;
  readonly context: Pick<ServiceContext, 'timeZone'>;
  /** How the owners that the service still holds compare to an instant (ISO-8601). Undefined if the service does not show it. */
  readonly ownersAround: (instant: string) => Promise<OwnersAround | undefined>;
}

interface VanishedFacts extends RetentionFacts {
  /** The lane as the primary shows it. */
  readonly source: LegacyLane;
  /** Items that the primary no longer shows, and that no journaled write deleted. */
  readonly vanished: readonly StoredMemory[];
  readonly existing: readonly ListedMemory[];
  /** See `Journal.lastApplied`. Only called if the service forgets owners. */
  readonly lastApplied: (before?: number, from?: number) => Promise<LastApplied>;
  /** A write proved that the service held nothing of the owner. Everything below this position was gone by then. */
  readonly emptyBelow: number;
  /** Writes that prove the same if they took effect, which is unknown. */
  readonly beginnings?: readonly PossibleBeginning[];
}

/** Splits the vanished items into those that the service's declared retention explains, and lost ones. */
export async function explainVanished(
  facts: VanishedFacts,
): Promise<{ forgotten: StoredMemory[]; lost: StoredMemory[] }> {
  if (facts.vanished.length === 0) return { forgotten: [], lost: [] };
  const isKnown = await byReverseSends(facts);
  const isEarlier = await byBeginning(facts);
  const open = facts.vanished.filter((one) => !isKnown(one));
  const [earlier, present] = [open.filter(isEarlier), open.filter((one) => !isEarlier(one))];
  const isForgotten = facts.source.exists ? byEntries(facts) : await isGoneByRetention(facts, present);
  const areEarlierForgotten = await isGoneByRetention(facts, earlier, facts.emptyBelow);
  const isExplained: Explained = (memory) =>
    isKnown(memory) || (isEarlier(memory) ? areEarlierForgotten(memory) : isForgotten(memory));
  return {
    forgotten: facts.vanished.filter(isExplained),
    lost: facts.vanished.filter((memory) => !isExplained(memory)),
  };
}

/**
 * While the orchestrator was the primary, reverse delivery found that the service had forgotten the owner. The service has nothing of the
 * earlier writes any more, and never got that one.
 */
async function byReverseSends({ retention, lastApplied }: VanishedFacts): Promise<Explained> {
  const { forgottenThrough } = forgetsOwners(retention) ? await lastApplied() : {};
  return ({ position }) => forgottenThrough !== undefined && position < positionOf(forgottenThrough + 1);
}

function forgetsOwners({ idleSeconds, owners }: Retention): boolean {
  return idleSeconds !== undefined || owners !== undefined;
}

/**
 * The owner was created again after the item. Known by the position of a write, or, if its outcome is unknown, by the time of the
 * owner.
 */
async function byBeginning(facts: VanishedFacts): Promise<Explained> {
  const { source, emptyBelow, beginnings = [] } = facts;
  if (beginnings.length === 0 || !source.exists) return ({ position }) => position < emptyBelow;
  const times = await timesOf(facts, facts.vanished);
  const madeMs = source.session === undefined ? Infinity : Date.parse(source.session.createdAt);
  // The proxy's clock may be wrong. An owner that is not older than the newest known write was created after it.
  const below = beginnings
    .filter(({ acceptedAtMs }) => madeMs >= Math.min(acceptedAtMs - SLACK_MS, times.lastMs))
    .reduce((highest, beginning) => Math.max(highest, beginning.below), 0);
  return (memory) => memory.position < emptyBelow || (memory.position < below && times.of(memory) <= madeMs);
}

type Fields = Readonly<Record<string, string>>;
type Explained = (memory: StoredMemory) => boolean;

/** When the service had the owner that it shows no more. */
interface OwnerTimes {
  readonly nowMs: number;
  /** The first sign of the owner. */
  readonly madeMs: number;
  /** The same, but as early as the write of that sign was sent. Its outcome is known later. */
  readonly sentMs: number;
  /** The time of its newest item. */
  readonly usedMs: number;
  /** When a write showed last that the service had it. Infinity: unknown. */
  readonly lastMs: number;
}

/**
 * Whether the service's retention explains that it shows nothing of an owner any more. Idle time explains this only if no older
 * owner remains, because the service deletes the longest idle first. An owners limit explains it only if the service still shows
 * as many owners as it keeps, all created or loaded after this one. The limit has no tolerance for clocks: with one, owners that came right
 * before this one would count, and a loss would stay silent.
 */
export async function isOwnerForgotten(facts: RetentionFacts, times: OwnerTimes): Promise<boolean> {
  const { idleSeconds = Infinity, owners = Infinity } = facts.retention;
  const keptMs = keptMsOf(facts, times.nowMs);
  const { madeMs, idleSinceMs } = sinceOf(facts.retention, times, keptMs);
  const { madeMs: sentMs } = sinceOf(facts.retention, { ...times, madeMs: times.sentMs }, keptMs);
  const around = async (ms: number): Promise<OwnersAround> =>
    (await facts.ownersAround(new Date(Math.max(0, ms)).toISOString())) ?? { before: 0, since: 0 };
  const wasIdle = idleSeconds < Infinity && times.nowMs - idleSinceMs >= keptMs;
  if (wasIdle && (await around(madeMs - SLACK_MS)).before === 0) return true;
  return owners < Infinity && (await around(sentMs)).since >= owners * NEARLY_FULL;
}

/**
 * The whole owner is gone, or was gone and created again.
 * @param items all items of one life of the owner
 * @param endedBelow position of the write that created the owner again; 0 if unknown
 */
async function isGoneByRetention(
  facts: VanishedFacts,
  items: readonly StoredMemory[],
  endedBelow = 0,
): Promise<Explained> {
  if (items.length === 0 || !forgetsOwners(facts.retention)) return () => false;
  const { of, sentOf, nowMs, lastMs } = await timesOf(facts, items, endedBelow);
  const all = items.map(of);
  const madeMs = all.reduce((first, time) => Math.min(first, time), nowMs);
  const sentMs = items.map(sentOf).reduce((first, time) => Math.min(first, time), nowMs);
  const usedMs = all.reduce((last, time) => Math.max(last, time), -Infinity);
  const isForgotten = await isOwnerForgotten(facts, { nowMs, madeMs, sentMs, usedMs, lastMs });
  return () => isForgotten;
}

/** How long the service keeps an owner. West of Greenwich it keeps it less long, which nothing proves afterwards. */
function keptMsOf({ retention, context }: RetentionFacts, nowMs: number): number {
  const { idleSeconds = Infinity, takesLocalTimeForUtc = false } = retention;
  const offsetSeconds = takesLocalTimeForUtc
    ? Math.round(naiveSecondsOf(nowMs, context.timeZone) - nowMs / 1_000)
    : 0;
  return (idleSeconds + Math.max(0, offsetSeconds)) * 1_000;
}

/**
 * When the service made or loaded the owner, and since when it counts as idle. An applied write shows that the service had the
 * owner then. If that was longer after its making than the service keeps an owner, the service has loaded it again since. The
 * time of that is not known, and may be as late as the write.
 */
function sinceOf(
  { isProlongedByUse = true }: Retention,
  { madeMs, usedMs, lastMs }: OwnerTimes,
  keptMs: number,
): { readonly madeMs: number; readonly idleSinceMs: number } {
  if (isProlongedByUse) return { madeMs, idleSinceMs: usedMs };
  const seenMs = Number.isFinite(lastMs) ? Math.max(usedMs, lastMs) : usedMs;
  const loadedMs = seenMs - madeMs > keptMs + SWEEP_MS ? seenMs : madeMs;
  return { madeMs: loadedMs, idleSinceMs: loadedMs };
}

interface ItemTimes {
  readonly nowMs: number;
  /** When the newest write was known to be applied. */
  readonly lastMs: number;
  readonly of: (memory: StoredMemory) => number;
  /** The same, as early as its write may have been sent. */
  readonly sentOf: (memory: StoredMemory) => number;
}

/**
 * A delivered item has the time of a proxy's clock, which may be an hour wrong. The journal's clock limits it, and so does the service's
 * clock by the copied items before it. An item of a slow clock would otherwise look as if the service had forgotten it.
 * @param items those whose times are asked for
 */
async function timesOf(
  { lastApplied, existing }: VanishedFacts,
  items: readonly StoredMemory[],
  endedBelow = 0,
): Promise<ItemTimes> {
  const before = endedBelow === 0 ? undefined : sequenceAt(endedBelow);
  const { nowMs, first, atMs: lastMs = Infinity } = await lastApplied(before, firstDelivered(items));
  const copiedMs = copiedBefore(existing);
  const timeOf = (memory: StoredMemory, firstMs = -Infinity): number => {
    const ms = Date.parse(memory.created_at);
    if (isCopied(memory)) return ms;
    // Of a write that was pruned the journal knows nothing.
    const isHeld = first !== undefined && memory.position >= positionOf(first.sequence);
    const leastMs = Math.max(isHeld ? firstMs : -Infinity, copiedMs.get(memory.memory_id) ?? -Infinity);
    return Math.min(Math.max(ms, leastMs), lastMs);
  };
  return {
    nowMs,
    lastMs,
    of: (memory) => timeOf(memory, first?.atMs),
    sentOf: (memory) => timeOf(memory, first?.sentMs),
  };
}

/** The sequence of the first item that was delivered. If none was, no write has it. */
function firstDelivered(items: readonly StoredMemory[]): number {
  return items.reduce(
    (first, item) => (isCopied(item) ? first : Math.min(first, sequenceAt(item.position))),
    Number.MAX_SAFE_INTEGER,
  );
}

/** It has the service's own time. */
function isCopied({ position }: StoredMemory): boolean {
  return position % POSITIONS_PER_SEQUENCE !== 0;
}

/** The newest time of the copied items up to each item, by its id. */
function copiedBefore(existing: readonly ListedMemory[]): ReadonlyMap<string, number> {
  const newest = new Map<string, number>();
  let newestMs = -Infinity;
  for (const { memory } of existing.toSorted((one, other) => one.memory.position - other.memory.position)) {
    if (isCopied(memory)) newestMs = Math.max(newestMs, Date.parse(memory.created_at));
    newest.set(memory.memory_id, newestMs);
  }
  return newest;
}

/**
 * The service shows as many newest items as it keeps, and the vanished item is before all of them. If both sides have an item in
 * common, positions decide. Otherwise times decide, which come from two clocks.
 */
function byEntries(facts: VanishedFacts): Explained {
  const { retention, source, existing } = facts;
  const { entries } = retention;
  const counts = (fields: Fields): boolean => retention.counts?.(fields) ?? true;
  if (entries === undefined) return () => false;
  const shown = source.items.filter(({ fields }) => counts(fields));
  const [oldest] = shown;
  if (oldest === undefined || shown.length < entries) return () => false;
  const fieldsOf = new Map(existing.map(({ memory, fields }) => [memory.memory_id, fields]));
  const isCounted = ({ memory_id: id }: StoredMemory): boolean => counts(fieldsOf.get(id) ?? {});
  const first = firstInCommon(facts, shown);
  if (first !== undefined) return (memory) => isCounted(memory) && memory.position < first;
  const untilMs = Date.parse(oldest.at) + SLACK_MS;
  return (memory) => isCounted(memory) && Date.parse(memory.created_at) <= untilMs;
}

/** The position of the oldest item that both sides show. */
function firstInCommon(
  { vanished, existing }: VanishedFacts,
  shown: readonly { readonly fields: Fields }[],
): number | undefined {
  const digests = new Set(shown.map(({ fields }) => digestOfFields(fields)));
  const gone = new Set(vanished.map(({ memory_id: id }) => id));
  const common = existing.filter(
    ({ memory, fields }) => !gone.has(memory.memory_id) && digests.has(digestOfFields(fields)),
  );
  if (common.length === 0) return undefined;
  return common.reduce((first, { memory }) => Math.min(first, memory.position), Infinity);
}
