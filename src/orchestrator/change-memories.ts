import { type CrossfadeError, NotFoundError, ValidationError } from '../domain/errors.ts';
import { Json } from '../domain/json.ts';
import type { Session } from '../storage/database.ts';
import { contentOf } from './create-memories.ts';
import { conditionOf, Parameters, VISIBLE } from './filter.ts';
import type { Request } from './request.ts';
import { parseOptionalTime } from './times.ts';

const FOUND = `m.memory_id = $1 and m.session_id = $2 and ${VISIBLE}`;

const UPDATE = `
update memory_entries m set
  content = coalesce($3::jsonb, m.content), escaped = coalesce($4::boolean, m.escaped), tags = coalesce($5::text[], m.tags),
  priority = coalesce($6::int, m.priority), position = coalesce($7::bigint, m.position),
  created_at = coalesce($8::timestamptz, m.created_at), updated_at = coalesce($9::timestamptz, now()), version = m.version + 1,
  expires_at = case when $10::boolean then coalesce($11::timestamptz, now() + $12::float8 * interval '1 second') else m.expires_at end
where ${FOUND} and ($13::int is null or m.version = $13)
returning m.memory_id, m.updated_at, m.expires_at, m.version`;

interface UpdatedRow {
  readonly memory_id: string;
  readonly updated_at: Date;
  readonly expires_at: Date | null;
  readonly version: number;
}

/** Keys that are left out keep their value; content and tags replace; a null ttl or expires_at removes the expiry. */
export async function updateMemory(session: Session, request: Request<'update'>): Promise<object> {
  const { payload, sessionId } = request;
  const content = payload.content === undefined ? undefined : contentOf(request);
  const [row] = await session.query<UpdatedRow>(UPDATE, [
    payload.memory_id,
    sessionId,
    content?.json.text,
    content?.escaped,
    payload.tags,
    payload.priority,
    payload.position,
    parseOptionalTime(payload.created_at, 'created_at'),
    parseOptionalTime(payload.updated_at, 'updated_at'),
    payload.ttl !== undefined || payload.expires_at !== undefined,
    parseOptionalTime(payload.expires_at, 'expires_at'),
    payload.ttl,
    payload.if_version,
  ]);
  if (row === undefined) throw await refusalOf(session, request);
  return {
    memory_id: row.memory_id,
    updated_at: row.updated_at.toISOString(),
    expires_at: row.expires_at?.toISOString() ?? null,
    version: row.version,
  };
}

// The row stays as the memory's tombstone, with the place of its delete in the lane, until it is purged.
function markDeleted(at: string, generation: string, sequence: string): string {
  return `update memory_entries m set is_active = false, deleted_at = coalesce(${at}::timestamptz, now()),
    updated_at = coalesce(${at}::timestamptz, now()), deleted_generation = ${generation}::bigint,
    deleted_sequence = ${sequence}::bigint, version = m.version + 1`;
}

const DELETE = `${markDeleted('$3', '$4', '$5')} where ${FOUND} and ($6::int is null or m.version = $6) returning 1`;

export async function deleteMemory(session: Session, request: Request<'delete'>): Promise<object> {
  const { payload, sessionId, lane } = request;
  const rows = await session.query(DELETE, [
    payload.memory_id,
    sessionId,
    parseOptionalTime(payload.updated_at, 'updated_at'),
    lane?.generation,
    lane?.sequence,
    payload.if_version,
  ]);
  if (rows.length === 0) throw await refusalOf(session, request);
  return { deleted: true };
}

/** Deletes what the filter selects in one session; without a filter everything. @throws NotFoundError for an unknown session */
export async function deleteMemories(session: Session, request: Request<'bulk_delete'>): Promise<object> {
  const { payload, raw, sessionId, lane } = request;
  const parameters = new Parameters();
  const known = parameters.bind(sessionId);
  const marked = markDeleted(
    parameters.bind(parseOptionalTime(payload.updated_at, 'updated_at')),
    parameters.bind(lane?.generation),
    parameters.bind(lane?.sequence),
  );
  const filter = payload.filter ?? {};
  const condition = conditionOf({ sessionId, filter, rawFilter: raw['filter'] }, parameters);
  const [row] = await session.query<{ sessions: number; deleted: number }>(
    `with deleted as (${marked} where ${condition} and ${VISIBLE} returning 1)
     select (select count(*) from sessions where session_id = ${known}) as sessions, (select count(*) from deleted) as deleted`,
    parameters.values,
  );
  if (row?.sessions !== 1)
    throw new NotFoundError('Unknown session', {
      code: 'session_not_found',
      details: { session_id: sessionId },
    });
  return { deleted_count: row.deleted, filter_applied: new Json(raw['filter'] ?? '{}') };
}

async function refusalOf(
  session: Session,
  { payload, sessionId }: Request<'update'> | Request<'delete'>,
): Promise<CrossfadeError> {
  const [row] = await session.query<{ version: number }>(
    `select version from memory_entries m where ${FOUND}`,
    [payload.memory_id, sessionId],
  );
  if (row === undefined || payload.if_version === undefined)
    return new NotFoundError('Unknown memory', { details: { memory_id: payload.memory_id } });
  return new ValidationError('The memory has another version', {
    reason: 'version_conflict',
    details: { memory_id: payload.memory_id, field: 'if_version', version: row.version },
  });
}
