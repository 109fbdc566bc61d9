import { expect, test } from 'vitest';
import { operationId } from '../../../src/domain/ids.ts';
import { createExplainStore } from '../../../src/storage/explain.ts';
import { onEachJournal } from './each-journal.ts';
import { beginJournal } from './journal-under-test.ts';

onEachJournal((database) => {
  async function begin() {
    const at = beginJournal(database());
    const store = createExplainStore(database());
    const refs = [
      await at.write('ann', 'applied'),
      await at.write('ann', 'applied'),
      await at.write('ann', 'applied'),
    ] as const;
    const newest = async () => {
      const [write] = await store.writes(at.laneOf('ann'), 1);
      if (write === undefined) throw new Error('nothing was written');
      return write;
    };
    return { ...at, store, refs, newest };
  }

  test('the first advance at or above a write shows its delivery', async () => {
    const { journal, store, refs, laneOf } = await begin();
    await journal.delivered(refs[1]);
    const writes = await store.writes(laneOf('ann'), 10);
    expect(writes.map(({ sequence, is_through, via }) => [sequence, is_through, via])).toEqual([
      [3, false, null],
      [2, true, 'delivery'],
      [1, true, 'delivery'],
    ]);
    const [, second, first] = writes;
    expect(second?.through_at).toBeInstanceOf(Date);
    expect(first?.through_at).toEqual(second?.through_at);
    await journal.delivered(refs[2]);
    const later = await store.writes(laneOf('ann'), 10);
    expect(later[1]?.through_at).toEqual(second?.through_at);
    expect(later[0]?.via).toBe('delivery');
  });

  test('copied and delivered writes are distinguished', async () => {
    const { journal, store, refs, laneOf, newest } = await begin();
    await journal.delivered(refs[0]);
    const { generation = 0 } = (await journal.beginCopy(laneOf('ann'))) ?? {};
    const copy = { generation, sequence: 3, coverage: 1, exceptions: [], closes: true };
    await journal.finishCopy(laneOf('ann'), copy);
    expect((await store.writes(laneOf('ann'), 10)).map(({ via }) => via)).toEqual([
      'copy',
      'copy',
      'delivery',
    ]);
    expect((await newest()).through_at).toBeInstanceOf(Date);
  });

  test('the ledgers keep an operation after the journal has removed it', async () => {
    const { journal, store, refs, newest } = await begin();
    const ref = refs[2];
    const id = operationId((await newest()).operation_id);
    expect(await store.write(id)).toMatchObject({ sequence: 3, outcome: 'applied', letter_code: null });
    await journal.deadLetter({ ref, code: 'validation_error', reason: 'too_long' });
    await database().query('delete from writes where lane_id = $1 and sequence = $2', [
      ref.laneId,
      ref.sequence,
    ]);
    expect(await store.write(id)).toMatchObject({
      operation_id: id,
      lane: ref.lane,
      action: 'add_memory',
      accepted_at: null,
      letter_code: 'validation_error',
      letter_attempts: 1,
      unknown_found_at: null,
    });
  });

  test('advances are removed with their writes', async () => {
    const { journal, refs } = await begin();
    await journal.delivered(refs[2]);
    const count = async () =>
      (await database().query('select from lane_advances where lane_id = $1', [refs[0].laneId])).length;
    expect(await count()).toBe(1);
    await journal.prune(1);
    expect(await count()).toBe(0);
  });
});
