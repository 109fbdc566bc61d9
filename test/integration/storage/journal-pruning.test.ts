import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import type { Database } from '../../../src/storage/database.ts';
import { PostgresKeptReplies } from '../../../src/storage/journal/kept-replies.ts';
import { PLAIN } from '../../../src/storage/seal.ts';
import { startPostgres, type TestPostgres } from '../../support/postgres.ts';
import { beginJournal, createJournalDatabase, present } from './journal-under-test.ts';
import { DATABASES } from '../../support/tier.ts';

let postgres: TestPostgres;
beforeAll(async () => {
  postgres = await startPostgres();
});
afterAll(() => postgres.stop());

describe.each(DATABASES)('in the journal on %s', (kind) => {
  let database: Database;
  beforeAll(async () => {
    database = await createJournalDatabase(kind, postgres);
  });
  afterAll(() => database.close());
  const begin = () => beginJournal(database);

  describe('an old write', () => {
    const agedOf = async (laneId: number): Promise<void> => {
      await database.query("update writes set accepted_at = now() - interval '2 hours' where lane_id = $1", [
        laneId,
      ]);
    };
    const leftOf = async (laneId: number): Promise<number[]> => {
      const rows = await database.query<{ sequence: number }>(
        'select sequence from writes where lane_id = $1 order by sequence',
        [laneId],
      );
      return rows.map(({ sequence }) => sequence);
    };

    test('is removed even without deliveries, except the newest of its lane', async () => {
      const { journal, open, write, laneOf } = begin();
      await write('ann', 'refused');
      await write('ann', 'not_applied');
      const { laneId } = await write('ann', 'refused');
      await agedOf(laneId);
      await journal.prune(1);
      expect(await leftOf(laneId)).toEqual([3]);
      expect(await open().hold(laneOf('ann'), 0)).toMatchObject({ sequence: 3 });
    });

    test('limits no time when it has left, but the next one does', async () => {
      const { journal, write, laneOf } = begin();
      const first = await write('ann', 'applied');
      await journal.delivered({ ...first, lane: laneOf('ann') });
      await agedOf(first.laneId);
      const { sequence } = await write('ann', 'applied');
      const before = await journal.lastApplied(laneOf('ann'));
      await journal.prune(1);
      const after = await journal.lastApplied(laneOf('ann'));
      expect(before.first?.sequence).toBe(first.sequence);
      expect(after.first).toMatchObject({ sequence, atMs: after.atMs });
    });

    test('stays while an applied write before it waits', async () => {
      const { journal, write } = begin();
      await write('ann', 'applied');
      const { laneId } = await write('ann', 'applied');
      await agedOf(laneId);
      await journal.prune(1);
      expect(await leftOf(laneId)).toEqual([1, 2]);
    });

    test('stays while its dead letter is open, even after a copy', async () => {
      const { journal, write, laneOf } = begin();
      const refused = await write('ann', 'applied');
      await write('ann', 'applied');
      await journal.deadLetter({ ref: refused, code: 'validation_error', reason: 'too_long' });
      await journal.delivered({ laneId: refused.laneId, lane: laneOf('ann'), sequence: 2 });
      await agedOf(refused.laneId);
      await journal.prune(1);
      expect(await leftOf(refused.laneId)).toEqual([1]);
      await database.query('update dead_letters set resolved_at = now() where lane_id = $1', [
        refused.laneId,
      ]);
      await journal.prune(1);
      expect(await leftOf(refused.laneId)).toEqual([]);
    });

    test('stays while an earlier write may still take effect', async () => {
      const { journal, write, laneOf } = begin();
      await write('ann', 'applied');
      await write('ann', 'unknown');
      const { laneId } = await write('ann', 'applied');
      await journal.delivered({ laneId, lane: laneOf('ann'), sequence: 3 });
      await agedOf(laneId);
      await journal.prune(1);
      expect(await leftOf(laneId)).toEqual([2, 3]);
      await database.query("update outcomes set at = now() - interval '3 minutes' where lane_id = $1", [
        laneId,
      ]);
      await database.query(
        "update unknown_outcomes set found_at = now() - interval '3 minutes' where lane_id = $1",
        [laneId],
      );
      await journal.prune(1);
      expect(await leftOf(laneId)).toEqual([]);
    });

    test('stays while it may take effect or be repeated, whatever its time stamp', async () => {
      const { journal, write, laneOf } = begin();
      const kept = new PostgresKeptReplies({ database, seal: PLAIN });
      const unknown = await write('ann', 'unknown');
      await kept.keep(await write('ann', 'applied'), { body: Buffer.from('{}') });
      await write('ann', 'applied');
      const { generation } = present(await journal.beginCopy(laneOf('ann')));
      await journal.finishCopy(laneOf('ann'), { generation, sequence: 3, coverage: 1, exceptions: [] });
      await agedOf(unknown.laneId);
      await journal.prune(1);
      expect(await leftOf(unknown.laneId)).toEqual([1, 2, 3]);
      await database.query(
        "update unknown_outcomes set found_at = now() - interval '3 minutes' where lane_id = $1",
        [unknown.laneId],
      );
      await journal.prune(1);
      expect(await leftOf(unknown.laneId)).toEqual([1, 2]);
      await database.query("update outcomes set at = now() - interval '3 minutes' where lane_id = $1", [
        unknown.laneId,
      ]);
      await database.query('delete from kept_replies where lane_id = $1', [unknown.laneId]);
      await journal.prune(1);
      expect(await leftOf(unknown.laneId)).toEqual([]);
    });
  });
});
