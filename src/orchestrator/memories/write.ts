import { putAgentState } from '../sessions/agent-states.ts';
import type { Call } from '../call.ts';
import type { VaultDatabase as Database, VaultSession as Session } from '../encryption/vault-session.ts';
import type { Action } from '../wire/payloads.ts';
import { deleteProfile, putProfile } from '../sessions/profiles.ts';
import type { Request } from '../wire/request.ts';
import { retried as retriedWork } from '../database/retries.ts';
import { createSession, endSession, upsertSessions } from '../sessions/sessions.ts';
import { bulkDelete, deleteMemories, updateMemories } from './change-memories.ts';
import { createMemories, createMemory } from './create-memories.ts';
import { pass, storePlaces, supersededAnswer } from './fence.ts';
import { keepAnswer, keyOf, once, type WriteKey } from './idempotency.ts';
import { createNew, createPlainly, isNotPlain } from './plain-creates.ts';
import { refusedAt, RefusedOperation, refusedValue } from './refused-operation.ts';
import { addRelationship } from './relationships.ts';

export type WriteAction =
  | 'create'
  | 'update'
  | 'delete'
  | 'bulk_delete'
  | 'create_session'
  | 'upsert_session'
  | 'end_session'
  | 'put_profile'
  | 'delete_profile'
  | 'put_agent_state'
  | 'add_relationship';

/** Applies writes of one action, in order. A single write takes one statement. @throws RefusedOperation */
type Writer<A extends Action> = (session: Session, requests: readonly Request<A>[]) => Promise<object[]>;

const WRITERS: { readonly [A in WriteAction]: Writer<A> } = {
  create: createMemories,
  update: updateMemories,
  delete: deleteMemories,
  bulk_delete: oneByOne(bulkDelete),
  create_session: oneByOne(createSession),
  upsert_session: upsertSessions,
  end_session: oneByOne(endSession),
  put_profile: oneByOne(putProfile),
  delete_profile: oneByOne(deleteProfile),
  put_agent_state: oneByOne(putAgentState),
  add_relationship: oneByOne(addRelationship),
};

export function isWrite(request: Request): request is Request<WriteAction> {
  return Object.hasOwn(WRITERS, request.action);
}

/** One write. With a fence or a stored answer it runs in a transaction, otherwise it is one statement. */
export async function write(call: Call<WriteAction>): Promise<object> {
  const { database } = call.parts;
  const key = keyOf(call);
  if (key === undefined) return unwrapped(() => writeOne(database, call.request));
  return once(database, key, () => unwrapped(() => writeKept(database, call.request, key)));
}

async function unwrapped(work: () => Promise<object>): Promise<object> {
  try {
    return await retried(work);
  } catch (error) {
    throw error instanceof RefusedOperation ? error.refusal : error;
  }
}

async function writeOne(database: Database, request: Request<WriteAction>): Promise<object> {
  const [created] = (await createPlainly(database, [request])) ?? [];
  if (created !== undefined) return created;
  // A refused create must not leave the session that it created.
  const isOneStatement = request.lane === undefined && !isCreate(request);
  const [result] = isOneStatement
    ? await thoroughWriterOf(request.action)(database, [request])
    : await database.transaction((session) => writeFenced(session, [request]));
  return result ?? {};
}

async function writeKept(database: Database, request: Request<WriteAction>, key: WriteKey): Promise<object> {
  // Creates are the most frequent writes, so their statement also stores the answer.
  if (isCreate(request)) {
    const [created] = (await createPlainly(database, [request], key)) ?? [];
    return created ?? database.transaction((session) => createMemory(session, request, key));
  }
  return database.transaction(async (session) => {
    const [result = {}] = await thoroughWriterOf(request.action)(session, [request]);
    await keepAnswer(session, key, result);
    return result;
  });
}

function isCreate(request: Request): request is Request<'create'> {
  return request.action === 'create';
}

/**
 * How fenced writes are executed. `plainly` assumes no conflicts and otherwise fails. `together` uses few statements, and reports which
 * write is refused and why. `singly` runs one statement per write.
 */
export type Way = 'plainly' | 'together' | 'singly';

/** Tries the ways in turn, each as a transaction of its own, until one succeeds or finds the reason of a refusal. */
export async function inBestWay<T>(attempt: (way: Way) => Promise<T>): Promise<T> {
  try {
    return await attempt('plainly').catch((error: unknown) => {
      if (!isNotPlain(error)) throw error;
      return attempt('together');
    });
  } catch (error) {
    // A value of the statement is refused. Writing the operations one by one finds the operation with that value.
    if (refusedValue(error) === undefined) throw error;
    return attempt('singly');
  }
}

/** Checks writes against the fences of their lanes, and applies those that pass, in order. @throws RefusedOperation */
export async function writeFenced(
  session: Session,
  requests: readonly Request<WriteAction>[],
  way: Way = 'together',
): Promise<object[]> {
  const lanes = requests.map(({ lane }) => lane);
  const { verdicts, standing, moved } = await pass(session, lanes);
  const indexes = [...verdicts.keys()].filter((index) => verdicts[index] === 'applied');
  const results = await writeInOrder(session, requests, { indexes, way });
  verdicts.forEach((verdict, index) => {
    const lane = lanes[index];
    if (verdict === 'already_applied') results[index] = { already_applied: true };
    if (verdict === 'superseded' && lane !== undefined)
      results[index] = supersededAnswer(standing.get(lane.key), lane);
  });
  if (moved.size > 0) await storePlaces(session, moved);
  return results;
}

interface Chosen {
  /** The writes to apply. */
  readonly indexes: readonly number[];
  readonly way: Way;
}

/** Applies writes that have passed their fences. The results have the indexes of the requests. @throws RefusedOperation */
export async function writeInOrder(
  session: Session,
  requests: readonly Request<WriteAction>[],
  { indexes, way }: Chosen,
): Promise<object[]> {
  const results: object[] = [];
  const runs = way === 'singly' ? indexes.map((index) => [index]) : runsOf(requests, indexes);
  const writerOf = way === 'plainly' ? plainWriterOf : thoroughWriterOf;
  for (const run of runs) {
    const written = await writeRun(session, run, { requests, writerOf });
    run.forEach((index, at) => (results[index] = written[at] ?? {}));
  }
  return results;
}

interface Writing {
  readonly requests: readonly Request<WriteAction>[];
  readonly writerOf: (action: WriteAction) => Writer<WriteAction>;
}

async function writeRun(
  session: Session,
  run: readonly number[],
  { requests, writerOf }: Writing,
): Promise<object[]> {
  const members = run.flatMap((index) => requests[index] ?? []);
  const [first] = members;
  if (first === undefined) return [];
  try {
    return await writerOf(first.action)(session, members);
  } catch (error) {
    if (error instanceof RefusedOperation) throw new RefusedOperation(run[error.index] ?? 0, error.refusal);
    throw run.length === 1 ? refusedAt(run[0] ?? 0, refusedValue(error) ?? error) : error;
  }
}

function oneByOne<A extends Action>(
  writeOne: (session: Session, request: Request<A>) => Promise<object>,
): Writer<A> {
  return async (session, requests) => {
    const results: object[] = [];
    for (const [index, request] of requests.entries()) {
      try {
        results.push(await writeOne(session, request));
      } catch (error) {
        throw refusedAt(index, error);
      }
    }
    return results;
  };
}

function plainWriterOf(action: WriteAction): Writer<WriteAction> {
  return action === 'create' ? (createNew as Writer<WriteAction>) : thoroughWriterOf(action);
}

// The table is keyed by the action that the requests carry.
function thoroughWriterOf(action: WriteAction): Writer<WriteAction> {
  return WRITERS[action] as Writer<WriteAction>;
}

/** Repeats work that the database refused for a temporary reason. */
export function retried<T>(work: () => Promise<T>): Promise<T> {
  return retriedWork(work, (error) => (error instanceof RefusedOperation ? error.refusal : error));
}

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
 * memory, keep their order. Many sessions, each with its row and its memories, then take only two runs.
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
