import { encodeJson } from '../../domain/json.ts';
import type { NamedItem } from '../../domain/lane.ts';
import type { Retention } from '../../domain/retention.ts';
import type { LegacyLane } from '../../domain/service-definition.ts';
import type { OrchestratorWrite } from '../../domain/orchestrator-call.ts';
import { digestOfFields } from '../items/copy-plan.ts';
import { parseStoredMemory } from '../items/lane-contents.ts';
import { orchestratorWritesOf } from '../items/write-facts.ts';
import type { PendingWrite } from '../ports/ports.ts';
import type { ServiceRuntime } from '../ports/service-runtime.ts';
import type { Lane } from '../lane/lane.ts';

/** Digests that a tail keeps. Two tails of equal length that end with this many equal items look the same. */
const KEPT = 16;

/** The end of a lane on legacy, as last known. It holds digests, and no content. */
export interface LegacyTail {
  /** Whether legacy shows the owner. Absent: unknown. */
  readonly exists?: boolean;
  readonly items: number;
  /** Of these, the items that the service's retention counts. */
  readonly counted: number;
  /** The last items, oldest first. */
  readonly last: readonly string[];
  /** How many equal items legacy shows of each item that the write names. */
  readonly named?: Readonly<Record<string, number>>;
  /** When the service made the owner, by its own clock, if it shows that. */
  readonly madeAtMs?: number;
}

/** What a write does to a lane on legacy. */
export interface ReverseEffect {
  readonly adds: readonly { readonly digest: string; readonly isCounted: boolean }[];
  readonly removes: boolean;
}

export function tailOf(
  { exists, items, session }: LegacyLane,
  retention: Retention,
  named: readonly NamedItem[] = [],
): LegacyTail {
  const digests = items.map(({ fields }) => digestOfFields(fields));
  const counted = items.filter(({ fields }) => retention.counts?.(fields) ?? true).length;
  const isMadeKnown = session !== undefined && session.isTimeUnknown !== true;
  return {
    exists,
    items: items.length,
    counted,
    last: digests.slice(-KEPT),
    ...(named.length > 0 && {
      named: Object.fromEntries(named.map(({ digest }) => [digest, timesIn(digests, digest)])),
    }),
    ...(isMadeKnown && { madeAtMs: Date.parse(session.createdAt) }),
  };
}

function timesIn(digests: readonly string[], digest: string): number {
  return digests.filter((one) => one === digest).length;
}

/** From the operations that the definition makes of it for the orchestrator. */
export function effectOf(
  service: ServiceRuntime,
  { owner }: Pick<Lane, 'owner'>,
  write: PendingWrite,
): ReverseEffect {
  const operations = orchestratorWritesOf(service, { owner, write });
  return {
    adds: operations.flatMap((operation) => addedBy(operation, service)),
    removes: operations.some(({ action }) => action === 'bulk_delete' || action === 'end_session'),
  };
}

function addedBy(
  { action, payload }: OrchestratorWrite,
  { definition: { lanes } }: ServiceRuntime,
): ReverseEffect['adds'] {
  if (action !== 'create') return [];
  const fields = lanes.fieldsOf(parseStoredMemory(encodeJson(payload)));
  if (fields === undefined) return [];
  return [{ digest: digestOfFields(fields), isCounted: lanes.retention.counts?.(fields) ?? true }];
}

/** The tail after the write took effect. Undefined if only legacy can show it. */
export function tailAfter(
  tail: LegacyTail,
  { adds, removes }: ReverseEffect,
  { entries = Infinity }: Retention,
): LegacyTail | undefined {
  if (removes) return undefined;
  const counted = tail.counted + adds.filter(({ isCounted }) => isCounted).length;
  const forgotten = Math.max(0, counted - entries);
  const { madeAtMs } = tail;
  return {
    exists: true,
    items: tail.items + adds.length - forgotten,
    counted: counted - forgotten,
    last: [...tail.last, ...adds.map(({ digest }) => digest)].slice(-KEPT),
    ...(madeAtMs !== undefined && { madeAtMs }),
  };
}

/**
 * What legacy shows of a write whose outcome is unknown. `missing`: it had no effect. `undecided`: legacy's items do not tell, and
 * a person must look.
 */
export type Shown = 'applied' | 'missing' | 'undecided';

interface Look {
  /** Legacy's tail before the write was sent. */
  readonly before: LegacyTail;
  readonly effect: ReverseEffect;
  /** What legacy shows now, when the write has taken effect if it ever does. */
  readonly lane: LegacyLane;
  readonly retention: Retention;
}

/** Whether legacy shows the effect of a write. No other write of the lane was sent since. */
export function shownOf({ before, effect, lane, retention }: Look): Shown {
  const digests = lane.items.map(({ fields }) => digestOfFields(fields));
  if (before.named !== undefined) return namedShown(before, before.named, digests);
  if (effect.removes && effect.adds.length > 0) return replacementShown(before, effect, digests);
  if (effect.removes) return removalShown(before, lane, digests);
  // Only the owner was created.
  if (effect.adds.length === 0) return lane.exists ? 'applied' : 'missing';
  return additionShown(before, effect, { digests, retention });
}

function additionShown(
  before: LegacyTail,
  effect: ReverseEffect,
  { digests, retention }: { readonly digests: readonly string[]; readonly retention: Retention },
): Shown {
  const isBefore = isAt(before, digests);
  const after = tailAfter(before, effect, retention);
  const isAfter = after !== undefined && isAt(after, digests);
  if (isBefore !== isAfter) return isAfter ? 'applied' : 'missing';
  return isBefore ? 'undecided' : besideForeign(before, effect, digests);
}

/** A named item that the write removed or rewrote is there once less. */
function namedShown(
  before: LegacyTail,
  named: Readonly<Record<string, number>>,
  digests: readonly string[],
): Shown {
  const isGone = Object.entries(named).some(([digest, times]) => timesIn(digests, digest) < times);
  if (isGone) return 'applied';
  return isAt(before, digests) ? 'missing' : 'undecided';
}

/** What took the place of other items is the newest of the list. */
function replacementShown(before: LegacyTail, { adds }: ReverseEffect, digests: readonly string[]): Shown {
  const newest = digests.slice(-adds.length);
  if (adds.every(({ digest }, index) => digest === newest[index])) return 'applied';
  return isAt(before, digests) ? 'missing' : 'undecided';
}

/** Sending a removal again does no harm, because no later write of the lane was sent. */
function removalShown(before: LegacyTail, { exists }: LegacyLane, digests: readonly string[]): Shown {
  if (before.items > 0) return startsWith(before, digests) ? 'missing' : 'applied';
  return before.exists === true && exists ? 'missing' : 'applied';
}

/** Another writer has added items since, so the list is neither the one before nor the one after. */
function besideForeign(before: LegacyTail, { adds }: ReverseEffect, digests: readonly string[]): Shown {
  if (!startsWith(before, digests)) return 'undecided';
  const added = digests.slice(before.items);
  return adds.every(({ digest }) => added.includes(digest)) ? 'applied' : 'missing';
}

function isAt(tail: LegacyTail, digests: readonly string[]): boolean {
  return digests.length === tail.items && startsWith(tail, digests);
}

/** Whether the list begins with the items of the tail. */
function startsWith({ items, last }: LegacyTail, digests: readonly string[]): boolean {
  if (digests.length < items) return false;
  const end = digests.slice(items - last.length, items);
  return end.every((digest, index) => digest === last[index]);
}
