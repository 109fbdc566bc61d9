import { describe, expect, test } from 'vitest';
import { type Effect, StorageError } from '../../../src/domain/errors.ts';
import { retried, treatmentOf } from '../../../src/orchestrator/database/retries.ts';

function failure(sqlstate: string, effect: Exclude<Effect, 'rejected'> = 'not_applied'): StorageError {
  return new StorageError('The database failed', { effect, details: { sqlstate } });
}

const CONFLICT = { isRetried: true, isOutage: false };
const OUTAGE = { isRetried: true, isOutage: true };
const EXHAUSTED = { isRetried: false, isOutage: true };
const FINAL = { isRetried: false, isOutage: false };

describe('what a SQLSTATE calls for', () => {
  test.each([
    ['a deadlock', '40P01', CONFLICT],
    ['a serialization failure', '40001', CONFLICT],
    ['a lock that was not to be had', '55P03', CONFLICT],
    ['a connection that broke', '08006', OUTAGE],
    ['a connection that was refused', '08001', OUTAGE],
    ['a server that ends', '57P01', OUTAGE],
    ['a server that starts', '57P03', OUTAGE],
    ['too many connections', '53300', EXHAUSTED],
    ['a full disk', '53100', EXHAUSTED],
    ['a file that cannot be read', '58030', EXHAUSTED],
    ['a statement that was ended at its timeout', '57014', FINAL],
    ['a key that is there', '23505', FINAL],
    ['a value that is none', '22P02', FINAL],
    ['a lack of rights', '42501', FINAL],
  ])('%s (%s)', (_what, sqlstate, expected) => {
    expect(treatmentOf(failure(sqlstate))).toEqual(expected);
  });

  test('without one, an unreachable database is an outage, any other failure final', () => {
    const unreachable = new StorageError('out of reach', { effect: 'not_applied', reason: 'unreachable' });
    expect(treatmentOf(unreachable)).toEqual(OUTAGE);
    expect(treatmentOf(new StorageError('too late', { effect: 'not_applied', reason: 'timeout' }))).toEqual(
      FINAL,
    );
    expect(treatmentOf(new TypeError('a mistake of ours'))).toEqual(FINAL);
  });
});

/** Fails so often, then succeeds; counts how often it is done. */
function failing(times: number, error: Error) {
  let done = 0;
  const work = async (): Promise<number> => {
    done += 1;
    if (done <= times) throw error;
    return done;
  };
  return { work, done: () => done };
}

describe('work that failed', () => {
  test.each(['40P01', '40001', '55P03', '08006', '57P01'])(
    'for %s is repeated if it was not applied',
    async (sqlstate) => {
      expect(await retried(failing(1, failure(sqlstate)).work)).toBe(2);
    },
  );

  test.each(['40001', '08006'])('for %s is not repeated if it may have been applied', async (sqlstate) => {
    const { work, done } = failing(1, failure(sqlstate, 'unknown'));
    await expect(retried(work)).rejects.toThrow('The database failed');
    expect(done()).toBe(1);
  });

  test.each(['23505', '22P02', '53300', '57014'])('for %s is not repeated', async (sqlstate) => {
    const { work, done } = failing(1, failure(sqlstate));
    await expect(retried(work)).rejects.toThrow('The database failed');
    expect(done()).toBe(1);
  });

  test('is tried at most six times', async () => {
    const { work, done } = failing(100, failure('40001'));
    await expect(retried(work)).rejects.toThrow('The database failed');
    expect(done()).toBe(6);
  });

  test('is judged by the inner failure of the error', async () => {
    const wrapped = new Error('wrapped', { cause: failure('40001') });
    expect(await retried(failing(2, wrapped).work, (error) => (error as Error).cause)).toBe(3);
  });
});
