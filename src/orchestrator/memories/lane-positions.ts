import { ValidationError } from '../../domain/errors.ts';
import type { Session } from '../../storage/database.ts';
import { LIMITS } from '../wire/limits.ts';
import type { Request } from '../wire/request.ts';
import { UNDER_COPY } from './fence.ts';

const SHOWN = `key, epoch, generation, nullif(sequence, ${UNDER_COPY}) as sequence, set_by, operation_id`;

const OF_KEYS = `select ${SHOWN} from memory_lanes where key = any($1::text[]) order by key`;

const MOVED = `
select ${SHOWN} from memory_lanes where epoch > 0 and key > $1 order by key limit ${LIMITS.pageMax}`;

/** Another text after the database server was started again, or after the table was restored. */
const DATABASE = `
select pg_postmaster_start_time()::text || '/' || 'memory_lanes'::regclass::oid as database`;

/**
 * Where the known ones of the given lanes are, to compare them with the caller's record. Or a page of the lanes whose writes have
 * ever moved, because the caller's record of them may be gone.
 */
export async function lanePositions(
  session: Session,
  { payload: { keys, moved_after: after } }: Request<'lane_positions'>,
): Promise<object> {
  if ((keys === undefined) === (after === undefined))
    throw new ValidationError('lane_positions needs either keys or moved_after', {
      details: { field: keys === undefined ? 'keys' : 'moved_after' },
    });
  const [instance] = await session.query<{ database: string }>(DATABASE);
  const lanes =
    after === undefined ? await session.query(OF_KEYS, [keys]) : await session.query(MOVED, [after]);
  return { lanes, database: instance?.database };
}
