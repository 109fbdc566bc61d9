import { type Static, type TSchema, Type } from 'typebox';
import { LIMITS } from './limits.ts';

// The payloads of the wire, one per action. Unlisted members are ignored, because the original clients send more than the design has.
const id = Type.String({ minLength: 1, maxLength: LIMITS.idLength });
const word = Type.String({ pattern: '^[a-z][a-z0-9_-]*$', maxLength: LIMITS.memoryTypeLength });
const time = Type.String({ maxLength: 64 });
const flag = Type.Boolean();
const whole = Type.Integer({ minimum: 0, maximum: Number.MAX_SAFE_INTEGER });
const object = Type.Object({});
// A vector of the installation's model, supplied by the caller.
const vector = Type.Array(Type.Number({ minimum: -1e6, maximum: 1e6 }), { minItems: 1, maxItems: 16_000 });
const ids = Type.Array(id, { maxItems: LIMITS.pageMax });
const ttl = Type.Union([Type.Integer({ minimum: 1, maximum: LIMITS.ttlSeconds }), Type.Null()]);
const limit = Type.Integer({ minimum: 1, maximum: LIMITS.pageMax });
const timeOrNull = Type.Union([time, Type.Null()]);
const timeRange = Type.Object({ start: Type.Optional(time), end: Type.Optional(time) });
// Contains a snapshot, which lists the transactions that were open at its time.
const cursor = Type.String({ maxLength: 8_192 });
const longText = Type.String({ maxLength: LIMITS.contentBytes });

function partial<const T extends Record<string, TSchema>>(fields: T) {
  return Type.Partial(Type.Object(fields));
}

const writeOptions = { suppress_events: flag, escape_unstorable: flag, updated_at: time };
const entryFields = {
  tags: Type.Array(id, { maxItems: 256 }),
  ttl,
  priority: Type.Integer({ minimum: 1, maximum: 10 }),
  position: whole,
  created_at: time,
  expires_at: timeOrNull,
  embedding: vector,
};

const laneKey = Type.String({ minLength: 1, maxLength: LIMITS.laneKeyLength });

const laneFields = { key: laneKey, epoch: Type.Optional(whole), generation: whole };

export const LANE = Type.Object({
  ...laneFields,
  sequence: Type.Optional(whole),
  operation_id: Type.Optional(id),
});

/** The lane of `close_sequence`. */
export const CLOSED_LANE = Type.Object({ ...laneFields, sequence: whole });

const create = Type.Intersect([
  Type.Object({ memory_type: word, content: object }),
  partial({ ...entryFields, ...writeOptions, memory_id: id, create_session: flag, user_id: id }),
]);
const memory = Type.Object({ memory_id: id, no_touch: Type.Optional(flag) });
const update = Type.Intersect([
  memory,
  partial({ ...entryFields, ...writeOptions, content: object, if_version: whole }),
]);
const remove = Type.Intersect([memory, partial({ ...writeOptions, if_version: whole })]);

const filterFields = {
  memory_type: word,
  memory_types: Type.Array(word, { maxItems: 64 }),
  memory_ids: ids,
  time_range: timeRange,
  older_than: Type.Union([time, Type.Number({ minimum: 0, maximum: LIMITS.ageSeconds })]),
  tags: Type.Array(id, { maxItems: 64 }),
  metadata: object,
  user_id: id,
  position_below: whole,
  position_above: whole,
};
// An unknown condition must be refused, because ignoring it would delete the whole session.
const deleteFilter = Type.Partial(Type.Object(filterFields), { additionalProperties: false });
const pageFields = { limit, offset: whole };

const SORT_FIELDS = ['created_at', 'updated_at', 'priority', 'position'] as const;
const sort = partial({ field: Type.Enum([...SORT_FIELDS]), order: Type.Enum(['asc', 'desc']) });
const readFilter = partial({ ...filterFields, ...pageFields, sort });
const batchRead = partial({
  memory_ids: ids,
  filter: readFilter,
  ...pageFields,
  sort,
  count: flag,
  no_touch: flag,
});

const search = Type.Object({
  // Optional only with a query_vector.
  query: Type.Optional(Type.String({ minLength: 1, maxLength: 8_192 })),
  query_vector: Type.Optional(vector),
  exact: Type.Optional(flag),
  search_type: Type.Optional(Type.Enum(['semantic', 'keyword', 'hybrid'])),
  filters: Type.Optional(
    partial({ ...filterFields, ...pageFields, min_similarity: Type.Number({ minimum: 0, maximum: 1 }) }),
  ),
});

const sessionFields = {
  session_id: id,
  session_metadata: object,
  session_type: Type.String({ minLength: 1, maxLength: 32 }),
  created_at: time,
};
// The original client may start a session without a user.
const createSession = partial({ ...sessionFields, ...writeOptions, user_id: id });
const upsertSession = partial({
  ...sessionFields,
  ...writeOptions,
  user_id: id,
  ended_at: timeOrNull,
  summary: longText,
  is_archived: flag,
});
const endSession = partial({
  summary: longText,
  archive: flag,
  ended_at: time,
  updated_at: time,
  suppress_events: flag,
  escape_unstorable: flag,
});

const digest = Type.Intersect([
  Type.Object({
    fields: Type.Array(Type.String({ minLength: 1, maxLength: 256 }), { minItems: 1, maxItems: 64 }),
  }),
  partial({
    session_ids: Type.Array(id, { minItems: 1, maxItems: LIMITS.pageMax }),
    memory_types: Type.Array(word, { minItems: 1, maxItems: 64 }),
    exclude_tags: Type.Array(id, { minItems: 1, maxItems: 64 }),
    without: Type.Array(Type.String({ minLength: 1, maxLength: 256 }), { maxItems: 64 }),
    ordered: flag,
    with_tags: flag,
    // Only memories that no write of a lane has made.
    without_lane: flag,
    known_fingerprints: Type.Array(Type.Union([Type.String({ pattern: '^[0-9a-f]{32}$' }), Type.Null()]), {
      maxItems: LIMITS.pageMax,
    }),
    no_touch: flag,
  }),
]);

const profile = Type.Object({ user_id: id });
const putProfile = Type.Intersect([
  profile,
  partial({ profile_data: object, preferences: object, ...writeOptions, if_version: whole }),
]);
const agentState = Type.Object({ agent_id: id });
const putAgentState = Type.Intersect([
  agentState,
  Type.Object({ state_data: object }),
  partial({ ttl, expires_at: timeOrNull, ...writeOptions, if_version: whole }),
]);

const relationshipType = Type.String({ minLength: 1, maxLength: 32 });
const addRelationship = Type.Intersect([
  Type.Object({ source_memory_id: id, target_memory_id: id, relationship_type: relationshipType }),
  partial({ metadata: object, created_at: time, suppress_events: flag, escape_unstorable: flag }),
]);
const getRelated = partial({
  source_memory_id: id,
  target_memory_id: id,
  relationship_type: relationshipType,
  cursor,
  limit,
  no_touch: flag,
});

// Each names either a session or a memory, which the action checks.
const requirement = partial({
  session: Type.Enum(['present', 'absent', 'open']),
  session_id: id,
  memory: Type.Enum(['present', 'absent']),
  memory_id: id,
});

/** Every action, with the schema of its payload. */
export const PAYLOADS = {
  create,
  update,
  delete: remove,
  bulk_delete: partial({ filter: deleteFilter, ...writeOptions }),
  create_session: createSession,
  upsert_session: upsertSession,
  end_session: endSession,
  batch_write: Type.Object({
    operations: Type.Array(object, { minItems: 1, maxItems: LIMITS.batchOperations }),
    requires: Type.Optional(Type.Array(requirement, { maxItems: LIMITS.requirements })),
  }),
  close_sequence: object,
  // Either the lanes with these keys, or the next page of those with an epoch, which the action checks.
  lane_positions: partial({
    keys: Type.Array(laneKey, { minItems: 1, maxItems: LIMITS.pageMax }),
    moved_after: Type.String({ maxLength: LIMITS.laneKeyLength }),
  }),
  read: memory,
  batch_read: batchRead,
  scan: partial({ cursor, limit, include_deleted: flag, no_touch: flag }),
  search,
  summarize: partial({ memory_type: word, time_range: timeRange, no_touch: flag }),
  digest,
  put_profile: putProfile,
  get_profile: profile,
  delete_profile: profile,
  put_agent_state: putAgentState,
  get_agent_state: agentState,
  add_relationship: addRelationship,
  get_related: getRelated,
  list_sessions: partial({ cursor, limit, user_id: id, source_agent: id, updated_since: time }),
  health: object,
  ping: object,
  health_check: object,
} as const satisfies Record<string, TSchema>;

export type Action = keyof typeof PAYLOADS;
export type PayloadOf<A extends Action> = Static<(typeof PAYLOADS)[A]>;
export type Lane = Static<typeof LANE>;

export function isAction(word_: string): word_ is Action {
  return Object.hasOwn(PAYLOADS, word_);
}
