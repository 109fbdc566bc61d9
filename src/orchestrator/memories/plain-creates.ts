import { encodeJson } from '../../domain/json.ts';
import { sqlstateOf } from '../../storage/database.ts';
import { prepared } from '../../storage/sessions/session.ts';
import { type CreateInput, INPUT, inputsOf } from './create-input.ts';
import type { VaultSession as Session } from '../encryption/vault-session.ts';
import { passageOf, passing } from './fence.ts';
import type { WriteKey } from './idempotency.ts';
import { refusedValue } from './refused-operation.ts';
import type { Request } from '../wire/request.ts';
import { type Behind, NO_LANE, singleCreate, type Statement } from './single-create.ts';

/*
 * The common case of writes: new memories in open sessions, in lanes with a lower position. One statement does all of it, in one round
 * trip and without an explicit transaction. It takes effect as a whole or, with `CFNEW`, not at all. An existing memory violates its key.
 * Checking each memory before the insert, as `on conflict` does, costs more than the few statements that fail.
 */
const insertedInto = (
  place: string,
): string => `insert into memory_entries (memory_id, session_id, memory_type, content, content_text, content_key,
    escaped, tags, priority, position, lane_key, created_at, updated_at, expires_at)
  select i.memory_id, i.session_id, i.memory_type, i.content, i.content_text, i.content_key, i.escaped, coalesce(i.tags, '{}'), coalesce(i.priority, 5),
    coalesce(i.position, 9007199254740992), i.lane_key, coalesce(i.created_at, now()), coalesce(i.updated_at, i.created_at, now()),
    coalesce(i.expires_at, coalesce(i.created_at, now()) + i.ttl * interval '1 second')
  from input i ${place}
  order by i.index
  returning memory_id, created_at`;
const INTO_OPEN = insertedInto('join sessions s on s.session_id = i.session_id and s.ended_at is null');
// Or into a session that the statement itself creates.
const OPENED = `opened as (
    insert into sessions (session_id, user_id)
    select distinct on (session_id) session_id, user_id from input where create_session order by session_id, index
    on conflict do nothing returning session_id)`;
// A join, because an `exists` next to an `or` reads all sessions.
const INTO_OPENED = `${OPENED}, created as (${insertedInto(`left join sessions s on s.session_id = i.session_id and s.ended_at is null
    where s.session_id is not null or i.create_session and i.session_id in (select session_id from opened)`)})`;
// Always one row, so that the check always runs.
const ANSWER = `all_created((select count(*) from created), count(*)),
    json_agg(to_char(c.created_at at time zone 'UTC', 'YYYY-MM-DD"T"HH24:MI:SS.MS"Z"') order by i.index) as times
  from input i left join created c using (memory_id)`;
const LANES_PASSED = 'all_created((select count(*) from passed), cardinality($2::text[]))';

const inputUpTo = (most: number): string => `with input as materialized (${INPUT} limit ${most})`;
const FREE = bothWays((created, most) => `${inputUpTo(most)}, ${created} select ${ANSWER}`);
const FENCED = bothWays(
  (created, most) =>
    `${inputUpTo(most)}, passed as (${passing(2)}), ${created} select ${LANES_PASSED}, ${ANSWER}`,
);

interface BothWays {
  readonly known: Sized;
  readonly opening: Sized;
}

function bothWays(sqlOf: (created: string, most: number) => string): BothWays {
  return {
    known: sized((most) => sqlOf(`created as (${INTO_OPEN})`, most)),
    opening: sized((most) => sqlOf(INTO_OPENED, most)),
  };
}

type Sized = readonly (readonly [most: number, sql: string])[];

// The limit removes no rows. It tells the planner how few there are, because otherwise it reads all sessions for the join. It is rounded up
// to keep the number of plans small.
function sized(sqlOf: (most: number) => string): Sized {
  return [10, 50, 500].map((most) => [most, prepared(sqlOf(most))]);
}

// A batch has at most 500 operations.
function sqlFor(count: number, sizes: Sized): string {
  return sizes.find(([most]) => count <= most)?.[1] ?? '';
}

/** Returns undefined and does nothing if any of the memories conflicts. @throws RefusedOperation, StorageError */
export async function createPlainly(
  session: Session,
  requests: readonly Request[],
  key?: WriteKey,
): Promise<object[] | undefined> {
  if (!areCreates(requests)) return undefined;
  const passage = passageFor(requests);
  if (passage === undefined) return undefined;
  try {
    const inputs = inputsOf(requests, session.vault);
    const results = await created(session, inputs, statementFor(requests, inputs, { passage, key }));
    for (const { vector } of requests) vector?.kept();
    return results;
  } catch (error) {
    // A write whose key has a stored answer is a repetition.
    const isKeyKnown = key !== undefined && sqlstateOf(error) === ALREADY_THERE;
    if (isNotPlain(error) && !isKeyKnown) return undefined;
    throw error;
  }
}

/** For writes that have passed their fences. @throws StorageError for which {@link isNotPlain} is true, RefusedOperation */
export async function createNew(session: Session, requests: readonly Request<'create'>[]): Promise<object[]> {
  const inputs = inputsOf(requests, session.vault);
  return created(session, inputs, manyOf(inputs, NO_LANE));
}

/** Whether a statement failed because of existing rows or its values, so that a slower statement can find the reason, or succeed. */
export function isNotPlain(error: unknown): boolean {
  const sqlstate = sqlstateOf(error);
  return sqlstate === NOT_PLAIN || sqlstate === ALREADY_THERE || refusedValue(error) !== undefined;
}

async function created(
  session: Session,
  inputs: readonly CreateInput[],
  [sql, parameters]: Statement,
): Promise<object[]> {
  const [row] = await session.query<{ times: string[] }>(sql, parameters);
  return inputs.map(({ memory_id }, index) => ({ memory_id, created_at: row?.times[index] }));
}

const NOT_PLAIN = 'CFNEW';
/** A unique violation. */
const ALREADY_THERE = '23505';

function areCreates(requests: readonly Request[]): requests is readonly Request<'create'>[] {
  return requests.every(({ action }) => action === 'create');
}

/** Undefined if a lane has no sequence. */
function passageFor(requests: readonly Request[]): Behind['passage'] | undefined {
  const lanes = requests.map(({ lane }) => lane);
  return lanes.every((lane) => lane === undefined) ? NO_LANE : passageOf(lanes);
}

function statementFor(
  requests: readonly Request<'create'>[],
  inputs: readonly CreateInput[],
  behind: Behind,
): Statement {
  const [request, input] = [requests[0], inputs[0]];
  if (requests.length === 1 && request !== undefined && input !== undefined)
    return singleCreate(request, input, behind);
  return manyOf(inputs, behind.passage);
}

function manyOf(inputs: readonly CreateInput[], passage: Behind['passage']): Statement {
  const { known, opening } = passage.length === 0 ? FREE : FENCED;
  const sizes = inputs.some(({ create_session: opens }) => opens) ? opening : known;
  return [sqlFor(inputs.length, sizes), [encodeJson(inputs), ...passage]];
}
