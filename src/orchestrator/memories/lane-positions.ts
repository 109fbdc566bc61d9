import type { Session } from '../../storage/database.ts';
import type { Request } from '../wire/request.ts';
import { UNDER_COPY } from './fence.ts';

const POSITIONS = `
select key, epoch, generation, nullif(sequence, ${UNDER_COPY}) as sequence, set_by, operation_id
from memory_lanes where key = any($1::text[]) order by key`;

/** Where the known ones of the given lanes are, to compare them with the caller's record. */
export async function lanePositions(
  session: Session,
  { payload }: Request<'lane_positions'>,
): Promise<object> {
  return { lanes: await session.query(POSITIONS, [payload.keys]) };
}
