/** Ids of memories that were written and may need a vector, the oldest first, each once. */
export interface WaitingIds {
  /** False when there was no room: only a look at the tables finds what was left out. */
  add(memoryIds: readonly string[]): boolean;
  take(count: number): string[];
  readonly length: number;
  /** How long the oldest has waited. */
  oldestMs(): number;
}

export function createWaitingIds(room: number): WaitingIds {
  // A map keeps the order of insertion.
  const since = new Map<string, number>();
  return {
    add(memoryIds) {
      for (const id of memoryIds) {
        if (since.has(id)) continue;
        if (since.size >= room) return false;
        since.set(id, performance.now());
      }
      return true;
    },
    take(count) {
      const taken: string[] = [];
      for (const id of since.keys()) {
        if (taken.length === count) break;
        taken.push(id);
        since.delete(id);
      }
      return taken;
    },
    get length() {
      return since.size;
    },
    oldestMs() {
      const [oldest] = since.values();
      return oldest === undefined ? 0 : performance.now() - oldest;
    },
  };
}
