import { encodeJson } from '../domain/json.ts';
import { sqlstateOf } from '../storage/database.ts';
import { prepared } from '../storage/prepared.ts';
import { INPUT, inputsOf } from './create-input.ts';
import type { VaultSession as Session } from './encryption/vault-session.ts';
import { passageOf, passing } from './fence.ts';
import type { WriteKey } from './idempotency.ts';
import { refusedValue } from './refused-operation.ts';
import type { Request } from './request.ts';

/*
 * What nearly every write is: memories that are new, in sessions that are open, behind lanes that stand lower. One statement does it
 * all, so one round trip and no transaction around it. It takes effect as a whole or, with `CFNEW`, not at all.
 */
const INSERTED = `insert into memory_entries (memory_id, session_id, memory_type, content, content_text, content_key, escaped, tags, priority,
    position, lane_key, created_at, updated_at, expires_at)
  select i.memory_id, i.session_id, i.memory_type, i.content, i.content_text, i.content_key, i.escaped, coalesce(i.tags, '{}'), coalesce(i.priority, 5),
    coalesce(i.position, 9007199254740992), i.lane_key, coalesce(i.created_at, now()), coalesce(i.updated_at, i.created_at, now()),
    coalesce(i.expires_at, coalesce(i.created_at, now()) + i.ttl * interval '1 second')
  from input i join sessions s on s.session_id = i.session_id and s.ended_at is null
  order by i.index
  on conflict (memory_id) do nothing
  returning memory_id, created_at`;
// One row, whatever was created, so that it is always asked whether that is all.
const ANSWER = `all_created((select count(*) from created), count(*)),
    json_agg(to_char(c.created_at at time zone 'UTC', 'YYYY-MM-DD"T"HH24:MI:SS.MS"Z"') order by i.index) as times
  from input i left join created c using (memory_id)`;
const KEPT = `kept as (
    insert into idempotency_keys (key, answer)
    select $2::bytea, json_build_object('memory_id', memory_id,
      'created_at', to_char(created_at at time zone 'UTC', 'YYYY-MM-DD"T"HH24:MI:SS.MS"Z"'))::text from created)`;
const LANES_PASSED = 'all_created((select count(*) from passed), cardinality($2::text[]))';

const inputUpTo = (most: number): string => `with input as materialized (${INPUT} limit ${most})`;
const FREE = sized((most) => `${inputUpTo(most)}, created as (${INSERTED}) select ${ANSWER}`);
const FENCED = sized(
  (most) =>
    `${inputUpTo(most)}, passed as (${passing(2)}), created as (${INSERTED}) select ${LANES_PASSED}, ${ANSWER}`,
);
const KEPT_ONE = prepared(`${inputUpTo(1)}, created as (${INSERTED}), ${KEPT} select ${ANSWER}`);

type Sized = readonly (readonly [most: number, sql: string])[];

// The limit cuts nothing: it tells the planner how few there are, or it reads all sessions to join them. Rounded up, for few plans.
function sized(sqlOf: (most: number) => string): Sized {
  return [1, 10, 50, 500].map((most) => [most, prepared(sqlOf(most))]);
}

// A batch is at most 500 operations.
function sqlFor(count: number, sizes: Sized): string {
  return sizes.find(([most]) => count <= most)?.[1] ?? '';
}

/** Undefined, with nothing done, where anything stands against one of them. @throws RefusedOperation, StorageError */
export async function createPlainly(
  session: Session,
  requests: readonly Request[],
  key?: WriteKey,
): Promise<object[] | undefined> {
  if (!areCreates(requests)) return undefined;
  const statement = statementFor(requests, key);
  if (statement === undefined) return undefined;
  try {
    return await created(session, requests, statement);
  } catch (error) {
    if (isNotPlain(error)) return undefined;
    throw error;
  }
}

/** Behind fences that they have passed. @throws StorageError that {@link isNotPlain}, RefusedOperation */
export function createNew(session: Session, requests: readonly Request<'create'>[]): Promise<object[]> {
  return created(session, requests, [sqlFor(requests.length, FREE), []]);
}

/** Whether a statement failed for what it met or brought, so that a slower one may tell why, or succeed. */
export function isNotPlain(error: unknown): boolean {
  return sqlstateOf(error) === NOT_PLAIN || refusedValue(error) !== undefined;
}

type Statement = readonly [sql: string, parameters: readonly unknown[]];

async function created(
  session: Session,
  requests: readonly Request<'create'>[],
  [sql, parameters]: Statement,
): Promise<object[]> {
  const inputs = inputsOf(requests, session.vault);
  const [row] = await session.query<{ times: string[] }>(sql, [encodeJson(inputs), ...parameters]);
  return inputs.map(({ memory_id }, index) => ({ memory_id, created_at: row?.times[index] }));
}

const NOT_PLAIN = 'CFNEW';

function areCreates(requests: readonly Request[]): requests is readonly Request<'create'>[] {
  return requests.every(({ action }) => action === 'create');
}

function statementFor(requests: readonly Request[], key: WriteKey | undefined): Statement | undefined {
  if (key !== undefined) return [KEPT_ONE, [key]];
  const lanes = requests.map(({ lane }) => lane);
  const isFree = lanes.every((lane) => lane === undefined);
  const passage = isFree ? [] : passageOf(lanes);
  return passage === undefined ? undefined : [sqlFor(requests.length, isFree ? FREE : FENCED), passage];
}
