import { CANARY_OWNER } from '../../../src/domain/ids.ts';
import { minus, type List } from '../judge.ts';

/** What is wrong with a store, in items. Of the order, in lists. */
export interface Faults {
  lost: number;
  duplicated: number;
  misordered: number;
  resurrected: number;
}

/** Counts faults, and says the first ones in words. */
export class FaultBook {
  readonly faults: Faults = { lost: 0, duplicated: 0, misordered: 0, resurrected: 0 };
  readonly findings: string[] = [];

  add(where: string, found: Partial<Faults>): void {
    const told: string[] = [];
    for (const [name, count = 0] of Object.entries(found) as [keyof Faults, number | undefined][]) {
      this.faults[name] += count;
      if (count > 0) told.push(`${count} ${name}`);
    }
    if (told.length > 0) this.findings.push(`${where}: ${told.join(', ')}`);
  }
}

export type StoreName = 'legacy' | 'orchestrator';

/** Holds stores that take writes against what agents were told. Both must hold shared lists in one order. */
export function compareWithAgents(
  lists: readonly List[],
  stores: readonly StoreName[],
  { step, book }: { readonly step: string; readonly book: FaultBook },
): void {
  for (const list of lists) {
    const found = stores.map((store) => ({ store, ...faultsOf(list, list[store]) }));
    for (const { store, ...faults } of found) book.add(`${step}: ${list.name} on ${store}`, faults);
    const areSound = found.every(
      ({ lost, duplicated, misordered, resurrected }) => lost + duplicated + misordered + resurrected === 0,
    );
    if (stores.length === 2 && areSound && !isSame(list.legacy, list.orchestrator))
      book.add(`${step}: ${list.name}, one store with the other`, { misordered: 1 });
  }
}

function faultsOf(list: List, shown: readonly string[]): Faults {
  const { expected, maybe = [], removed = [], isOrdered } = list;
  const lost = minus(expected, shown).length;
  const surplus = minus(minus(shown, expected), maybe);
  const resurrected = surplus.length - minus(surplus, removed).length;
  const isComplete = lost + surplus.length === 0;
  const misordered = isOrdered && isComplete && maybe.length === 0 && !isSame(shown, expected) ? 1 : 0;
  return { lost, duplicated: surplus.length - resurrected, misordered, resurrected };
}

/** Owners that no agent knows, but for Crossfade's own, which proves the way back. Not every service can delete it. */
export function compareOwners(
  known: ReadonlySet<string>,
  owners: readonly string[],
  { where, book }: { readonly where: string; readonly book: FaultBook },
): void {
  for (const owner of owners)
    if (!known.has(owner) && owner !== CANARY_OWNER)
      book.add(`${where}: ${owner}, which no agent knows`, { duplicated: 1 });
}

/**
 * Holds a store that was closed to writes in between against what agents knew before and know now: it has all of the first,
 * and nothing but what they wrote or deleted since.
 */
export function compareClosed(
  before: ReadonlyMap<string, List>,
  now: readonly List[],
  { step, book }: { readonly step: string; readonly book: FaultBook },
): void {
  for (const list of now) {
    const known = before.get(list.name);
    const removed = list.removed ?? [];
    const removedSince = minus(removed, known?.removed ?? []);
    const surplus = minus(list.legacy, [...list.expected, ...removed, ...(list.maybe ?? [])]);
    book.add(`${step}: ${list.name} on legacy`, {
      lost: minus(minus(known?.expected ?? [], removedSince), list.legacy).length,
      duplicated: surplus.length,
    });
  }
}

/** Holds a store that takes no writes against its own earlier contents and what a foreign writer has added. */
export function compareFrozen(
  frozen: ReadonlyMap<string, readonly string[]>,
  shown: ReadonlyMap<string, readonly string[]>,
  { foreign, step, book }: { foreign: ReadonlyMap<string, string>; step: string; book: FaultBook },
): void {
  for (const name of new Set([...frozen.keys(), ...shown.keys()])) {
    const added = foreign.get(name);
    const expected = [...(frozen.get(name) ?? []), ...(added === undefined ? [] : [added])];
    const items = shown.get(name) ?? [];
    const lost = minus(expected, items).length;
    const duplicated = minus(items, expected).length;
    const misordered = lost + duplicated === 0 && !isSame(items, expected) ? 1 : 0;
    book.add(`${step}: ${name} on legacy, which is read-only`, { lost, duplicated, misordered });
  }
}

function isSame(one: readonly string[], other: readonly string[]): boolean {
  return one.length === other.length && one.every((item, index) => item === other[index]);
}
