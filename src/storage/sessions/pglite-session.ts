import type * as Wire from '@electric-sql/pglite';
import type { PGlite, Transaction } from '@electric-sql/pglite';
import { type Phase, storageError } from '../database-errors.ts';
import { Column } from './columns.ts';
import {
  arrivedInTime,
  checkDeadline,
  type DeadlineMs,
  nameOfPrepared,
  runWork,
  type Session,
  type Work,
} from './session.ts';

/** @param inside the open transaction, which runs its other statements */
export function pgliteSession(pglite: PGlite, phase: Phase, inside?: Transaction): Session {
  const plain = inside ?? pglite;
  return {
    async query<Row extends object>(sql: string, params: readonly unknown[] = []): Promise<Row[]> {
      try {
        const values = params.map((value) => (value instanceof Column ? value.plain() : (value ?? null)));
        return (await runPrepared<Row>(pglite, sql, values)) ?? (await plain.query<Row>(sql, values)).rows;
      } catch (error) {
        throw storageError(error, phase);
      }
    },
    async script(sql) {
      try {
        await plain.exec(sql);
      } catch (error) {
        throw storageError(error, phase);
      }
    },
  };
}

export async function pgliteTransaction<T>(pglite: PGlite, work: Work<T>, atMs: DeadlineMs): Promise<T> {
  let refusal: { readonly error: unknown } | undefined;
  try {
    return await pglite.transaction(async (transaction) => {
      try {
        return await runWork(pgliteSession(pglite, 'transaction', transaction), work, atMs);
      } catch (error) {
        refusal = { error };
        throw error;
      }
    });
  } catch (error) {
    if (refusal !== undefined) throw refusal.error;
    throw storageError(error, 'commit');
  }
}

/** Serializes the work of the single session, first come, first served. Work that has not started by its deadline never starts. */
export class Turns {
  #last: Promise<unknown> = Promise.resolve();
  #waiting = 0;

  /** Number of waiting and running pieces of work. */
  get length(): number {
    return this.#waiting;
  }

  take<T>(work: () => Promise<T>, atMs: DeadlineMs): Promise<T> {
    this.#waiting += 1;
    const turn = this.#last.then(() => checkDeadline(atMs));
    const done = turn.then(work);
    this.#last = done.catch(() => undefined).finally(() => (this.#waiting -= 1));
    if (atMs === Infinity) return done;
    // The error comes at the deadline, not at the turn. Started work is awaited.
    return arrivedInTime(turn, atMs, () => undefined).then(() => done);
  }
}

/*
 * PGlite's own query() parses and plans a statement each time, in several rounds of the protocol. That takes 0.3 ms, a kept plan 0.05 ms.
 * A marked statement is parsed once, and then bound and executed in one round. Values and rows are converted as in query().
 */

type BackendMessages = Awaited<ReturnType<PGlite['execProtocol']>>['messages'];

let loaded: Promise<typeof Wire> | undefined;

/** Loaded once, with the first opened database, because production does not need it and every import() looks the module up again. */
function wire(): Promise<typeof Wire> {
  loaded ??= import('@electric-sql/pglite');
  return loaded;
}

/** The parameter types, by statement name. */
const known = new WeakMap<PGlite, Map<string, readonly number[]>>();

/** The rows, or undefined if the statement is not marked. No other caller may use the database at the same time. */
async function runPrepared<Row>(
  pglite: PGlite,
  sql: string,
  params: readonly unknown[],
): Promise<Row[] | undefined> {
  const name = nameOfPrepared(sql);
  if (name === undefined) return undefined;
  const { parse, protocol } = await wire();
  const { serialize } = protocol;
  const parameterTypes = await typesOf(pglite, name, sql);
  const values = params.map((value, index) => serialized(pglite, value, parameterTypes[index]));
  const messages = await exchanged(pglite, [
    serialize.bind({ statement: name, values }),
    serialize.describe({ type: 'P' }),
    serialize.execute({}),
    serialize.sync(),
  ]);
  const [result] = parse.parseResults(messages, pglite.parsers);
  return (result?.rows ?? []) as Row[];
}

async function typesOf(pglite: PGlite, name: string, sql: string): Promise<readonly number[]> {
  const statements = known.get(pglite) ?? new Map<string, readonly number[]>();
  known.set(pglite, statements);
  const before = statements.get(name);
  if (before !== undefined) return before;
  const { parse, protocol } = await wire();
  const { serialize } = protocol;
  const messages = await exchanged(pglite, [
    serialize.parse({ name, text: sql }),
    serialize.describe({ type: 'S', name }),
    serialize.sync(),
  ]);
  const parameterTypes = parse.parseDescribeStatementResults(messages);
  statements.set(name, parameterTypes);
  return parameterTypes;
}

function serialized(pglite: PGlite, value: unknown, type: number | undefined): string | null {
  if (value === null || value === undefined) return null;
  const serializer = type === undefined ? undefined : pglite.serializers[type];
  if (serializer !== undefined) return serializer(value);
  return typeof value === 'string' ? value : JSON.stringify(value);
}

/** @throws the database's error. Later messages are skipped, as the protocol requires */
async function exchanged(pglite: PGlite, parts: readonly Uint8Array[]): Promise<BackendMessages> {
  const { messages } = await pglite.execProtocol(Buffer.concat(parts));
  return messages;
}
