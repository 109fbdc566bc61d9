import type { Action } from '../wire/payloads.ts';
import type { Request } from '../wire/request.ts';

/** Actions that can write many different memories in one statement. */
const BY_MEMORY: ReadonlySet<Action> = new Set<Action>(['create', 'update', 'delete']);
/** For different sessions the order of these actions has no effect, because they change only their session and their memory. */
const BY_SESSION: ReadonlySet<Action> = new Set<Action>(['create', 'upsert_session']);

/** Operations written by one statement. */
interface Run {
  readonly action: Action;
  readonly indexes: number[];
  /** Ids that can occur only once. */
  readonly ids: Set<string>;
}

/**
 * Groups operations of one action that can be written together, with different memories or sessions. Operations on one session, or on one
 * memory, keep their order. So many sessions, each with its row and its memories, take only two runs.
 */
export function runsOf(requests: readonly Request[], indexes: readonly number[]): number[][] {
  const runs: Run[] = [];
  /** The last run that changed a session or a memory. */
  const touched = new Map<string, number>();
  let earliest = 0;
  for (const index of indexes) {
    const request = requests[index];
    if (request === undefined) continue;
    const { action, sessionId } = request;
    const ids = [`session ${sessionId}`, ...memoriesOf(request)];
    const first = BY_SESSION.has(action)
      ? Math.max(earliest, ...ids.map((id) => touched.get(id) ?? 0))
      : Math.max(0, runs.length - 1);
    const once = action === 'upsert_session' ? ids : ids.slice(1);
    const at = placeIn(runs, { action, once, first });
    const run = runs[at] ?? { action, indexes: [], ids: new Set() };
    runs[at] = run;
    run.indexes.push(index);
    for (const id of once) run.ids.add(id);
    for (const id of ids) touched.set(id, at);
    if (!BY_SESSION.has(action)) earliest = at;
  }
  return runs.map((run) => run.indexes);
}

function placeIn(
  runs: readonly Run[],
  {
    action,
    once,
    first,
  }: { readonly action: Action; readonly once: readonly string[]; readonly first: number },
): number {
  const at = runs.findIndex(
    (run, place) => place >= first && run.action === action && !once.some((id) => run.ids.has(id)),
  );
  return at < 0 ? runs.length : at;
}

function memoriesOf({ action, payload }: Request): string[] {
  return BY_MEMORY.has(action) && 'memory_id' in payload && payload.memory_id !== undefined
    ? [`memory ${payload.memory_id}`]
    : [];
}
