import type { Lane, PayloadOf, Action } from './payloads.ts';

type NamesOf<T> = T extends unknown ? keyof T & string : never;
type ReadFilter = NonNullable<PayloadOf<'batch_read'>['filter']>;
type Filters = NonNullable<PayloadOf<'search'>['filters']>;
type Nested = ReadFilter | Filters | NonNullable<ReadFilter['time_range']> | NonNullable<ReadFilter['sort']>;
type Envelope = 'action' | 'request_id' | 'timestamp' | 'deadline_ms' | 'auth' | 'lane' | 'payload' | 'key';

/** Every name that a request may hold, at any depth. */
type RequestField = Envelope | NamesOf<PayloadOf<Action>> | NamesOf<Nested> | NamesOf<Lane>;

/** What each field of a request is. Where a name means something else under one parent, {@link REQUEST_EXCEPTIONS} says what. */
export const REQUEST_FIELDS: Readonly<Record<RequestField, string>> = {
  action: 'What is asked for. Over HTTP the address says it; ZeroMQ needs it.',
  session_id: 'The session that the request is about.',
  request_id:
    'Echoed. A write gets its first answer again when the same caller repeats it in the same session with the same id and payload within 24 hours; up to 256 characters, "unknown" and numbers name nothing.',
  timestamp: 'When the message was made. Ignored.',
  deadline_ms: 'How long the caller waits for the answer, milliseconds. Default 10,000.',
  auth: 'Who asks, where access.keys is required; over HTTP the header "Authorization: Bearer" may say it instead.',
  key: 'An API key of `crossfade orchestrator keys create`.',
  lane: 'The fence of a write that the migration replays: a lower generation has no effect and is answered with superseded, a sequence that is not above the last one with already_applied. Ignored by reads. Not for keys of the role agent.',
  generation: 'Raised by every copy of the lane.',
  sequence: 'The number of the write within the generation. Without one, only the generation is looked at.',
  payload: 'What the action needs. What is not listed here is ignored, except in the filter of bulk_delete.',
  memory_id: 'Unique in the whole installation.',
  memory_type: 'conversation, context, user_preference, agent_state, or any word of your own.',
  content:
    'Any JSON object of at most 1 MiB, kept digit for digit. `text` is what searches and summaries read; `source_agent` (a text of at most 64 characters) and `metadata` (an object) can be filtered by.',
  tags: 'Labels. They replace those before; one given twice counts once.',
  ttl: 'Seconds from created_at until it expires; expires_at goes before it. null: never.',
  priority: '1 to 10. Default 5.',
  position: 'Its place in the order of the session. Without one it comes last.',
  created_at:
    'ISO-8601, UTC where it names no zone, years 1 to 9999, kept to the millisecond. Default: now. For imports.',
  updated_at: 'The time that counts as that of this write. Default: now. For imports.',
  expires_at: 'When it expires: from then on nobody sees it. null: never.',
  embedding: "A vector of the installation's model and dimension (see health), in place of one made here.",
  suppress_events: 'Accepted for callers of the design; there are no events to suppress.',
  escape_unstorable:
    'Stores NUL, half surrogate pairs, NaN and Infinity, which are refused otherwise (reason unstorable_text). Readers get them back as they were.',
  create_session: 'Makes the session when there is none. Without it, session_not_found.',
  user_id: 'The user that a session or a profile belongs to.',
  if_version: 'Writes only while this is its version; else validation_error, reason version_conflict.',
  no_touch: 'Accepted for callers of the design; no read changes anything.',
  filter: 'All conditions must hold.',
  filters: 'All conditions must hold.',
  limit: 'Most that one answer holds. Default 50.',
  offset: 'How many are passed over. Default 0.',
  sort: 'Ties go by position, then by id. Default: created_at, desc.',
  field: 'Default created_at.',
  order: 'Default desc.',
  memory_ids:
    'Only these. Together with a filter both apply; batch_read lists in missing_ids what is not there.',
  count: 'false: total_count is null, which is faster. Default true.',
  memory_types: 'Any of these.',
  time_range: 'By created_at. Either end may be left out.',
  start: 'ISO-8601, included.',
  end: 'ISO-8601, not included.',
  older_than: 'By created_at: before an ISO-8601 time, or more than so many seconds ago.',
  metadata: 'Members of content.metadata that must be equal.',
  position_below: 'Memories with a position below this.',
  position_above: 'Memories with a position above this; those without one are in no order and left out.',
  min_similarity: 'Cosine similarity, 0 to 1. Does not apply to keyword results.',
  query:
    'What to look for: words, "phrases", or, -not. keyword finds what holds all of the words, hybrid also what holds any. Required unless a semantic search brings a query_vector.',
  query_vector: "A vector of the installation's model and dimension, in place of one made of the query.",
  exact: 'Compares every vector instead of asking the index. Default false.',
  search_type:
    'Default keyword, or semantic with a query_vector. What was really done is in search_metadata.search_type.',
  session_metadata: 'Any JSON object.',
  session_type: 'A word of your own. Default conversation, or session_metadata.session_type.',
  ended_at: 'When the session ended. null opens it again.',
  summary: 'What the session was about, at most 1,048,576 characters.',
  is_archived: 'A mark. Nothing is moved or removed by it.',
  archive: 'Marks the session as archived. Default false.',
  fields:
    'Members of the content that are digested, as canonical JSON (RFC 8785). What a memory lacks is left out.',
  session_ids: 'Digests each of these sessions instead of one.',
  exclude_tags: 'Memories with any of these tags are left out.',
  without: 'Members inside these fields that are left out, such as metadata.seen_at.',
  ordered: 'Digests the memories in the order of their positions. Default false: in none.',
  with_tags: 'The tags of the memories are digested, too. Default false.',
  known_fingerprints:
    'Fingerprints that the sessions were once answered with, in the order of session_ids; null for one that is not known. Asks for fingerprints, and for the digests of those sessions alone that have another one now.',
  profile_data: 'Any JSON object. Replaces; left out, it stays.',
  preferences: 'Any JSON object. Replaces; left out, it stays.',
  agent_id: 'Whose state it is. Each session has its own, and there is one outside of all.',
  state_data: 'Any JSON object. Replaces.',
  source_memory_id: 'Where the relation begins: a memory of the session.',
  target_memory_id: 'Where it leads: a memory of the session, or of another one of the same user.',
  relationship_type: 'A word of your own.',
  operations:
    'Writes, each {action, session_id, payload, lane}; session_id and lane of the envelope stand in for those left out. What is refused is named in details.operation, counted from 0.',
  cursor: 'next_cursor of the page before.',
  include_deleted: 'Deleted and expired memories too, with is_active false. Default false.',
  source_agent: 'Sessions that hold a memory of this agent.',
  updated_since: 'ISO-8601: sessions that were changed, or of which a memory was, at that time or later.',
};

/** By `parent.field`, where the parent is an action or the field around it. */
export const REQUEST_EXCEPTIONS: Readonly<Record<string, string>> = {
  'lane.key': 'Names the lane.',
  'create.memory_id':
    'Default `mem-<uuid>`. The same id with the same content gets the first answer again, with another one validation_error, reason duplicate.',
  'create.user_id': 'The user of the session that create_session makes.',
  'update.content': 'Replaces the content. Left out, it stays.',
  'update.ttl': 'Seconds from now until it expires; expires_at goes before it. null removes the expiry.',
  'update.priority': '1 to 10.',
  'update.created_at': 'ISO-8601. Left out, it stays.',
  'upsert_session.session_type': 'A word of your own. For a new session conversation by default.',
  'create_session.session_id':
    'Default `session-<uuid>`. May stand beside the payload or in it. That of a session of the same user gets the first answer again, that of another user validation_error, reason duplicate.',
  'upsert_session.session_id': 'The session. Beside the payload; in it, it is ignored.',
  'end_session.summary': 'Left out, one is made of the memories of the session, unless it has one.',
  'end_session.ended_at': 'ISO-8601. Default: now. A session that has ended keeps its first end.',
  'filter.tags': 'All of these. An empty list narrows nothing.',
  'filters.tags': 'All of these. An empty list narrows nothing.',
  'filter.user_id': 'Memories of all sessions of this user; then session_id may be left out.',
  'filters.user_id': 'Memories of all sessions of this user; then session_id may be left out.',
  'bulk_delete.filter': 'All conditions must hold. Without any, the whole session is deleted.',
  'list_sessions.user_id': 'Sessions of this user.',
  'search.filters': 'All conditions must hold. limit and offset stand here.',
  'batch_read.limit': 'Default 50. The one in filter goes before it; so do offset and sort.',
  'put_agent_state.ttl':
    'Seconds from now until it expires; expires_at goes before it. null removes the expiry; left out, it stays.',
  'add_relationship.metadata': 'Any JSON object. Replaces that of the same relation.',
  'get_related.source_memory_id': 'Finds what it leads to. This or target_memory_id is required.',
  'get_related.target_memory_id': 'Finds what leads to it.',
};
