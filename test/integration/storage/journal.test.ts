import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { serviceName } from '../../../src/domain/ids.ts';
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

  describe('the pending deliveries', () => {
    test('are all applied writes, in sequence, and no others', async () => {
      const { journal, write, pending, laneOf } = begin();
      const outcomes = [
        'applied',
        'refused',
        'applied',
        'unknown',
        'not_applied',
        undefined,
        'applied',
      ] as const;
      const refs = [];
      for (const outcome of outcomes) refs.push(await write('ann', outcome));
      // Nothing behind the write whose outcome is not durable yet.
      expect(await pending('ann')).toEqual([1, 3]);
      expect(await pending('ann', 1)).toEqual([3]);
      expect(await pending('ann', 0, 1)).toEqual([1]);
      const maybe = await journal.undelivered(laneOf('ann'), 6);
      expect(maybe.map(({ sequence }) => sequence)).toEqual([1, 3, 4, 6]);
      const open = refs.at(-2);
      if (open !== undefined) await journal.recordOutcome({ ref: open, outcome: 'not_applied' });
      expect(await pending('ann')).toEqual([1, 3, 7]);
    });

    test('exclude recorded deliveries, in any order of the records', async () => {
      const { journal, write, pending, state, laneOf } = begin();
      const refs = [];
      for (let count = 0; count < 5; count += 1) refs.push(await write('ann', 'applied'));
      const [first, , third] = refs;
      if (first === undefined || third === undefined) throw new Error('A write is missing');
      await Promise.all([journal.delivered(third), journal.delivered(first)]);
      await journal.delivered(first);
      expect(await state('ann')).toMatchObject({ deliveredSequence: 3 });
      expect(await pending('ann')).toEqual([4, 5]);
      const maybe = await journal.undelivered(laneOf('ann'), 100);
      expect(maybe.map(({ sequence }) => sequence)).toEqual([4, 5]);
    });

    test('keeps its first outcome', async () => {
      const { journal, write, pending } = begin();
      const ref = await write('ann', 'applied');
      await journal.recordOutcome({ ref, outcome: 'refused' });
      expect(await pending('ann')).toEqual([1]);
    });

    test('are durable when settling resolves', async () => {
      const { open, write, laneOf } = begin();
      await write('ann', 'applied', { seedsUnder: 4 });
      const later = open();
      expect((await later.lanes([laneOf('ann')])).get(laneOf('ann'))).toMatchObject({ seededCoverage: 4 });
      expect(await later.pending(laneOf('ann'), 0, { writes: 10, bytes: 1_000_000 })).toHaveLength(1);
    });
  });

  describe('a copy', () => {
    test('creates a lane without writes', async () => {
      const { journal, laneOf, state } = begin();
      present(await journal.beginCopy(laneOf('with/slash')));
      expect(await state('with/slash')).toMatchObject({ sequence: 0, generation: 1, condition: 'copying' });
      const rows = await database.query<{ owner: string }>('select owner from lanes where key = $1', [
        laneOf('with/slash'),
      ]);
      expect(rows).toEqual([{ owner: 'with/slash' }]);
    });

    test('covers the writes that it read, and later ones wait for delivery', async () => {
      const { journal, write, state, pending, laneOf } = begin();
      for (let count = 0; count < 3; count += 1) await write('ann', 'applied');
      const { generation } = present(await journal.beginCopy(laneOf('ann')));
      await write('ann', 'applied');
      await journal.finishCopy(laneOf('ann'), { generation, sequence: 3, coverage: 5, exceptions: [] });
      expect(await state('ann')).toMatchObject({
        condition: 'clean',
        seededCoverage: 5,
        deliveredSequence: 3,
        sequence: 4,
      });
      expect(await pending('ann')).toEqual([4]);
    });

    test('does not settle uncertain writes after its read', async () => {
      const { journal, open, write, laneOf } = begin();
      await write('ann');
      const { generation } = present(await journal.beginCopy(laneOf('ann')));
      await write('ann');
      await journal.finishCopy(laneOf('ann'), { generation, sequence: 1, coverage: 1, exceptions: [] });
      expect((await open().recover()).dirty).toContain(laneOf('ann'));
    });

    test('of an older generation finishes nothing', async () => {
      const { journal, state, laneOf } = begin();
      const { generation } = present(await journal.beginCopy(laneOf('ann')));
      present(await journal.beginCopy(laneOf('ann')));
      const finished = { generation, sequence: 9, coverage: 9, exceptions: [] };
      expect(await journal.finishCopy(laneOf('ann'), finished)).toBeUndefined();
      expect(await state('ann')).toMatchObject({
        condition: 'copying',
        seededCoverage: 0,
        deliveredSequence: 0,
      });
    });

    test('lists exceptions until a complete copy, or until a person accepts them', async () => {
      const { journal, service, state, laneOf } = begin();
      const refused = ['one', 'two'].map((item) => ({
        item,
        action: 'create',
        code: 'v',
        reason: 'content',
      }));
      const copy = async (exceptions: typeof refused) => {
        const { generation } = present(await journal.beginCopy(laneOf('ann')));
        await journal.finishCopy(laneOf('ann'), { generation, sequence: 0, coverage: 1, exceptions });
        return (await state('ann'))?.exceptions;
      };
      expect(await copy(refused)).toBe(2);
      expect(await journal.counts(service)).toMatchObject({ lanes: 1, excepted: 1 });
      await database.query(
        `update lane_exceptions set accepted_at = now() where item = 'one'
        and lane_id = (select id from lanes where key = $1)`,
        [laneOf('ann')],
      );
      expect(await copy(refused)).toBe(1);
      expect(await copy(refused.slice(0, 1))).toBe(0);
      expect(await copy(refused.slice(1))).toBe(1);
      expect(await copy([])).toBe(0);
      expect(await journal.counts(service)).toMatchObject({ lanes: 1, excepted: 0 });
    });

    test('keeps a lane dirty that became dirty during the copy', async () => {
      const { journal, state, laneOf } = begin();
      const { generation } = present(await journal.beginCopy(laneOf('ann')));
      await journal.markDirty(laneOf('ann'), 'unknown_outcome');
      await journal.finishCopy(laneOf('ann'), { generation, sequence: 0, coverage: 1, exceptions: [] });
      expect(await state('ann')).toMatchObject({ condition: 'dirty', reason: 'unknown_outcome' });
    });
  });

  test('lanes of a service are counted by condition', async () => {
    const { journal, service, write, laneOf } = begin();
    const [row] = await database.query<{ number: number }>(
      'insert into coverage (service) values ($1) returning number',
      [service],
    );
    const coverage = row?.number ?? 0;
    await write('seeded', 'applied', { seedsUnder: coverage });
    await write('seeded before', 'applied', { seedsUnder: coverage - 1 });
    await journal.markDirty((await write('dirty')).lane, 'unknown_outcome');
    present(await journal.beginCopy(laneOf('copying')));
    await journal.stopLane((await write('stopped')).lane, 'lost');
    const ref = await write('refused', 'applied');
    await journal.deadLetter({ ref, code: 'validation_error', reason: '' });
    await journal.deadLetter({ ref, code: 'validation_error', reason: 'again' });
    await database.query(
      `insert into lost_items (service, owner, memory_id, digest, decision)
      values ($1, 'ann', 'm-1', '', null), ($1, 'ann', 'm-2', '', 'accepted')`,
      [service],
    );
    expect(await journal.counts(service)).toEqual({
      lanes: 6,
      flipped: 0,
      seeded: 1,
      dirty: 1,
      copying: 1,
      stopped: 1,
      excepted: 0,
      differs: 0,
      legacyDiffers: 0,
      differsSince: null,
      deadLetters: 1,
      unknown: 0,
      lostItems: 1,
      restored: 0,
      lostSince: expect.any(Date) as Date,
    });
    expect(await journal.counts(serviceName('never-seen'))).toMatchObject({ lanes: 0, deadLetters: 0 });
  });

  test('only old, delivered writes without a dead letter are pruned', async () => {
    const { journal, write, pending, laneOf } = begin();
    const waiting = await write('ann', 'applied');
    const through = await write('bob', 'applied');
    await journal.delivered(through);
    const refused = await write('eve', 'applied');
    await journal.deadLetter({ ref: refused, code: 'validation_error', reason: '' });
    await journal.delivered(refused);
    const lanes = [waiting, through, refused].map(({ laneId }) => laneId);
    const left = async () =>
      (
        await database.query<{ lane_id: number }>(
          'select lane_id from writes where lane_id = any($1::bigint[]) order by lane_id',
          [lanes],
        )
      ).map((row) => row.lane_id);
    await database.query(
      "update writes set accepted_at = now() - interval '2 hours' where lane_id = any($1::bigint[])",
      [lanes],
    );
    await journal.prune(3);
    expect(await left()).toEqual(lanes);
    await journal.prune(1);
    expect(await left()).toEqual([waiting.laneId, refused.laneId]);
    expect(await pending('ann')).toEqual([1]);
    const outcomes = await database.query('select from outcomes where lane_id = $1', [through.laneId]);
    expect(outcomes).toEqual([]);
    expect(await journal.undelivered(laneOf('bob'), 10)).toEqual([]);
  });

  test('a lane without writes after pruning can be written and held', async () => {
    const { journal, open, write, intent, laneOf } = begin();
    const ref = await write('ann', 'applied');
    await journal.delivered(ref);
    await database.query("update writes set accepted_at = now() - interval '2 hours' where lane_id = $1", [
      ref.laneId,
    ]);
    await journal.prune(1);
    const [next, other] = [open(), open()];
    expect(await next.hold(laneOf('ann'), 0)).toMatchObject({ sequence: 1 });
    expect(await next.append(intent('ann'))).toMatchObject({ sequence: 2 });
    expect(await other.append(intent('ann'))).toBeUndefined();
  });

  test('draining writes all pending entries', async () => {
    const { journal, open, write, laneOf } = begin();
    const ref = await write('ann');
    void journal.recordOutcome({ ref, outcome: 'applied' });
    void journal.delivered(ref);
    await journal.drain();
    expect((await open().lanes([laneOf('ann')])).get(laneOf('ann'))).toMatchObject({ deliveredSequence: 1 });
    expect((await open().recover()).dirty).not.toContain(laneOf('ann'));
  });
});
