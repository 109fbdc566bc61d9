import type { PGlite, Transaction } from '@electric-sql/pglite';
import { type Phase, storageError } from './database-errors.ts';
import { arrivedInTime, checkDeadline, type DeadlineMs } from './deadline.ts';
import { runWork, type Session, type Work } from './session.ts';

export function pgliteSession(pglite: PGlite | Transaction, phase: Phase): Session {
  return {
    async query<Row extends object>(sql: string, params: readonly unknown[] = []): Promise<Row[]> {
      try {
        const { rows } = await pglite.query<Row>(
          sql,
          params.map((value) => value ?? null),
        );
        return rows;
      } catch (error) {
        throw storageError(error, phase);
      }
    },
    async script(sql) {
      try {
        await pglite.exec(sql);
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
        return await runWork(pgliteSession(transaction, 'transaction'), work, atMs);
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

/** The turns of the one session: first come, first served. What has not begun at its deadline never begins. */
export class Turns {
  #last: Promise<unknown> = Promise.resolve();
  #waiting = 0;

  /** Pieces of work that wait or run. */
  get length(): number {
    return this.#waiting;
  }

  take<T>(work: () => Promise<T>, atMs: DeadlineMs): Promise<T> {
    this.#waiting += 1;
    const turn = this.#last.then(() => checkDeadline(atMs));
    const done = turn.then(work);
    this.#last = done.catch(() => undefined).finally(() => (this.#waiting -= 1));
    if (atMs === Infinity) return done;
    // The refusal comes at the deadline, not when the turn would have come. Work that has begun is waited for.
    return arrivedInTime(turn, atMs, () => undefined).then(() => done);
  }
}
