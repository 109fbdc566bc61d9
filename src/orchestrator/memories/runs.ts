import type { Action } from '../wire/payloads.ts';
import type { Request } from '../wire/request.ts';

/** Actions that take many memories in one statement, as long as each comes once. */
const BY_MEMORY: ReadonlySet<Action> = new Set<Action>(['create', 'update', 'delete']);

/** Neighbours of one action that can be written together: the memories they name must differ. */
export function runsOf(requests: readonly Request[], indexes: readonly number[]): number[][] {
  const runs: number[][] = [];
  let ids = new Set<string>();
  let action: Action | undefined;
  for (const index of indexes) {
    const request = requests[index];
    if (request === undefined) continue;
    const id = memoryOf(request);
    if (request.action !== action || (id !== undefined && ids.has(id))) {
      runs.push([]);
      ids = new Set();
      action = request.action;
    }
    if (id !== undefined) ids.add(id);
    runs.at(-1)?.push(index);
  }
  return runs;
}

function memoryOf({ action, payload }: Request): string | undefined {
  return BY_MEMORY.has(action) && 'memory_id' in payload ? payload.memory_id : undefined;
}
