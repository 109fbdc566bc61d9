import type { Call } from '../call.ts';
import { judge } from './fence.ts';
import { keptAnswer, keptOut, lockLane, numberedLane, raiseEpoch, setLane } from './lane-row.ts';
import { retried } from './write.ts';

/**
 * Takes a sequence of a lane, so that the write with this sequence can never take effect later. If it has taken effect before, the answer
 * reports it. A write that runs at the same time either commits first, or finds the sequence taken.
 */
export async function closeSequence({ parts, request }: Call<'close_sequence'>): Promise<object> {
  const lane = numberedLane(request);
  return retried(() =>
    parts.database.transaction(async (session) => {
      const row = await lockLane(session, lane);
      const { verdict, place } = judge(row, lane);
      if (verdict === 'applied') {
        await setLane(session, lane, { ...place, setBy: 'close' });
        return { closed: true };
      }
      if (place.epoch !== row.epoch) await raiseEpoch(session, lane, place.epoch);
      if (verdict === 'superseded' || lane.sequence < row.sequence) return keptOut(row, lane);
      if (row.setBy === 'close') return { closed: true };
      const { setBy: set_by, operationId: operation_id } = row;
      return { closed: false, set_by, operation_id, ...keptAnswer(row) };
    }),
  );
}
