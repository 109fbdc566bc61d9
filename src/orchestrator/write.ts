import { CrossfadeError, ValidationError } from '../domain/errors.ts';
import { isJsonObject, rawElements, rawMembers } from '../domain/json.ts';
import { type Database, type Session, sqlstateOf } from '../storage/database.ts';
import { deleteMemories, deleteMemory, updateMemory } from './change-memories.ts';
import { createMemories } from './create-memories.ts';
import { judgeInOrder, lockLanes, passAll, storePlaces, type Place, type Verdict } from './fence.ts';
import { type Action, type Lane, type PayloadOf } from './payloads.ts';
import { refusedAt, RefusedOperation, refusedValue } from './refused-operation.ts';
import { parseRequest, type Request } from './request.ts';
import { createSession, endSession, upsertSession } from './sessions.ts';

export type WriteAction =
  'create' | 'update' | 'delete' | 'bulk_delete' | 'create_session' | 'upsert_session' | 'end_session';

/** Applies writes of one action, in order. One statement where only one write is given. @throws RefusedOperation */
type Writer<A extends Action> = (session: Session, requests: readonly Request<A>[]) => Promise<object[]>;

const WRITERS: { readonly [A in WriteAction]: Writer<A> } = {
  create: createMemories,
  update: oneByOne(updateMemory),
  delete: oneByOne(deleteMemory),
  bulk_delete: oneByOne(deleteMemories),
  create_session: oneByOne(createSession),
  upsert_session: oneByOne(upsertSession),
  end_session: oneByOne(endSession),
};

const NO_EFFECT: Record<Exclude<Verdict, 'applied'>, object> = {
  superseded: { superseded: true },
  already_applied: { already_applied: true },
};

// Deadlock, serialization failure: the transaction is gone and can simply be run again.
const RETRIED = new Set(['40P01', '40001']);
const MAX_TRIES = 6;

export function isWrite(request: Request): request is Request<WriteAction> {
  return Object.hasOwn(WRITERS, request.action);
}

/** One write. Behind its lane's fence it runs in a transaction of its own, otherwise it is one statement. */
export async function write(database: Database, request: Request<WriteAction>): Promise<object> {
  try {
    const [result] = await retried(() =>
      request.lane === undefined
        ? writerOf(request.action)(database, [request])
        : database.transaction((session) => writeFenced(session, [request])),
    );
    return result ?? {};
  } catch (error) {
    throw error instanceof RefusedOperation ? error.refusal : error;
  }
}

/** Several writes in one transaction, in order, each answered. When one is refused nothing is applied and the error names it. */
export async function batchWrite(database: Database, request: Request<'batch_write'>): Promise<object> {
  try {
    return { results: await writeAll(database, operationsOf(request)) };
  } catch (error) {
    if (!(error instanceof RefusedOperation)) throw error;
    const { index, refusal } = error;
    const { code, effect, reason, details } = refusal;
    throw new CrossfadeError(`Operation ${index}: ${refusal.message}`, {
      code,
      effect,
      ...(reason === undefined ? {} : { reason }),
      details: { ...details, operation: index },
      cause: refusal,
    });
  }
}

async function writeAll(database: Database, operations: readonly Request<WriteAction>[]): Promise<object[]> {
  const attempt = (together: boolean) =>
    retried(() => database.transaction((session) => writeFenced(session, operations, together)));
  try {
    return await attempt(true);
  } catch (error) {
    // One of many values in one statement: written one by one, the operation that brings it is known.
    if (refusedValue(error) === undefined) throw error;
    return await attempt(false);
  }
}

function operationsOf(request: Request<'batch_write'>): Request<WriteAction>[] {
  const { payload, raw, sessionId, lane, suspicious } = request;
  const elements = rawElements(raw['operations'] ?? '[]');
  return payload.operations.map((members, index) => {
    try {
      if (!isJsonObject(members)) throw new ValidationError('An operation is an object');
      const message = { members, raw: rawMembers(elements[index] ?? '{}'), suspicious };
      const operation = parseRequest(message, { sessionId, lane });
      if (!isWrite(operation))
        throw new ValidationError('A batch takes writes only', { code: 'invalid_request' });
      return operation;
    } catch (error) {
      throw refusedAt(index, error);
    }
  });
}

async function writeFenced(
  session: Session,
  requests: readonly Request<WriteAction>[],
  together = true,
): Promise<object[]> {
  const lanes = requests.map(({ lane }) => lane);
  const { verdicts, places } = await judged(session, lanes);
  const results = verdicts.map((verdict) => (verdict === 'applied' ? {} : NO_EFFECT[verdict]));
  const applied = [...verdicts.keys()].filter((index) => verdicts[index] === 'applied');
  const runs = together ? runsOf(requests, applied) : applied.map((index) => [index]);
  for (const run of runs) {
    const written = await writeRun(session, requests, run);
    run.forEach((index, at) => (results[index] = written[at] ?? {}));
  }
  if (places.size > 0 && applied.length > 0) await storePlaces(session, places);
  return results;
}

interface Judged {
  readonly verdicts: readonly Verdict[];
  /** Where the lanes stand afterwards, as far as it is not written down yet. */
  readonly places: ReadonlyMap<string, Place>;
}

async function judged(session: Session, lanes: readonly (Lane | undefined)[]): Promise<Judged> {
  const keys = [...new Set(lanes.flatMap((lane) => (lane === undefined ? [] : [lane.key])))];
  if (keys.length === 0) return { verdicts: lanes.map(() => 'applied'), places: new Map() };
  const passed = await passAll(session, lanes);
  if (passed !== undefined) return { verdicts: passed, places: new Map() };
  const places = await lockLanes(session, keys);
  return { verdicts: judgeInOrder(lanes, places), places };
}

async function writeRun(
  session: Session,
  requests: readonly Request<WriteAction>[],
  run: readonly number[],
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

/** Neighbours of one action that can be written together: memories that are created must differ in their ids. */
function runsOf(requests: readonly Request<WriteAction>[], indexes: readonly number[]): number[][] {
  const runs: number[][] = [];
  let ids = new Set<string>();
  let action: Action | undefined;
  for (const index of indexes) {
    const request = requests[index];
    if (request === undefined) continue;
    const id = request.action === 'create' ? (request.payload as PayloadOf<'create'>).memory_id : undefined;
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

// The table is keyed by the action that the requests carry.
function writerOf(action: WriteAction): Writer<WriteAction> {
  return WRITERS[action] as Writer<WriteAction>;
}

async function retried<T>(work: () => Promise<T>): Promise<T> {
  for (let tries = 1; ; tries += 1) {
    try {
      return await work();
    } catch (error) {
      const cause = error instanceof RefusedOperation ? error.refusal : error;
      if (tries >= MAX_TRIES || !RETRIED.has(sqlstateOf(cause) ?? '')) throw error;
    }
  }
}
