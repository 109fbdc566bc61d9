import { StorageError } from '../../src/domain/errors.ts';
import type { Faults } from './faults.ts';
import type { Statement } from './journal.ts';
import type { Owner, Scheduler } from './scheduler.ts';
import type { World } from './world.ts';

/** What stands in a lane's row for good: it may come late. */
const OF_THE_ROW = /^(?:begin copy|mark dirty|announce|flip|give up)/;

/** Statements of one process on the database: each takes effect at one instant and is answered at a later one, or not. */
export function createStatements(
  { scheduler, faults, isEmbedded, database }: World,
  owner: Owner,
): Statement {
  return <Result>(what: string, apply: () => Result): Promise<Result> =>
    new Promise((resolve, reject) => {
      const { end, beforeMs, afterMs, lateMs = 0 } = faults.statement(OF_THE_ROW.test(what));
      const { crashes } = database;
      const answer = (run: () => void): void =>
        void scheduler.afterFor(owner, afterMs, { what: `answer ${what}`, run });
      const fail = (effect: 'not_applied' | 'unknown'): void => answer(() => reject(outOfReach(effect)));
      scheduler.after(beforeMs, `statement ${what} ${end}`, () => {
        // A database in the process itself dies with it.
        if (isEmbedded && owner.isDead) return;
        if (end === 'not_applied') return fail('not_applied');
        // Its session ended with the database's crash, and nobody tells how far it had come.
        if (database.crashes !== crashes) return fail('unknown');
        if (end === 'unknown_lost') return fail('unknown');
        if (end === 'unknown_late') {
          scheduler.after(lateMs, `late ${what}`, () => {
            if (!isEmbedded || !owner.isDead) apply();
          });
          return fail('unknown');
        }
        const result = apply();
        if (end === 'unknown_applied') return fail('unknown');
        answer(() => {
          if (database.crashes === crashes) resolve(result);
          else reject(outOfReach('unknown'));
        });
      });
    });
}

function outOfReach(effect: 'not_applied' | 'unknown'): StorageError {
  return new StorageError('The database is out of reach', { effect, reason: 'unreachable' });
}

/** Reads a legacy service's own store, as it is at one instant. @throws Error where the file cannot be read at this moment */
export function readStore<Result>(
  { scheduler, faults, owner }: { scheduler: Scheduler; faults: Faults; owner: Owner },
  what: string,
  read: () => Result,
): Promise<Result> {
  return new Promise((resolve, reject) => {
    const isTorn = faults.happens('file_error', 0.1);
    scheduler.after(1, `read ${what}`, () => {
      const result = isTorn ? undefined : read();
      scheduler.afterFor(owner, 1, {
        what: `answer read ${what}`,
        run: () => (result === undefined ? reject(new Error('The file does not parse')) : resolve(result)),
      });
    });
  });
}
