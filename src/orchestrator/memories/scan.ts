import { type Session, sqlstateOf } from '../../storage/database.ts';
import { prepared } from '../../storage/sessions/session.ts';
import { decodeCursor, encodeCursor, notOurs } from './cursor.ts';
import { VISIBLE } from './filter.ts';
import { LIMITS } from '../wire/limits.ts';
import { MEMORY_COLUMNS, type MemoryRow, renderMemory } from './read-memories.ts';
import type { Request } from '../wire/request.ts';
import { renderSession, SESSION_COLUMNS, type SessionRow } from '../sessions/sessions.ts';

/*
 * All pages of a scan belong to one snapshot: PostgreSQL's snapshot of the first page, stored in the cursor. No transaction stays open and
 * nothing is copied, so the old content of a changed row is not available. The transaction that wrote a row shows whether it changed:
 * - created after the snapshot: omitted;
 * - changed or moved after it: returned in its current state, marked `changed_since_snapshot`;
 * - deleted after it: omitted, or returned as a marked tombstone.
 * The last page reports in `consistent` whether any of this happened in the session. A caller that needs one snapshot then starts again.
 */

/** The start of the next page. */
interface Place {
  readonly snapshot: string | null;
  readonly position: number;
  readonly id: string;
}

const BEGINNING: Place = { snapshot: null, position: -1, id: '' };
// Invalid text for a type. Here it can only be the snapshot of the cursor.
const NO_SNAPSHOT = '22P02';
const SNAPSHOT = /^\d{1,19}:\d{1,19}:(?:\d{1,19}(?:,\d{1,19})*)?$/;

// xmin is the lower half of a transaction id. The oldest transaction of the snapshot completes it. A row that seems to be far in the future
// was written before the last wraparound.
const WRITTEN_SINCE = `(
  select lifted.id < pg_snapshot_xmax(pg_current_snapshot())::text::numeric
    and not pg_visible_in_snapshot(lifted.id::text::xid8, $1::pg_snapshot)
  from (select oldest + mod(m.xmin::text::numeric - mod(oldest, 4294967296) + 4294967296, 4294967296) as id
    from (select pg_snapshot_xmin($1::pg_snapshot)::text::numeric as oldest) snapshot) lifted)`;

// Every copy of a lane uses it, and planning takes longer than execution.
const PAGE = prepared(`
with page as materialized (
  select ${MEMORY_COLUMNS}, m.position as stored_position, m.lane_key, ${VISIBLE} as is_active, m.deleted_at,
    m.deleted_generation, m.deleted_sequence, $1::text is not null and ${WRITTEN_SINCE} as changed_since_snapshot
  from memory_entries m
  where m.session_id = $2 and (m.position, m.memory_id) > ($3::bigint, $4::text) and ($5::boolean or ${VISIBLE})
    and ($1::text is null or m.version > 1 or not ${WRITTEN_SINCE})
  order by m.position, m.memory_id limit $6
), fitting as (
  select *, octet_length(content) as bytes, sum(octet_length(content)) over (order by stored_position, memory_id) as bytes_so_far
  from page
)
select (select count(*) from page) as found, coalesce($1, pg_current_snapshot()::text) as snapshot,
  coalesce(pg_snapshot_xmax($1::pg_snapshot) > pg_snapshot_xmax(pg_current_snapshot()), false) as is_foreign,
  $1::text is null or (select count(*) from page) = $6
    or not exists (select from memory_entries m where m.session_id = $2 and ${WRITTEN_SINCE}) as consistent,
  fitting.* from (values (1)) one left join fitting on bytes_so_far - bytes < ${LIMITS.pageBytes}
order by stored_position, memory_id`);

const SESSION = prepared(`select ${SESSION_COLUMNS} from sessions s where s.session_id = $1`);

interface ScanRow extends MemoryRow {
  /** Number of rows found, including those left to the next page because of their size. */
  readonly found: number;
  readonly snapshot: string;
  /** The snapshot is in the future, so the cursor is from another database, or from before a restore. */
  readonly is_foreign: boolean;
  readonly consistent: boolean;
  /** Null in the single row of an empty page. */
  readonly memory_id: string | null;
  readonly stored_position: number;
  readonly changed_since_snapshot: boolean;
}

/** Reads a whole session in the order of positions, page by page. */
export async function scan(session: Session, request: Request<'scan'>): Promise<object> {
  const { payload, sessionId } = request;
  const limit = payload.limit ?? LIMITS.pageDefault;
  const [rows, [found]] = await Promise.all([
    pageOf(session, request, limit + 1),
    session.query<SessionRow>(SESSION, [sessionId]),
  ]);
  const items = rows.filter(({ memory_id }) => memory_id !== null);
  const page = items.slice(0, limit);
  const last = page.at(-1);
  const isLast = last === undefined || (rows[0]?.found ?? 0) <= page.length;
  return {
    session: found === undefined ? null : renderSession(found),
    items: page.map(renderItem),
    next_cursor: isLast ? undefined : cursorOf(last),
    consistent: isLast ? (rows[0]?.consistent ?? true) : undefined,
  };
}

async function pageOf(
  session: Session,
  { payload, sessionId }: Request<'scan'>,
  rowsWanted: number,
): Promise<ScanRow[]> {
  const place = payload.cursor === undefined ? BEGINNING : placeOf(payload.cursor);
  const { snapshot, position, id } = place;
  const values = [snapshot, sessionId, position, id, payload.include_deleted === true, rowsWanted];
  const rows = await session.query<ScanRow>(PAGE, values).catch((error: unknown) => {
    throw sqlstateOf(error) === NO_SNAPSHOT ? notOurs() : error;
  });
  if (rows[0]?.is_foreign === true) throw notOurs();
  return rows;
}

function renderItem(row: ScanRow): object {
  const { found: _found, snapshot: _, is_foreign: _foreign, consistent: _consistent, ...shown } = row;
  const { bytes: _own, bytes_so_far: _all, ...stored } = shown;
  const { stored_position: _stored, changed_since_snapshot: changed, ...memory } = stored;
  return { ...renderMemory(memory), changed_since_snapshot: changed ? true : undefined };
}

function cursorOf({ snapshot, stored_position, memory_id }: ScanRow): string {
  return encodeCursor([snapshot, stored_position, memory_id ?? '']);
}

function placeOf(cursor: string): Place {
  const [snapshot, position, id] = decodeCursor<[string, number, string]>(cursor, [
    'string',
    'number',
    'string',
  ]);
  if (!SNAPSHOT.test(snapshot)) throw notOurs();
  return { snapshot, position, id };
}
