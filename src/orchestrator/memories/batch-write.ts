import { ValidationError } from '../../domain/errors.ts';
import { isJsonObject, rawElements, rawMembers } from '../../domain/json.ts';
import type { Call } from '../call.ts';
import type { VaultDatabase as Database } from '../encryption/vault-session.ts';
import { keepAnswer, keyOf, once, type WriteKey } from './idempotency.ts';
import { laneWriteOf, writeAsOne } from './lane-write.ts';
import { createPlainly } from './plain-creates.ts';
import { namedRefusal, refusedAt, RefusedOperation } from './refused-operation.ts';
import { parseRequest, type Request } from '../wire/request.ts';
import { inBestWay, isWrite, retried, type WriteAction, writeFenced } from './write.ts';

/** Several writes in one transaction, in order, each with an answer. If one is refused, nothing is applied and the error names it. */
export async function batchWrite(call: Call<'batch_write'>): Promise<object> {
  const { database } = call.parts;
  return named(async () => {
    const operations = operationsOf(call.request);
    const laneWrite = laneWriteOf(call.request, operations);
    if (laneWrite !== undefined) return writeAsOne(database, laneWrite);
    const key = operations.every(({ lane }) => lane !== undefined) ? undefined : keyOf(call);
    if (key === undefined) return writeAll(database, operations);
    return once(database, key, () => named(() => writeAll(database, operations, key)));
  });
}

async function named(work: () => Promise<object>): Promise<object> {
  try {
    return await work();
  } catch (error) {
    throw error instanceof RefusedOperation ? namedRefusal(error) : error;
  }
}

async function writeAll(
  database: Database,
  operations: readonly Request<WriteAction>[],
  key?: WriteKey,
): Promise<object> {
  const created =
    key === undefined ? await retried(async () => createPlainly(database, operations)) : undefined;
  if (created !== undefined) return { results: created };
  return inBestWay((way) =>
    retried(() =>
      database.transaction(async (session) => {
        const answer = { results: await writeFenced(session, operations, way) };
        if (key !== undefined) await keepAnswer(session, key, answer);
        return answer;
      }),
    ),
  );
}

const parsed = new WeakMap<Request, readonly Request<WriteAction>[]>();

/** The operations of a batch as requests. Parsed once per batch. @throws ValidationError with the index of the operation */
export function operationsOf(request: Request<'batch_write'>): readonly Request<WriteAction>[] {
  const known = parsed.get(request);
  if (known !== undefined) return known;
  const elements = rawElements(request.raw['operations'] ?? '[]');
  const operations = request.payload.operations.map((members, index) => {
    try {
      return operationOf(request, members, elements[index] ?? '{}');
    } catch (error) {
      const refused = refusedAt(index, error);
      throw refused instanceof RefusedOperation ? namedRefusal(refused) : refused;
    }
  });
  parsed.set(request, operations);
  return operations;
}

function operationOf(batch: Request<'batch_write'>, members: unknown, text: string): Request<WriteAction> {
  if (!isJsonObject(members)) throw new ValidationError('An operation must be an object');
  const { sessionId, lane, suspicious } = batch;
  const operation = parseRequest({ members, raw: rawMembers(text), suspicious }, { sessionId, lane });
  if (!isWrite(operation))
    throw new ValidationError('A batch can contain writes only', { code: 'invalid_request' });
  return operation;
}
