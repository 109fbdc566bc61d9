import { type TObject, type TSchema, Type } from 'typebox';
import type { Action } from './payloads.ts';
import type { WriteAction } from '../memories/write.ts';

// The `data` of every answer, for the documentation, and for tests that check real answers.
const text = Type.String();
const id = Type.String();
const time = Type.String({ pattern: String.raw`^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z$` });
const count = Type.Integer({ minimum: 0 });
const flag = Type.Boolean();
const object = Type.Object({});
const yes = Type.Literal(true);
const cursor = Type.Optional(Type.String());
const timeRange = Type.Object({ start: Type.Optional(text), end: Type.Optional(text) });

function orNull<T extends TSchema>(schema: T) {
  return Type.Union([schema, Type.Null()]);
}

const memory = Type.Object({
  memory_id: id,
  session_id: id,
  memory_type: text,
  content: object,
  tags: Type.Array(text),
  source_agent: orNull(text),
  created_at: time,
  updated_at: time,
  expires_at: orNull(time),
  priority: Type.Integer({ minimum: 1, maximum: 10 }),
  position: orNull(count),
  version: Type.Integer({ minimum: 1 }),
});

const item = Type.Intersect([
  memory,
  Type.Object({
    lane_key: orNull(text),
    is_active: flag,
    deleted_at: orNull(time),
    deleted_generation: orNull(count),
    deleted_sequence: orNull(count),
    changed_since_snapshot: Type.Optional(yes),
  }),
]);

const found = Type.Intersect([
  memory,
  Type.Object({ similarity_score: Type.Number(), semantic_similarity: Type.Optional(Type.Number()) }),
]);

const summarized = Type.Object({
  method: Type.Enum(['extractive', 'model']),
  model: orNull(text),
  fell_back: flag,
  memory_count: count,
  total_count: count,
  time_range: orNull(Type.Object({ start: time, end: time })),
});

const session = Type.Object({
  session_id: id,
  user_id: orNull(id),
  session_type: text,
  session_metadata: object,
  created_at: time,
  updated_at: time,
  ended_at: orNull(time),
  summary: orNull(text),
  summarized: orNull(summarized),
  is_archived: flag,
  generation: Type.Integer({ minimum: 1 }),
});

const versioned = { created_at: time, updated_at: time, version: Type.Integer({ minimum: 1 }) };
const bits = Type.String({ pattern: '^[0-9a-f]{32}$' });
const digest = Type.Object({ count, digest: bits });
const digestOfSession = Type.Object({
  session_id: id,
  count,
  digest: Type.Optional(bits),
  fingerprint: Type.Optional(bits),
});
const superseded = Type.Object({
  superseded: yes,
  lane_generation: count,
  lane_epoch: Type.Optional(count),
});
const noEffect = [superseded, Type.Object({ already_applied: yes })];
const setBy = { set_by: Type.Enum(['write', 'close', 'copy']), operation_id: orNull(id) };
const alreadySet = Type.Object({ already_applied: yes, lane_sequence: count, ...setBy });
const word = Type.Enum(['present', 'absent', 'open']);
const refused = Type.Object({
  requirement: count,
  session: Type.Optional(word),
  session_id: Type.Optional(id),
  memory: Type.Optional(word),
  memory_id: Type.Optional(id),
});

const WRITTEN: { readonly [A in WriteAction]: TObject } = {
  create: Type.Object({ memory_id: id, created_at: time }),
  update: Type.Object({
    memory_id: id,
    updated_at: time,
    expires_at: orNull(time),
    version: Type.Integer({ minimum: 1 }),
  }),
  delete: Type.Object({ deleted: yes }),
  bulk_delete: Type.Object({ deleted_count: count, filter_applied: object }),
  create_session: Type.Object({ session_id: id, created_at: time }),
  upsert_session: Type.Object({
    session_id: id,
    created_at: time,
    updated_at: time,
    ended_at: orNull(time),
  }),
  end_session: Type.Object({
    session_id: id,
    ended_at: time,
    is_archived: flag,
    summarized: orNull(summarized),
  }),
  put_profile: Type.Object({ user_id: id, ...versioned }),
  delete_profile: Type.Object({ deleted: yes }),
  put_agent_state: Type.Object({
    agent_id: id,
    session_id: orNull(id),
    expires_at: orNull(time),
    ...versioned,
  }),
  add_relationship: Type.Object({ relationship_id: count, created_at: time }),
};

const results = Type.Array(Type.Union([...Object.values(WRITTEN), ...noEffect]));

const line = Type.Optional(Type.Object({ model: text, dimension: count, looked_at: count }));
const embeddings = Type.Object({
  provider: text,
  store: Type.Optional(text),
  waiting: Type.Optional(count),
  serving: line,
  filling: line,
  embedded: Type.Optional(count),
  refused: Type.Optional(count),
  failures: Type.Optional(count),
  queries: Type.Optional(count),
  query_fallbacks: Type.Optional(count),
  embedding_ms: Type.Optional(count),
  last_error: Type.Optional(text),
});

const health = Type.Object({
  status: Type.Enum(['healthy', 'degraded', 'unhealthy']),
  postgres: flag,
  cache: flag,
  vector: flag,
  error_count: count,
  last_error: Type.Optional(text),
  details: Type.Object({
    postgres_latency_ms: orNull(Type.Number({ minimum: 0 })),
    cache_latency_ms: Type.Optional(Type.Number({ minimum: 0 })),
    reason: Type.Optional(text),
    recent_errors: Type.Array(Type.Object({ at: time, code: text, message: text }), { maxItems: 5 }),
    connection_pool_size: count,
    version: text,
    item_count: count,
    embeddings,
  }),
});

const READ: { readonly [A in Exclude<Action, WriteAction>]: TSchema } = {
  batch_write: Type.Union([
    Type.Object({ results, repeated: Type.Optional(yes) }),
    Type.Object({ refused, repeated: Type.Optional(yes) }),
    superseded,
    alreadySet,
  ]),
  close_sequence: Type.Union([
    Type.Object({ closed: yes }),
    Type.Object({
      closed: Type.Literal(false),
      ...setBy,
      results: Type.Optional(results),
      refused: Type.Optional(refused),
    }),
    superseded,
    alreadySet,
  ]),
  lane_positions: Type.Object({
    lanes: Type.Array(
      Type.Object({ key: text, epoch: count, generation: count, sequence: orNull(count), ...setBy }),
    ),
    database: text,
  }),
  read: memory,
  batch_read: Type.Object({
    memories: Type.Array(memory),
    total_count: orNull(count),
    page_info: Type.Object({ limit: count, offset: count, has_more: flag }),
    missing_ids: Type.Optional(Type.Array(id)),
  }),
  scan: Type.Object({
    session: orNull(session),
    items: Type.Array(item),
    next_cursor: cursor,
    consistent: Type.Optional(flag),
  }),
  search: Type.Object({
    results: Type.Array(found),
    total_count: count,
    search_metadata: Type.Object({
      search_type: Type.Enum(['semantic', 'keyword', 'hybrid']),
      requested: Type.Enum(['semantic', 'keyword', 'hybrid']),
      embedding_model: orNull(text),
      query_embedding_dimension: orNull(count),
      min_similarity_applied: flag,
      vector_store: Type.Optional(text),
      exact: Type.Optional(flag),
      waiting_for_embedding: Type.Optional(count),
      waiting_is_estimate: Type.Optional(flag),
      total_is_lower_bound: Type.Optional(flag),
      fallback: Type.Optional(text),
    }),
  }),
  summarize: Type.Object({ summary: text, memory_count: count, time_range: timeRange, summarized }),
  list_sessions: Type.Object({ sessions: Type.Array(session), next_cursor: cursor }),
  digest: Type.Union([digest, Type.Object({ sessions: Type.Array(digestOfSession) })]),
  get_profile: Type.Object({ user_id: id, profile_data: object, preferences: object, ...versioned }),
  get_agent_state: Type.Object({
    agent_id: id,
    session_id: orNull(id),
    state_data: object,
    expires_at: orNull(time),
    ...versioned,
  }),
  get_related: Type.Object({
    related: Type.Array(
      Type.Object({
        relationship_id: count,
        relationship_type: text,
        source_memory_id: id,
        target_memory_id: id,
        metadata: object,
        created_at: time,
        memory,
      }),
    ),
    next_cursor: cursor,
  }),
  health,
  ping: health,
  health_check: health,
};

function fenced(schema: TSchema): TSchema {
  return Type.Union([schema, ...noEffect]);
}

const written = Object.entries(WRITTEN).map(([action, schema]) => [action, fenced(schema)]);

/** The schema of the `data` of each action. A fenced write may also have had no effect. */
export const REPLIES = { ...READ, ...Object.fromEntries(written) } as Readonly<Record<Action, TSchema>>;
