import { expect, test } from 'vitest';
import type { LaneKey } from '../../../src/domain/ids.ts';
import type { Position } from '../../../src/engine/ports/restored-ports.ts';
import { createRestoredStore } from '../../../src/storage/restored-lanes.ts';
import { onEachJournal } from './each-journal.ts';
import { beginJournal } from './journal-under-test.ts';

const BY = { person: 'ann', reason: 'restored' };
const AT = (sequence: number, epoch = 1): Position => ({ epoch, generation: 0, sequence });

onEachJournal((database) => {
  const begin = () => ({ store: createRestoredStore(database()), ...beginJournal(database()) });

  async function moved({ write, laneOf }: ReturnType<typeof begin>, owner: string): Promise<LaneKey> {
    await write(owner, 'applied');
    await database().query(
      `update lanes set primary_backend = 'orchestrator', epoch = 1, obeyed_sequence = sequence where key = $1`,
      [laneOf(owner)],
    );
    return laneOf(owner);
  }

  test('a mark is moved on once an hour', async () => {
    const subject = begin();
    const { store } = subject;
    const lane = await moved(subject, 'a');
    await store.mark([{ lane, ...AT(5) }]);
    await database().query(`update orchestrator_marks set at = now() - interval '2 hours'`);
    await store.mark([{ lane, ...AT(4) }]);
    expect(await store.positions([lane])).toMatchObject([{ mark: AT(5) }]);
    await store.mark([{ lane, ...AT(6) }]);
    expect(await store.positions([lane])).toMatchObject([{ mark: AT(6) }]);
  });

  test('writes of a moved lane stay in the journal until a verified backup is younger', async () => {
    const subject = begin();
    const { store, journal, write, laneOf } = subject;
    const ref = await write('a', 'applied');
    await write('a', 'applied');
    await moved(subject, 'a');
    await journal.delivered(ref);
    await journal.drain();
    const kept = async (): Promise<number> => {
      const [row] = await database().query<{ count: number }>(
        `select count(*) as count from writes w join lanes l on l.id = w.lane_id where l.key = $1`,
        [laneOf('a')],
      );
      return row?.count ?? 0;
    };
    await journal.prune(24);
    expect(await kept()).toBe(3);
    await store.backedUp(Date.now(), BY);
    await journal.prune(24);
    expect(await kept()).toBe(2);
  });
});
