import { createHash } from 'node:crypto';
import { type LaneKey, laneKeyOf, type Owner, parseLaneKey } from '../../domain/ids.ts';
import type { LegacyItem, LegacyLane } from '../../domain/service-definition.ts';
import type { Clock } from '../../shared/clock.ts';
import { baselineOf, digestOfFields } from '../items/copy-plan.ts';
import type { BaselineStore, WriteHistory } from '../ports/journal-facts.ts';
import type { Journal } from '../ports/ports.ts';
import type {
  CensusResult,
  ForeignChange,
  LastForLegacy,
  ServiceWrites,
} from '../ports/service-writes-ports.ts';
import type { ServiceRuntime } from '../ports/service-runtime.ts';
import { expectedList } from '../runs/expected-list.ts';
import { listOwners, pagesOf, readLegacyLanes } from '../runs/legacy-lanes.ts';

export interface CensusParts {
  readonly baselines: Pick<BaselineStore, 'of' | 'save'>;
  readonly history: WriteHistory;
  readonly journal: Pick<Journal, 'lastApplied'>;
  readonly clock: Clock;
}

export interface Census {
  readonly result: CensusResult;
  readonly foreign: readonly ForeignChange[];
}

/** The store is read at most this share of the time. */
const PAUSE_PER_READING = 9;
/** A service looks for idle owners from time to time, and clocks differ. */
const SLACK_MS = 3 * 60_000;
const EXAMPLES = 20;

/** What legacy may hold of the lanes of a service, and what was found so far. */
interface Looking {
  readonly service: ServiceRuntime;
  readonly writes: ServiceWrites;
  readonly last: ReadonlyMap<Owner, LastForLegacy>;
  readonly seen: Set<Owner>;
  readonly foreign: ForeignChange[];
  readonly unproven: Owner[];
  lanes: number;
  equal: number;
  readonly forgotten: { lanes: number; items: number };
}

/**
 * Compares legacy's store with what legacy should hold since the service became read-only. That is the list that both sides were last
 * seen to hold, and the writes after it that legacy still got. What the retention explains is forgotten. Anything else was done by a foreign
 * writer.
 * @throws CrossfadeError if the journal is away; Error if the store cannot be listed
 */
export async function takeCensus(
  asked: Pick<Looking, 'service' | 'writes' | 'last'>,
  parts: CensusParts,
): Promise<Census> {
  const looking: Looking = {
    ...asked,
    seen: new Set(),
    foreign: [],
    unproven: [],
    lanes: 0,
    equal: 0,
    forgotten: { lanes: 0, items: 0 },
  };
  const listed = (await listOwners(asked.service)) ?? pagesOf([...asked.last.keys()]);
  for await (const owners of listed) await lookAt(owners, looking, parts);
  const gone = [...asked.last.keys()].filter((owner) => !looking.seen.has(owner));
  for await (const owners of pagesOf(gone)) await lookAt(owners, looking, parts);
  const { lanes, equal, forgotten, unproven, foreign } = looking;
  const result = {
    atMs: parts.clock.wallMs(),
    lanes,
    equal,
    forgotten,
    unproven: unproven.length,
    unprovenExamples: unproven.slice(0, EXAMPLES),
  };
  return { result, foreign };
}

async function lookAt(owners: readonly Owner[], looking: Looking, parts: CensusParts): Promise<void> {
  const { clock } = parts;
  const startedAtMs = clock.now();
  const readings = await readLegacyLanes(looking.service, owners);
  const pauseMs = (clock.now() - startedAtMs) * PAUSE_PER_READING;
  for (const [owner, reading] of readings) {
    if (looking.seen.has(owner)) continue;
    looking.seen.add(owner);
    if ('lane' in reading) await judge(owner, reading.lane, { looking, parts });
    else unprovenLane(owner, looking);
  }
  await clock.sleep(pauseMs);
}

interface Judging {
  readonly looking: Looking;
  readonly parts: CensusParts;
}

async function judge(owner: Owner, lane: LegacyLane, { looking, parts }: Judging): Promise<void> {
  const last = looking.last.get(owner);
  const shown = lane.items.map(({ fields }) => digestOfFields(fields));
  if (last === undefined) {
    // Legacy was given nothing of an owner that was born later.
    if (lane.exists)
      looking.foreign.push(foreignWriter(owner, looking, { shown, added: lane.items, gone: 0 }));
    return;
  }
  looking.lanes += 1;
  const key = laneKeyOf(looking.service.name, owner);
  const expected = await expectedOf({ key, owner, lane, last }, { looking, parts });
  if (expected === undefined) return unprovenLane(owner, looking, last);
  const { added, gone } = differences(lane.items, expected);
  if (added.length === 0 && (gone === 0 || (await isForgotten(key, lane, { looking, parts })))) {
    looking.equal += 1;
    if (gone > 0) {
      looking.forgotten.lanes += 1;
      looking.forgotten.items += gone;
    } else await parts.baselines.save({ lane: key, sequence: last.sequence, items: baselineOf(lane.items) });
    if (isUsedSince(lane, looking.writes)) looking.foreign.push(foreignReader(owner, lane));
    return;
  }
  looking.foreign.push(foreignWriter(owner, looking, { shown, added, gone }));
}

/** A lane that was given up needs no proof: it is listed by name anyway. */
function unprovenLane(owner: Owner, looking: Looking, last?: LastForLegacy): void {
  if (last?.isGivenUp !== true) looking.unproven.push(owner);
}

interface Expecting {
  readonly key: LaneKey;
  readonly owner: Owner;
  readonly lane: LegacyLane;
  readonly last: LastForLegacy;
}

/** Digests of what legacy should hold. Undefined if the journal cannot say it. */
async function expectedOf(
  { key, owner, lane, last }: Expecting,
  { looking, parts }: Judging,
): Promise<readonly string[] | undefined> {
  const baseline = await parts.baselines.of(key);
  const from = baseline?.sequence ?? 0;
  // A lane that nothing was ever written to was found empty on both sides, or was never compared.
  if (baseline === undefined && last.sequence === 0) return lane.items.length === 0 ? [] : undefined;
  const writes = from < last.sequence ? await parts.history.between(key, from, last.sequence) : [];
  return expectedList(looking.service, owner, { baseline, writes, shown: lane.items });
}

function differences(
  items: readonly LegacyItem[],
  expected: readonly string[],
): { readonly added: readonly LegacyItem[]; readonly gone: number } {
  const left = new Map<string, number>();
  for (const digest of expected) left.set(digest, (left.get(digest) ?? 0) + 1);
  const added = items.filter(({ fields }) => {
    const digest = digestOfFields(fields);
    const count = left.get(digest) ?? 0;
    left.set(digest, count - 1);
    return count <= 0;
  });
  return { added, gone: [...left.values()].reduce((sum, count) => sum + Math.max(0, count), 0) };
}

/** Whether the declared retention explains that items of the lane are gone. Nothing pushes an owner out while no owner is new. */
async function isForgotten(key: LaneKey, lane: LegacyLane, { looking, parts }: Judging): Promise<boolean> {
  const { retention } = looking.service.definition.lanes;
  const { idleSeconds, entries } = retention;
  if (lane.exists) {
    const counted = lane.items.filter(({ fields }) => retention.counts?.(fields) ?? true);
    return entries !== undefined && counted.length >= entries;
  }
  if (idleSeconds === undefined) return false;
  const { sequence = 0 } = looking.last.get(parseLaneKey(key).owner) ?? {};
  const { nowMs, atMs, forgottenThrough } = await parts.journal.lastApplied(key, sequence + 1);
  // Reverse delivery found it before the last write that legacy was to get.
  if (forgottenThrough === sequence) return true;
  // The journal prunes old writes, so the newest may be gone. The service then has been read-only for longer than it keeps them.
  return nowMs - (atMs ?? 0) > idleSeconds * 1_000 - SLACK_MS;
}

function isUsedSince({ usedAt }: LegacyLane, { settledAtMs = Infinity }: ServiceWrites): boolean {
  return usedAt !== undefined && Date.parse(usedAt) > settledAtMs + SLACK_MS;
}

function foreignReader(owner: Owner, { usedAt = '' }: LegacyLane): ForeignChange {
  return { owner, kind: 'reader', digest: digestOf([usedAt]), changes: { used: 1 }, writers: [] };
}

function foreignWriter(
  owner: Owner,
  { service }: Looking,
  {
    shown,
    added,
    gone,
  }: {
    readonly shown: readonly string[];
    readonly added: readonly LegacyItem[];
    readonly gone: number;
  },
): ForeignChange {
  const { lanes } = service.definition;
  const writers = added.flatMap((item) => lanes.writerOf?.(item) ?? []);
  const changes = { added: added.length, removed: gone };
  return {
    owner,
    kind: 'writer',
    digest: digestOf(shown),
    changes,
    writers: [...new Set(writers)].toSorted(),
  };
}

function digestOf(texts: readonly string[]): string {
  return createHash('sha256').update(JSON.stringify(texts)).digest('hex').slice(0, 32);
}
