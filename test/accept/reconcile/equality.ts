import type { StoreContents } from '../stores.ts';

export interface Inequality {
  /** Lanes whose lists are not the same, item for item. */
  readonly unequal: readonly string[];
  /** Items that the orchestrator holds more often than legacy. */
  readonly surplus: number;
}

/** Holds the two stores against each other, read from their own files and tables. */
export function compareStores(legacy: StoreContents, orchestrator: StoreContents): Inequality {
  const unequal: string[] = [];
  let surplus = 0;
  for (const section of ['sessions', 'entries', 'decisions', 'memories'] as const) {
    const names = new Set([...legacy[section].keys(), ...orchestrator[section].keys()]);
    for (const name of names) {
      const shown = legacy[section].get(name) ?? [];
      const stored = orchestrator[section].get(name) ?? [];
      // Legacy keeps the newest 50 entries of a contextual session; the orchestrator keeps what was forgotten.
      const compared = section === 'entries' && shown.length === 50 ? stored.slice(-50) : stored;
      if (shown.length === compared.length && shown.every((item, index) => item === compared[index]))
        continue;
      unequal.push(name);
      surplus += more(compared, shown);
    }
  }
  return { unequal, surplus };
}

function more(list: readonly string[], than: readonly string[]): number {
  const left = new Map<string, number>();
  for (const item of than) left.set(item, (left.get(item) ?? 0) + 1);
  return list.filter((item) => {
    const count = left.get(item) ?? 0;
    left.set(item, count - 1);
    return count <= 0;
  }).length;
}
