import { randomUUID } from 'node:crypto';
import { DuplicateError, NotFoundError } from '../../domain/errors.ts';
import { encodeJson } from '../../domain/json.ts';
import { prepared } from '../../storage/sessions/session.ts';
import { decodeCursor, encodeCursor } from '../memories/cursor.ts';
import { Parameters } from '../memories/filter.ts';
import { SUMMARY, summaryPlace } from '../encryption/sealed-content.ts';
import type { VaultSession as Session } from '../encryption/vault-session.ts';
import { LIMITS } from '../wire/limits.ts';
import type { Request } from '../wire/request.ts';
import { parseOptionalTime, parseTime } from '../wire/times.ts';
import { restoredJson, storableMember } from '../wire/unstorable-text.ts';
import { refusedAt } from '../memories/refused-operation.ts';

// For the same user it returns the first answer again. An ended session, or one that a create opened without a user, (re)starts with the given values.
const CREATE_SESSION = prepared(`
insert into sessions as s (session_id, user_id, session_type, metadata, escaped, created_at, updated_at)
values ($1, $2, $3, coalesce($4::jsonb, '{}'), $5, coalesce($6::timestamptz, now()), coalesce($7::timestamptz, $6::timestamptz, now()))
on conflict (session_id) do update set
  generation = s.generation + (s.ended_at is not null)::int, user_id = excluded.user_id, ended_at = null, is_archived = false,
  session_type = case when s.ended_at is not null or s.user_id is null then excluded.session_type else s.session_type end,
  metadata = case when s.ended_at is not null or s.user_id is null then excluded.metadata else s.metadata end,
  escaped = case when s.ended_at is not null or s.user_id is null then excluded.escaped else s.escaped end,
  summary = case when s.ended_at is null then s.summary end, summarized = case when s.ended_at is null then s.summarized end,
  created_at = case when s.ended_at is null then s.created_at else coalesce($6::timestamptz, s.created_at) end,
  updated_at = case when s.ended_at is null then s.updated_at else excluded.updated_at end
  where s.user_id is null or s.user_id = excluded.user_id
returning s.session_id, s.created_at`);

/** @throws DuplicateError if the session belongs to another user */
export async function createSession(session: Session, request: Request<'create_session'>): Promise<object> {
  const { payload, sessionId } = request;
  const id = sessionId || payload.session_id || `session-${randomUUID()}`;
  const metadata = storableMember(request, 'session_metadata');
  const [row] = await session.query<{ created_at: Date }>(CREATE_SESSION, [
    id,
    payload.user_id,
    payload.session_type ?? typeInMetadata(payload.session_metadata) ?? 'conversation',
    metadata?.json.text,
    metadata?.escaped ?? false,
    parseOptionalTime(payload.created_at, 'created_at'),
    parseOptionalTime(payload.updated_at, 'updated_at'),
  ]);
  if (row === undefined)
    throw new DuplicateError('session_id belongs to another user', {
      details: { field: 'session_id', session_id: id },
    });
  return { session_id: id, created_at: row.created_at.toISOString() };
}

const END_SESSION = prepared(`
update sessions s set ended_at = coalesce(s.ended_at, $2::timestamptz, now()), summary = coalesce($3, s.summary, $5),
  summarized = case when $3::text is not null then null when s.summary is null then $6::jsonb else s.summarized end,
  is_archived = s.is_archived or $4::boolean, updated_at = coalesce($7::timestamptz, now()),
  summary_key = case when $3::text is not null or s.summary is null then $8 else s.summary_key end
where s.session_id = $1 returning s.session_id, s.ended_at, s.is_archived, s.summarized`);

interface EndedRow {
  readonly ended_at: Date;
  readonly is_archived: boolean;
  readonly summarized: object | null;
}

/** Ends a session. A repetition returns the first end. @throws NotFoundError */
export async function endSession(session: Session, request: Request<'end_session'>): Promise<object> {
  const { payload, sessionId, generated } = request;
  const place = summaryPlace(sessionId);
  const summary = session.vault.sealText(place, payload.summary);
  const made = session.vault.sealText(place, generated?.summary);
  const [row] = await session.query<EndedRow>(END_SESSION, [
    sessionId,
    parseOptionalTime(payload.ended_at, 'ended_at'),
    summary.text,
    payload.archive ?? false,
    made.text,
    generated === undefined ? undefined : encodeJson(generated.summarized),
    parseOptionalTime(payload.updated_at, 'updated_at'),
    summary.key ?? made.key,
  ]);
  if (row === undefined)
    throw new NotFoundError('Unknown session', {
      code: 'session_not_found',
      details: { session_id: sessionId },
    });
  const { ended_at, is_archived, summarized } = row;
  return { session_id: sessionId, ended_at: ended_at.toISOString(), is_archived, summarized };
}

export interface SessionRow {
  readonly session_id: string;
  readonly metadata: string;
  readonly escaped: boolean;
  readonly [column: string]: unknown;
}

export const SESSION_COLUMNS = `s.session_id, s.user_id, s.session_type, s.metadata::text as metadata, s.escaped, s.created_at,
  s.updated_at, s.ended_at, ${SUMMARY}, s.summarized, s.is_archived, s.generation`;

export function renderSession({ metadata, escaped, ...columns }: SessionRow): object {
  return { ...columns, session_metadata: restoredJson(metadata, escaped) };
}

/** Lists sessions by id, page by page. New sessions do not move the pages. */
export async function listSessions(session: Session, request: Request<'list_sessions'>): Promise<object> {
  const { payload } = request;
  const parameters = new Parameters();
  const conditions = ['true'];
  if (payload.cursor !== undefined)
    conditions.push(
      `s.session_id > ${parameters.bind(decodeCursor<[string]>(payload.cursor, ['string'])[0])}`,
    );
  if (payload.user_id !== undefined) conditions.push(`s.user_id = ${parameters.bind(payload.user_id)}`);
  if (payload.updated_since !== undefined)
    conditions.push(changedSince(parameters.bind(parseTime(payload.updated_since, 'updated_since'))));
  if (payload.source_agent !== undefined)
    conditions.push(`exists (select from memory_entries m
      where m.session_id = s.session_id and m.source_agent = ${parameters.bind(payload.source_agent)})`);
  const limit = payload.limit ?? LIMITS.pageDefault;
  const rows = await session.query<SessionRow>(
    `select ${SESSION_COLUMNS} from sessions s where ${conditions.join(' and ')}
     order by s.session_id limit ${parameters.bind(limit + 1)}`,
    parameters.values,
  );
  const page = rows.slice(0, limit);
  const last = page.at(-1);
  return {
    sessions: page.map(renderSession),
    next_cursor: rows.length > limit && last !== undefined ? encodeCursor([last.session_id]) : undefined,
  };
}

// A write of a memory does not update its session's row, because writers of one session would wait for each other.
function changedSince(time: string): string {
  return `(s.updated_at >= ${time} or exists (select from memory_entries m
    where m.session_id = s.session_id and m.updated_at >= ${time}))`;
}

function typeInMetadata(metadata: object | undefined): string | undefined {
  const type = (metadata as { session_type?: unknown } | undefined)?.session_type;
  return typeof type === 'string' && type.length <= 32 ? type : undefined;
}

// In the order of ids, as creates do, so that concurrent writers wait for each other without a deadlock.
const UPSERT_SESSIONS = prepared(`
with input as materialized (
  select * from json_to_recordset($1::json) as i (session_id text, user_id text, session_type text, metadata jsonb, escaped boolean,
    created_at timestamptz, updated_at timestamptz, says_end boolean, ended_at timestamptz, summary text, is_archived boolean,
    summary_key text)
)
insert into sessions as s (session_id, user_id, session_type, metadata, escaped, created_at, updated_at, ended_at, summary, is_archived,
  summary_key)
select session_id, user_id, coalesce(session_type, 'conversation'), coalesce(metadata, '{}'), coalesce(escaped, false),
  coalesce(created_at, now()), coalesce(updated_at, now()), ended_at, summary, coalesce(is_archived, false), summary_key
from input order by session_id
on conflict (session_id) do update set
  (user_id, session_type, metadata, escaped, created_at, updated_at, ended_at, summary, summarized, is_archived, summary_key) = (
    select coalesce(i.user_id, s.user_id), coalesce(i.session_type, s.session_type), coalesce(i.metadata, s.metadata),
      coalesce(i.escaped, s.escaped), coalesce(i.created_at, s.created_at), coalesce(i.updated_at, now()),
      case when i.says_end then i.ended_at else s.ended_at end, coalesce(i.summary, s.summary),
      case when i.summary is null then s.summarized end, coalesce(i.is_archived, s.is_archived),
      case when i.summary is null then s.summary_key else i.summary_key end
    from input i where i.session_id = s.session_id)
returning s.session_id, s.created_at, s.updated_at, s.ended_at`);

interface UpsertedRow {
  readonly session_id: string;
  readonly [column: string]: unknown;
}

/**
 * Creates sessions or replaces their given members. Omitted members keep their values, and a null ended_at opens the session. The ids must
 * differ from each other. @throws RefusedOperation
 */
export async function upsertSessions(
  session: Session,
  requests: readonly Request<'upsert_session'>[],
): Promise<object[]> {
  const inputs = requests.map((request, index) => {
    try {
      return inputOf(session, request);
    } catch (error) {
      throw refusedAt(index, error);
    }
  });
  const rows = await session.query<UpsertedRow>(UPSERT_SESSIONS, [encodeJson(inputs)]);
  const found = new Map(rows.map((row) => [row.session_id, row]));
  return requests.map(({ sessionId }) => found.get(sessionId) ?? {});
}

function inputOf({ vault }: Session, request: Request<'upsert_session'>): object {
  const { payload, sessionId } = request;
  const metadata = storableMember(request, 'session_metadata');
  const summary = vault.sealText(summaryPlace(sessionId), payload.summary);
  return {
    session_id: sessionId,
    user_id: payload.user_id,
    session_type: payload.session_type,
    metadata: metadata?.json,
    escaped: metadata?.escaped,
    created_at: parseOptionalTime(payload.created_at, 'created_at'),
    updated_at: parseOptionalTime(payload.updated_at, 'updated_at'),
    says_end: payload.ended_at !== undefined,
    ended_at: parseOptionalTime(payload.ended_at, 'ended_at'),
    summary: summary.text,
    is_archived: payload.is_archived,
    summary_key: summary.key,
  };
}
