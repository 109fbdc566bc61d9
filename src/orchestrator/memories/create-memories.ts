import { type CrossfadeError, DuplicateError, NotFoundError, StorageError } from '../../domain/errors.ts';
import { encodeJson } from '../../domain/json.ts';
import { prepared } from '../../storage/sessions/session.ts';
import { INPUT, inputsOf } from './create-input.ts';
import type { VaultSession as Session } from '../encryption/vault-session.ts';
import type { WriteKey } from './idempotency.ts';
import { RefusedOperation } from './refused-operation.ts';
import type { Request } from '../wire/request.ts';

// A late repetition finds its memory, and must not restart an ended session.
const IS_NEW = `e.memory_id is null
    or i.lane_key is not null and e.session_id = i.session_id and (not e.is_active or e.expires_at <= now())`;

/*
 * Creates any number of memories, of any sessions, in one statement. The same statement decides all refusals from one snapshot. If a
 * concurrent transaction created the same row, the memory is reported as `raced` and the statement is repeated. A create that passed its
 * lane's fence is newer than any earlier delete, so it may restore a deleted memory. A create without a lane may be an old repetition,
 * so it never does.
 */
const createdOf = (most: number): string => `
with input as (
  ${INPUT} limit ${most}
), opened as (
  insert into sessions as s (session_id, user_id)
  select distinct on (i.session_id) i.session_id, i.user_id from input i left join sessions known using (session_id)
    left join memory_entries e on e.memory_id = i.memory_id
  where i.create_session and (known.session_id is null or known.ended_at is not null and (${IS_NEW}))
  order by i.session_id, i.index
  on conflict (session_id) do update set ended_at = null, is_archived = false, generation = s.generation + 1, updated_at = now()
    where s.ended_at is not null
), created as (
  insert into memory_entries as m (memory_id, session_id, memory_type, content, content_text, content_key, escaped, tags, priority, position, lane_key,
    created_at, updated_at, expires_at)
  select i.memory_id, i.session_id, i.memory_type, i.content, i.content_text, i.content_key, i.escaped, coalesce(i.tags, '{}'), coalesce(i.priority, 5),
    coalesce(i.position, 9007199254740992), i.lane_key, coalesce(i.created_at, now()), coalesce(i.updated_at, i.created_at, now()),
    coalesce(i.expires_at, coalesce(i.created_at, now()) + i.ttl * interval '1 second')
  from input i left join sessions s on s.session_id = i.session_id
  where i.create_session or (s.session_id is not null and s.ended_at is null)
  order by i.index
  on conflict (memory_id) do update set
    session_id = excluded.session_id, memory_type = excluded.memory_type, content = excluded.content,
    content_text = excluded.content_text, content_key = excluded.content_key, escaped = excluded.escaped, tags = excluded.tags, priority = excluded.priority, position = excluded.position, lane_key = excluded.lane_key,
    created_at = excluded.created_at, updated_at = excluded.updated_at, expires_at = excluded.expires_at, version = m.version + 1,
    is_active = true, deleted_at = null, deleted_generation = null, deleted_sequence = null
    where excluded.lane_key is not null and m.session_id = excluded.session_id and (not m.is_active or m.expires_at <= now())
  returning m.memory_id, m.created_at
), judged as (
select i.index, i.memory_id, coalesce(c.created_at, e.created_at) as created_at,
  case
    when c.memory_id is not null then 'created'
    when e.session_id = i.session_id and e.memory_type = i.memory_type and e.escaped = i.escaped
      and (e.content = i.content or e.content_key is not null and e.content ->> '$hash' = any (i.content_hashes))
      and e.tags = coalesce(i.tags, '{}') then 'same'
    when e.memory_id is not null then 'duplicate'
    when s.session_id is null and not i.create_session then 'session_unknown'
    when s.ended_at is not null and not i.create_session then 'session_ended'
    else 'raced'
  end as verdict
from input i
  left join created c using (memory_id)
  left join memory_entries e on e.memory_id = i.memory_id
  left join sessions s on s.session_id = i.session_id
)`;
// The limit removes no rows. It tells the planner how few there are, because otherwise it reads all memories for the join. It is rounded up
// to keep the number of statements small.
const CREATE_UP_TO: readonly (readonly [most: number, sql: string])[] = [1, 10, 50, 100, 400, 500].map(
  (most) => [most, prepared(createSql(most))],
);
// The answer for a repetition, in the same spelling as the first one. An existing key fails the whole statement.
const CREATE_KEPT = prepared(`${createdOf(1)}, kept as (
  insert into idempotency_keys (key, answer)
  select $2::bytea, json_build_object('memory_id', memory_id,
    'created_at', to_char(created_at at time zone 'UTC', 'YYYY-MM-DD"T"HH24:MI:SS.MS"Z"'))::text
  from judged where verdict in ('created', 'same')
)
select index, created_at, verdict from judged order by index`);

type CreateVerdict = 'created' | 'same' | 'duplicate' | 'session_unknown' | 'session_ended' | 'raced';

interface CreatedRow {
  readonly index: number;
  readonly created_at: Date;
  readonly verdict: CreateVerdict;
}

/** The memories' ids must differ from each other. @throws RefusedOperation */
export function createMemories(session: Session, requests: readonly Request<'create'>[]): Promise<object[]> {
  return createAll(session, requests);
}

/** Creates one memory and stores the answer under a key, in one statement. @throws StorageError if the key exists */
export async function createMemory(
  session: Session,
  request: Request<'create'>,
  key: WriteKey,
): Promise<object> {
  const [answer = {}] = await createAll(session, [request], key);
  return answer;
}

async function createAll(
  session: Session,
  requests: readonly Request<'create'>[],
  key?: WriteKey,
): Promise<object[]> {
  const inputs = inputsOf(requests, session.vault);
  const input = encodeJson(inputs);
  const rows =
    key === undefined
      ? await session.query<CreatedRow>(createSqlFor(inputs.length), [input])
      : await session.query<CreatedRow>(CREATE_KEPT, [input, key]);
  return rows.map((row, index) => {
    const { memory_id, session_id } = inputs[index] ?? { memory_id: '', session_id: '' };
    const refusal = refusalOf(row.verdict, memory_id, session_id);
    if (refusal !== undefined) throw new RefusedOperation(index, refusal);
    return { memory_id, created_at: row.created_at.toISOString() };
  });
}

function createSql(most: number): string {
  return `${createdOf(most)} select index, created_at, verdict from judged order by index`;
}

function createSqlFor(count: number): string {
  return CREATE_UP_TO.find(([most]) => count <= most)?.[1] ?? createSql(count);
}

function refusalOf(verdict: CreateVerdict, memoryId: string, sessionId: string): CrossfadeError | undefined {
  switch (verdict) {
    case 'created':
    case 'same':
      return undefined;
    case 'duplicate':
      return new DuplicateError('memory_id exists with another content', {
        details: { field: 'memory_id', memory_id: memoryId },
      });
    case 'session_unknown':
    case 'session_ended':
      return new NotFoundError(verdict === 'session_ended' ? 'The session has ended' : 'Unknown session', {
        code: 'session_not_found',
        details: { session_id: sessionId },
      });
    case 'raced':
      return new StorageError('Another transaction created the same memory', {
        effect: 'not_applied',
        details: { sqlstate: '40001' },
      });
  }
}
