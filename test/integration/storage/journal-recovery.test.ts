import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import type { Database } from '../../../src/storage/database.ts';
import { startPostgres, type TestPostgres } from '../../support/postgres.ts';
import { beginJournal, createJournalDatabase, present } from './journal-under-test.ts';
import { DATABASES } from '../../support/tier.ts';

let postgres: TestPostgres;
beforeAll(async () => {
  postgres = await startPostgres();
});
afterAll(() => postgres.stop());

describe.each(DATABASES)('the journal on %s', (kind) => {
  let database: Database;
  beforeAll(async () => {
    database = await createJournalDatabase(kind, postgres);
  });
  afterAll(() => database.close());
  const begin = () => beginJournal(database);

  describe('a start after a crash', () => {
    const cases = [
      { name: 'an intent without an outcome', outcome: undefined, isDirty: true, isPending: false },
      { name: 'an unknown outcome', outcome: 'unknown', isDirty: true, isPending: false },
      { name: 'a refused write', outcome: 'refused', isDirty: false, isPending: false },
      { name: 'a write that was not sent', outcome: 'not_applied', isDirty: false, isPending: false },
      { name: 'an applied write', outcome: 'applied', isDirty: false, isPending: true },
    ] as const;
    test.each(cases)('after $name', async ({ outcome, isDirty, isPending }) => {
      const { open, write, laneOf } = begin();
      await write('ann', outcome);
      const found = await open().recover();
      expect(found.dirty.includes(laneOf('ann'))).toBe(isDirty);
      const waits = found.pending.filter(({ lane }) => lane === laneOf('ann'));
      expect(waits).toEqual(isPending ? [{ lane: laneOf('ann'), newest: 1 }] : []);
      const state = (await open().lanes([laneOf('ann')])).get(laneOf('ann'));
      expect(state).toMatchObject({
        condition: isDirty ? 'dirty' : 'clean',
        reason: isDirty ? 'unsettled' : '',
      });
    });

    test('lanes of services that the replica does not serve are ignored', async () => {
      const [ours, theirs] = [begin(), begin()];
      await ours.write('ann', 'applied');
      await theirs.write('ann', 'applied');
      await theirs.write('bob', 'unknown');
      await theirs.write('eve');
      const found = await ours.open([ours.service]).recover();
      expect(found.pending.map(({ lane }) => lane)).toEqual([ours.laneOf('ann')]);
      expect([...found.dirty, ...found.unclosed].filter((lane) => lane.startsWith(theirs.service))).toEqual(
        [],
      );
      expect(await theirs.state('eve')).toMatchObject({ condition: 'clean' });
      const later = await theirs.open([theirs.service]).recover();
      expect(later.pending.map(({ lane }) => lane)).toEqual([theirs.laneOf('ann')]);
      expect([...later.dirty].toSorted()).toEqual([theirs.laneOf('bob'), theirs.laneOf('eve')]);
    });

    test('during a copy makes the lane dirty, with the new generation', async () => {
      const { journal, open, write, laneOf } = begin();
      await write('ann', 'applied');
      present(await journal.beginCopy(laneOf('ann')));
      const later = open();
      expect((await later.recover()).dirty).toContain(laneOf('ann'));
      expect((await later.lanes([laneOf('ann')])).get(laneOf('ann'))).toMatchObject({
        condition: 'dirty',
        reason: 'copy_interrupted',
        generation: 1,
      });
      expect(await later.beginCopy(laneOf('ann'))).toMatchObject({ generation: 2, condition: 'copying' });
    });

    test('ignores a lane whose copy has settled the uncertain writes', async () => {
      const { journal, open, write, laneOf } = begin();
      await write('ann', 'applied');
      await write('ann', 'unknown');
      await write('ann');
      const { generation } = present(await journal.beginCopy(laneOf('ann')));
      await journal.finishCopy(laneOf('ann'), { generation, sequence: 3, coverage: 2, exceptions: [] });
      const found = await open().recover();
      expect(found.dirty).not.toContain(laneOf('ann'));
      expect(found.pending).not.toContain(laneOf('ann'));
    });

    test('twice finds the same', async () => {
      const { open, write } = begin();
      await write('ann');
      await write('bob', 'applied');
      const first = await open().recover();
      expect(await open().recover()).toEqual(first);
    });

    test('ignores a lane that waits for a person', async () => {
      const { journal, open, write, laneOf } = begin();
      await write('ann');
      await journal.stopLane(laneOf('ann'), 'lost');
      await journal.markDirty(laneOf('ann'), 'unknown_outcome');
      expect((await open().recover()).dirty).not.toContain(laneOf('ann'));
      expect((await open().lanes([laneOf('ann')])).get(laneOf('ann'))).toMatchObject({
        condition: 'stopped',
        reason: 'lost',
      });
    });
  });
});
