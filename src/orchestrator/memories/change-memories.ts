import { type CrossfadeError, NotFoundError, ValidationError } from '../../domain/errors.ts';
import { encodeJson, Json } from '../../domain/json.ts';
import { prepared } from '../../storage/sessions/session.ts';
import type { Vault } from '../encryption/vault.ts';
import type { VaultSession as Session } from '../encryption/vault-session.ts';
import type { Request } from '../wire/request.ts';
import { parseOptionalTime } from '../wire/times.ts';
import { contentOf } from './create-input.ts';
import { conditionOf, FILTERS, Parameters, VISIBLE } from './filter.ts';
import { refusedAt, RefusedOperation } from './refused-operation.ts';

/*
 * Changes any number of memories, each once, in one statement. The statement also returns why one was not changed: `other_version` is null
 * if the memory is not visible.
 */
const FOUND = `m.memory_id = i.memory_id and m.session_id = i.session_id and ${VISIBLE}
    and (i.if_version is null or m.version = i.if_version)`;
const OUTCOME = `
select i.index, c.memory_id is not null as changed, c.updated_at, c.expires_at, c.version, m.version as other_version
from input i
  left join changed c using (memory_id)
  left join memory_entries m on m.memory_id = i.memory_id and m.session_id = i.session_id and ${VISIBLE}
order by i.index`;

interface Locking {
  readonly held: string;
  readonly among: string;
}

interface Statements {
  readonly one: string;
  readonly many: string;
}

const NO_LOCKING: Locking = { held: '', among: '' };
// Locks rows in one order, whatever the plan, so that batches on the same memories wait for each other and do not deadlock.
const LOCKING: Locking = {
  held: `held as (
  select m.memory_id from memory_entries m join input i on m.memory_id = i.memory_id order by m.memory_id for update of m
), `,
  among: 'join held on held.memory_id = i.memory_id',
};

function inBothWays(sqlOf: (locking: Locking) => string): Statements {
  return { one: prepared(sqlOf(NO_LOCKING)), many: prepared(sqlOf(LOCKING)) };
}

const UPDATE = inBothWays(
  ({ held, among }) => `
with input as (
  select * from json_to_recordset($1::json) as input (
    index int, memory_id text, session_id text, content jsonb, content_text text, content_key text, escaped boolean, tags text[], priority int, position bigint,
    created_at timestamptz, updated_at timestamptz, changes_expiry boolean, expires_at timestamptz, ttl float8, if_version bigint)
), ${held}changed as (
  update memory_entries m set
    content = coalesce(i.content, m.content), content_text = case when i.content is null then m.content_text else i.content_text end,
    content_key = case when i.content is null then m.content_key else i.content_key end,
    escaped = coalesce(i.escaped, m.escaped), tags = coalesce(i.tags, m.tags),
    priority = coalesce(i.priority, m.priority), position = coalesce(i.position, m.position),
    created_at = coalesce(i.created_at, m.created_at), updated_at = coalesce(i.updated_at, now()), version = m.version + 1,
    expires_at = case when i.changes_expiry then coalesce(i.expires_at, now() + i.ttl * interval '1 second') else m.expires_at end
  from input i ${among} where ${FOUND}
  returning m.memory_id, m.updated_at, m.expires_at, m.version
) ${OUTCOME}`,
);

// The row stays as a tombstone, with the lane's generation and sequence of the delete, until it is purged.
const DELETE = inBothWays(
  ({ held, among }) => `
with input as (
  select * from json_to_recordset($1::json) as input (
    index int, memory_id text, session_id text, deleted_at timestamptz, generation bigint, sequence bigint, if_version bigint)
), ${held}changed as (
  update memory_entries m set
    is_active = false, deleted_at = coalesce(i.deleted_at, now()), updated_at = coalesce(i.deleted_at, now()),
    deleted_generation = i.generation, deleted_sequence = i.sequence, version = m.version + 1
  from input i ${among} where ${FOUND}
  returning m.memory_id, m.updated_at, m.expires_at, m.version
) ${OUTCOME}`,
);

interface ChangedRow {
  readonly index: number;
  readonly changed: boolean;
  readonly updated_at: Date;
  readonly expires_at: Date | null;
  readonly version: number;
  readonly other_version: number | null;
}

/**
 * Omitted members keep their values; content and tags are replaced; a null ttl or expires_at removes the expiry.
 * The memories' ids must differ from each other. @throws RefusedOperation
 */
export async function updateMemories(
  session: Session,
  requests: readonly Request<'update'>[],
): Promise<object[]> {
  const rows = await change(session, { sql: UPDATE, requests, inputOf: updateOf });
  return rows.map(({ updated_at, expires_at, version }, index) => ({
    memory_id: requests[index]?.payload.memory_id,
    updated_at: updated_at.toISOString(),
    expires_at: expires_at?.toISOString() ?? null,
    version,
  }));
}

/** The memories' ids must differ from each other. @throws RefusedOperation */
export async function deleteMemories(
  session: Session,
  requests: readonly Request<'delete'>[],
): Promise<object[]> {
  const rows = await change(session, { sql: DELETE, requests, inputOf: deleteOf });
  return rows.map(() => ({ deleted: true }));
}

type Changing = Request<'update'> | Request<'delete'>;

interface Change<R extends Changing> {
  readonly sql: Statements;
  readonly requests: readonly R[];
  readonly inputOf: (request: R, vault: Vault) => object;
}

async function change<R extends Changing>(
  session: Session,
  { sql, requests, inputOf }: Change<R>,
): Promise<ChangedRow[]> {
  const inputs = requests.map((request, index) => {
    const { payload, sessionId } = request;
    const { memory_id, if_version } = payload;
    try {
      return { index, memory_id, session_id: sessionId, if_version, ...inputOf(request, session.vault) };
    } catch (error) {
      throw refusedAt(index, error);
    }
  });
  const statement = inputs.length === 1 ? sql.one : sql.many;
  const rows = await session.query<ChangedRow>(statement, [encodeJson(inputs)]);
  for (const [index, row] of rows.entries()) {
    const request = requests[index];
    if (!row.changed && request !== undefined)
      throw new RefusedOperation(index, refusalOf(request, row.other_version));
  }
  return rows;
}

function updateOf(request: Request<'update'>, vault: Vault): object {
  const { payload, sessionId } = request;
  const content = payload.content === undefined ? undefined : contentOf(request);
  return {
    ...(content && vault.seal({ memory_id: payload.memory_id, session_id: sessionId }, content.json.text)),
    escaped: content?.escaped,
    tags: payload.tags && [...new Set(payload.tags)],
    priority: payload.priority,
    position: payload.position,
    created_at: parseOptionalTime(payload.created_at, 'created_at'),
    updated_at: parseOptionalTime(payload.updated_at, 'updated_at'),
    changes_expiry: payload.ttl !== undefined || payload.expires_at !== undefined,
    expires_at: parseOptionalTime(payload.expires_at, 'expires_at'),
    ttl: payload.ttl,
  };
}

function deleteOf({ payload, lane }: Request<'delete'>): object {
  return {
    deleted_at: parseOptionalTime(payload.updated_at, 'updated_at'),
    generation: lane?.generation,
    sequence: lane?.sequence,
  };
}

function refusalOf({ payload }: Changing, otherVersion: number | null): CrossfadeError {
  if (otherVersion === null || payload.if_version === undefined)
    return new NotFoundError('Unknown memory', { details: { memory_id: payload.memory_id } });
  return new ValidationError('The memory has another version', {
    reason: 'version_conflict',
    details: { memory_id: payload.memory_id, field: 'if_version', version: otherVersion },
  });
}

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
