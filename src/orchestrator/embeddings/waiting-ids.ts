/** Ids of written memories that may need a vector, oldest first, without duplicates. */
export interface WaitingIds {
  /** False if the queue is full. Only a sweep of the tables finds the dropped ids. */
  add(memoryIds: readonly string[]): boolean;
  take(count: number): string[];
  readonly length: number;
  /** Milliseconds that the oldest id has waited. */
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
