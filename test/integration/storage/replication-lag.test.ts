import { expect, test } from 'vitest';
import { createReplicationLag } from '../../../src/storage/replication-lag.ts';
import { onEachJournal } from './each-journal.ts';
import { beginJournal } from './journal-under-test.ts';

onEachJournal((database) => {
  function begin() {
    const at = beginJournal(database());
    const lag = () => createReplicationLag(database())(at.service);
    /** The lane's first write, which the orchestrator has. */
    const first = async (owner: string) => {
      await at.journal.delivered(await at.write(owner, 'applied'));
      await at.journal.drain();
    };
    return { ...at, first, lag };
  }

  test('a service without writes does not lag', async () => {
    const { lag } = begin();
    expect(await lag()).toEqual({ writes: 0, lanes: 0, oldestSeconds: null });
  });

  test('the lag has the oldest waiting write, and the number of waiting writes', async () => {
    const { lag, write, first } = begin();
    await first('ann');
    await write('ann', 'applied');
    await write('ann', 'applied');
    await first('bob');
    await write('bob', 'applied');
    const { writes, lanes, oldestSeconds } = await lag();
    const acceptedSecondsAgo = (Date.now() - Date.UTC(2026, 0, 2, 3, 4, 5, 678)) / 1_000;
    expect({ writes, lanes }).toEqual({ writes: 3, lanes: 2 });
    expect(Math.abs((oldestSeconds ?? 0) - acceptedSecondsAgo)).toBeLessThan(3_600);
  });

  test('writes after a dead letter or an unknown outcome count as lag too', async () => {
    const { lag, journal, write, first } = begin();
    await first('ann');
    const ref = await write('ann', 'applied');
    await journal.deadLetter({ ref, code: 'validation_error', reason: 'too_long' });
    await first('bob');
    await write('bob', 'applied');
    await journal.markDirty((await write('bob', 'unknown')).lane, 'unknown_outcome');
    expect(await lag()).toMatchObject({ writes: 3, lanes: 2 });
  });

  test('refused and open writes are not lag', async () => {
    const { lag, write, first } = begin();
    await first('ann');
    await write('ann', 'refused');
    await first('bob');
    await write('bob');
    expect(await lag()).toEqual({ writes: 0, lanes: 0, oldestSeconds: null });
  });
});
