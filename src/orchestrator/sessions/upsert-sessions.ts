import { encodeJson } from '../../domain/json.ts';
import { prepared } from '../../storage/sessions/prepared.ts';
import { summaryPlace } from '../encryption/sealed-content.ts';
import type { VaultSession as Session } from '../encryption/vault-session.ts';
import { refusedAt } from '../memories/refused-operation.ts';
import type { Request } from '../wire/request.ts';
import { parseOptionalTime } from '../wire/times.ts';
import { storableMember } from '../wire/unstorable-text.ts';

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
