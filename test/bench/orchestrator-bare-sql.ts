import { randomUUID } from 'node:crypto';
import { anyWord } from '../../src/orchestrator/search/keyword.ts';
import { fuse, FUSED_DEPTHS } from '../../src/orchestrator/search/search.ts';
import type { Database, Session } from '../../src/storage/database.ts';
import { DIMENSION, MODEL } from './orchestrator-items.ts';

// What somebody writes who needs the answer and nothing else: no checks, no fence, no idempotency, no cache, no access log.

interface Filters {
  readonly limit: number;
  readonly user_id: string;
}

interface Payload {
  readonly memory_id: string;
  readonly memory_type: string;
  readonly content: object;
  readonly user_id: string;
  readonly embedding?: readonly number[];
  readonly limit: number;
  readonly search_type: 'keyword' | 'semantic' | 'hybrid';
  readonly query: string;
  readonly query_vector: readonly number[];
  readonly filters: Filters;
}

export interface BareRequest {
  readonly action: string;
  readonly session_id?: string;
  readonly payload: Payload;
}

interface Ranked {
  readonly memory_id: string;
}

const COLUMNS = `m.memory_id, m.session_id, m.memory_type, m.content, m.tags, m.source_agent, m.created_at, m.updated_at, m.expires_at,
  m.priority, m.position, m.version`;
const VISIBLE = 'm.is_active and (m.expires_at is null or m.expires_at > now())';
const OF_USER = 'm.session_id in (select session_id from sessions where user_id = $2)';
const SPACE = `e.embedding_model = '${MODEL}' and e.dimension = ${DIMENSION} and e.embedding is not null`;
const DISTANCE = `e.embedding::vector(${DIMENSION}) <=> $1::vector(${DIMENSION})`;
const VECTORS = `vector_embeddings e join memory_entries m on m.memory_id = e.memory_id`;
const RANK = `ts_rank(m.search, websearch_to_tsquery('simple', $1), 32)`;
const WORDS = `m.search @@ websearch_to_tsquery('simple', $1)`;
// As deep as the orchestrator's for a first page, so that both fuse the same.
const [FUSED_DEPTH] = FUSED_DEPTHS;

const CREATE = `with opened as (
    insert into sessions (session_id, user_id) values ($2, $3) on conflict do nothing
  ), created as (
    insert into memory_entries (memory_id, session_id, memory_type, content) values ($1, $2, $4, $5::jsonb)
    returning memory_id, created_at
  )`;
const CREATE_PLAIN = `${CREATE} select created_at from created`;
const CREATE_WITH_VECTOR = `${CREATE}, kept as (
    insert into vector_embeddings (memory_id, embedding_model, dimension, embedding, memory_version, text_hash)
    select memory_id, '${MODEL}', ${DIMENSION}, $6::vector, 1, '' from created
  ) select created_at from created`;
const READ = `select ${COLUMNS} from memory_entries m where m.memory_id = $1 and m.session_id = $2 and ${VISIBLE}`;
const HISTORY = `select ${COLUMNS}, count(*) over () as total from memory_entries m where m.session_id = $1 and ${VISIBLE}
  order by m.created_at desc, m.position desc, m.memory_id desc limit $2`;
const KEYWORD = `select ${COLUMNS}, ${RANK} as similarity_score, count(*) over () as total from memory_entries m
  where ${WORDS} and ${OF_USER} and ${VISIBLE} order by similarity_score desc, m.position, m.memory_id limit $3`;
const SEMANTIC = `select ${COLUMNS}, 1 - (${DISTANCE}) as similarity_score from ${VECTORS}
  where ${SPACE} and ${OF_USER} and ${VISIBLE} order by ${DISTANCE} limit $3`;
// No index knows an order of similarities: a session is compared completely.
const SEMANTIC_IN_SESSION = `select ${COLUMNS}, 1 - (${DISTANCE}) as similarity_score from ${VECTORS}
  where ${SPACE} and m.session_id = $2 and ${VISIBLE} order by similarity_score desc, m.memory_id limit $3`;
const NEAREST = `select m.memory_id from ${VECTORS} where ${SPACE} and ${OF_USER} and ${VISIBLE} order by ${DISTANCE} limit $3`;
const BEST_WORDS = `select m.memory_id from memory_entries m where ${WORDS} and ${OF_USER} and ${VISIBLE}
  order by ${RANK} desc, m.position, m.memory_id limit $3`;
const READ_MANY = `select ${COLUMNS} from memory_entries m where m.memory_id = any($1::text[]) and ${VISIBLE}`;

const ACTIONS: Readonly<Record<string, (database: Database, request: BareRequest) => Promise<object>>> = {
  create,
  async read(database, { session_id: session, payload }) {
    return (await database.query(READ, [payload.memory_id, session]))[0] ?? {};
  },
  async batch_read(database, { session_id: session, payload }) {
    return { memories: await database.query(HISTORY, [session, payload.limit]) };
  },
  search,
};

export function answerBarely(database: Database, request: BareRequest): Promise<object> {
  const action = ACTIONS[request.action];
  if (action === undefined) throw new Error(`There is no ${request.action}`);
  return action(database, request);
}

async function create(database: Database, { session_id: session, payload }: BareRequest): Promise<object> {
  const { embedding, memory_type: type, content, user_id: user } = payload;
  const id = `mem-${randomUUID()}`;
  const values = [id, session, user, type, JSON.stringify(content)];
  const [row] =
    embedding === undefined
      ? await database.query(CREATE_PLAIN, values)
      : await database.query(CREATE_WITH_VECTOR, [...values, vectorText(embedding)]);
  return { memory_id: id, ...row };
}

async function search(database: Database, { session_id: session, payload }: BareRequest): Promise<object> {
  const { search_type: type, query, query_vector: vector, filters } = payload;
  const { limit, user_id: user } = filters;
  if (type === 'hybrid') return hybrid(database, payload);
  if (type === 'keyword') return { results: await database.query(KEYWORD, [query, user, limit]) };
  const results =
    session === undefined
      ? await database.query(SEMANTIC, [vectorText(vector), user, limit])
      : await database.query(SEMANTIC_IN_SESSION, [vectorText(vector), session, limit]);
  return { results };
}

async function hybrid(
  database: Database,
  { query, query_vector: vector, filters }: Payload,
): Promise<object> {
  const { limit, user_id: user } = filters;
  const near = await database.transaction((session) => nearest(session, [vectorText(vector), user]));
  const worded = await database.query<Ranked>(BEST_WORDS, [anyWord(query), user, FUSED_DEPTH]);
  const best = fuse([idsOf(near), idsOf(worded)]).slice(0, limit);
  const rows = await database.query<Ranked>(READ_MANY, [best.map(({ memoryId }) => memoryId)]);
  const memories = new Map(rows.map((row) => [row.memory_id, row]));
  return {
    results: best.map(({ memoryId, score }) => ({ ...memories.get(memoryId), similarity_score: score })),
  };
}

async function nearest(session: Session, asked: readonly unknown[]): Promise<Ranked[]> {
  await session.script(
    `set local hnsw.iterative_scan = strict_order; set local hnsw.ef_search = ${FUSED_DEPTH}`,
  );
  return session.query<Ranked>(NEAREST, [...asked, FUSED_DEPTH]);
}

function idsOf(rows: readonly Ranked[]): string[] {
  return rows.map(({ memory_id: id }) => id);
}

function vectorText(vector: readonly number[]): string {
  return `[${vector.join(',')}]`;
}
