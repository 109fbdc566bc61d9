import type { PGlite, Transaction } from '@electric-sql/pglite';
import { type Phase, storageError } from '../database-errors.ts';
import { runPrepared } from './pglite-prepared.ts';
import { Column } from './columns.ts';
import { arrivedInTime, checkDeadline, type DeadlineMs } from './deadline.ts';
import { runWork, type Session, type Work } from './session.ts';

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
