import { NotFoundError } from '../../domain/errors.ts';
import type { Session } from '../../storage/database.ts';
import type { Request } from '../wire/request.ts';
import { parseOptionalTime } from '../wire/times.ts';
import { restoredJson, storableMember } from '../wire/unstorable-text.ts';
import { versionConflict } from '../memories/refused-operation.ts';

// An expired state starts again at version 1. `known` shows why nothing was stored.
const PUT = `
with known as (
  select $2 = '' or exists (select from sessions where session_id = $2) as session
), put as (
  insert into agent_states as a (agent_id, session_id, state_data, escaped, updated_at, expires_at)
  select $1, nullif($2, ''), $3::jsonb, $4, coalesce($5::timestamptz, now()),
    coalesce($6::timestamptz, now() + $7::float8 * interval '1 second')
  from known
  where known.session and ($8::bigint is null or exists (select from agent_states e where e.agent_id = $1
    and e.session_id is not distinct from nullif($2, '') and (e.expires_at is null or e.expires_at > now())))
  on conflict (agent_id, session_id) do update set
    state_data = excluded.state_data, escaped = excluded.escaped, updated_at = excluded.updated_at,
    expires_at = case when $9::boolean or a.expires_at <= now() then excluded.expires_at else a.expires_at end,
    created_at = case when a.expires_at <= now() then excluded.created_at else a.created_at end, version = a.version + 1
    where $8::bigint is null or a.version = $8
  returning a.agent_id, a.session_id, a.created_at, a.updated_at, a.expires_at, a.version
)
select known.session as known, put.* from known left join put on true`;

interface PutRow {
  readonly known: boolean;
  readonly agent_id: string | null;
  readonly [column: string]: unknown;
}

/** Stores the state of an agent, in a session or without one. Replaces the previous state; without ttl or expires_at the expiry stays. */
export async function putAgentState(session: Session, request: Request<'put_agent_state'>): Promise<object> {
  const { payload, sessionId } = request;
  const state = storableMember(request, 'state_data');
  const [row] = await session.query<PutRow>(PUT, [
    payload.agent_id,
    sessionId,
    state?.json.text,
    state?.escaped,
    parseOptionalTime(payload.updated_at, 'updated_at'),
    parseOptionalTime(payload.expires_at, 'expires_at'),
    payload.ttl,
    payload.if_version,
    payload.ttl !== undefined || payload.expires_at !== undefined,
  ]);
  if (row?.known !== true)
    throw new NotFoundError('Unknown session', {
      code: 'session_not_found',
      details: { session_id: sessionId },
    });
  const { known: _known, ...put } = row;
  if (put.agent_id === null) throw versionConflict('The state', { agent_id: payload.agent_id });
  return put;
}

interface StateRow {
  readonly state_data: string;
  readonly escaped: boolean;
  readonly [column: string]: unknown;
}

const GET = `
select agent_id, session_id, state_data::text as state_data, escaped, created_at, updated_at, expires_at, version
from agent_states
where agent_id = $1 and session_id is not distinct from nullif($2, '') and (expires_at is null or expires_at > now())`;

/** @throws NotFoundError */
export async function getAgentState(session: Session, request: Request<'get_agent_state'>): Promise<object> {
  const { payload, sessionId } = request;
  const [row] = await session.query<StateRow>(GET, [payload.agent_id, sessionId]);
  if (row === undefined)
    throw new NotFoundError('Unknown state', { details: { agent_id: payload.agent_id } });
  const { state_data: state, escaped, ...columns } = row;
  return { ...columns, state_data: restoredJson(state, escaped) };
}
