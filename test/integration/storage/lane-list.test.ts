import { expect, test } from 'vitest';
import { createLaneList, type LaneQuery } from '../../../src/storage/lane-list.ts';
import { onEachJournal } from './each-journal.ts';
import { beginJournal } from './journal-under-test.ts';

onEachJournal((database) => {
  /** Three lanes: the oldest was written to last, and one has no write in the journal any more. */
  async function begin() {
    const { service, write, journal, laneOf } = beginJournal(database());
    await write('ann', 'applied');
    await write('bob', 'applied');
    await write('eve', 'applied');
    await write('ann', 'applied');
    const ages = { ann: 1, bob: 60 };
    for (const [owner, minutes] of Object.entries(ages))
      await database().query(
        `update writes set accepted_at = now() - make_interval(mins => $2) where lane_id = (select id from lanes where key = $1)`,
        [laneOf(owner), minutes],
      );
    await database().query('delete from writes where lane_id = (select id from lanes where key = $1)', [
      laneOf('eve'),
    ]);
    const query = { service, state: 'all', order: 'activity', offset: 0, limit: 10 } as const;
    const list = createLaneList(database());
    const owners = async (more: Partial<LaneQuery> = {}) =>
      (await list({ ...query, ...more })).map(({ owner }) => owner);
    return { owners, journal, laneOf, list: () => list(query) };
  }

  test('the last written lane is first, whenever it was created', async () => {
    const { owners, list } = await begin();
    expect(await owners()).toEqual(['ann', 'bob', 'eve']);
    const [ann, , eve] = await list();
    expect(Math.abs(Date.parse(ann?.last_write_at ?? '') - (Date.now() - 60_000))).toBeLessThan(30_000);
    expect(eve?.last_write_at).toBeNull();
  });

  test('lanes are listed in other orders, by state, and page by page', async () => {
    const { owners, journal, laneOf } = await begin();
    expect(await owners({ order: 'owner', limit: 2 })).toEqual(['ann', 'bob']);
    expect(await owners({ order: 'owner', limit: 2, offset: 2 })).toEqual(['eve']);
    expect(await owners({ order: 'writes', limit: 1 })).toEqual(['ann']);
    expect(await owners({ order: 'behind', limit: 1 })).toEqual(['ann']);
    await journal.stopLane(laneOf('bob'), 'lost');
    expect(await owners({ state: 'stopped' })).toEqual(['bob']);
    expect(await owners({ state: 'unwell' })).toEqual(['bob']);
    for (const state of ['dirty', 'copying', 'excepted', 'differs'] as const)
      expect(await owners({ state })).toEqual([]);
  });
});
