import { NotFoundError, ValidationError } from '../../domain/errors.ts';
import { Json } from '../../domain/json.ts';
import type { VaultSession as Session } from '../encryption/vault-session.ts';
import { conditionOf, FILTERS, Parameters, VISIBLE } from './filter.ts';
import type { Request } from '../wire/request.ts';
import { parseOptionalTime } from '../wire/times.ts';

// The original client sends its own `metadata` next to the filter.
const MISPLACED = ['filters', ...FILTERS.filter((name) => name !== 'metadata')];

/**
 * Deletes the selected memories of one session, or all of them without a filter. With `filter.user_id` and without a session it covers all
 * sessions of that user. The rows stay as tombstones. In a fenced write an unknown session counts as empty, because the fence must still
 * rise. Otherwise a late earlier write could create the deleted memories again. @throws NotFoundError
 */
export async function bulkDelete(session: Session, request: Request<'bulk_delete'>): Promise<object> {
  const { payload, raw, sessionId, lane } = request;
  refuseMisplaced(payload);
  const parameters = new Parameters();
  const known = parameters.bind(sessionId);
  const at = parameters.bind(parseOptionalTime(payload.updated_at, 'updated_at'));
  const filter = payload.filter ?? {};
  const condition = conditionOf(
    { sessionId, filter, rawFilter: raw['filter'], vault: session.vault },
    parameters,
  );
  const [row] = await session.query<{ is_known: boolean; deleted: number }>(
    `with deleted as (
       update memory_entries m set is_active = false, deleted_at = coalesce(${at}::timestamptz, now()),
         updated_at = coalesce(${at}::timestamptz, now()), version = m.version + 1,
         deleted_generation = ${parameters.bind(lane?.generation)}::bigint,
         deleted_sequence = ${parameters.bind(lane?.sequence)}::bigint
       where ${condition} and ${VISIBLE} returning 1)
     select ${known}::text = '' or exists (select from sessions where session_id = ${known}) as is_known,
       (select count(*) from deleted) as deleted`,
    parameters.values,
  );
  if (row?.is_known !== true && lane === undefined)
    throw new NotFoundError('Unknown session', {
      code: 'session_not_found',
      details: { session_id: sessionId },
    });
  return { deleted_count: row?.deleted ?? 0, filter_applied: new Json(raw['filter'] ?? '{}') };
}

/** A condition outside the filter would have no effect, and the whole session would be deleted. */
function refuseMisplaced(payload: object): void {
  const field = MISPLACED.find((name) => Object.hasOwn(payload, name));
  if (field !== undefined)
    throw new ValidationError(`unknown member ${field}: put conditions into filter`, {
      details: { field },
    });
}
