import type { Lane, PayloadOf, Action } from './payloads.ts';

type NamesOf<T> = T extends unknown ? keyof T & string : never;
type ReadFilter = NonNullable<PayloadOf<'batch_read'>['filter']>;
type Filters = NonNullable<PayloadOf<'search'>['filters']>;
type Nested = ReadFilter | Filters | NonNullable<ReadFilter['time_range']> | NonNullable<ReadFilter['sort']>;
type Requirement = NonNullable<PayloadOf<'batch_write'>['requires']>[number];
type Envelope = 'action' | 'request_id' | 'timestamp' | 'deadline_ms' | 'auth' | 'lane' | 'payload' | 'key';

/** Every member name of a request, at any depth. */
type RequestField =
  | Envelope
  | NamesOf<PayloadOf<Action>>
  | NamesOf<Nested>
  | Exclude<NamesOf<Requirement>, 'session' | 'memory'>
  | NamesOf<Lane>;

/** Descriptions of the fields of a request. {@link REQUEST_EXCEPTIONS} has those that differ under one parent. */
export const REQUEST_FIELDS: Readonly<Record<RequestField, string>> = {
  action: 'The requested action. Required over ZeroMQ; over HTTP it is in the URL.',
  session_id: 'The session of the request.',
  request_id:
    'Returned in the answer. If a caller repeats a write in the same session with the same request_id and payload within 24 hours, it gets the first answer again. Up to 256 characters; "unknown" and numbers do not identify a write.',
  timestamp: 'Time of the message. Ignored.',
  deadline_ms: 'How long the caller waits for the answer, milliseconds. Default 10,000.',
  auth: 'The credentials, if access.keys is required. Over HTTP the header "Authorization: Bearer" can replace them.',
  key: 'An API key from `crossfade orchestrator keys create`.',
  lane: 'The fence of a write by the migration. A lower generation has no effect and is answered with superseded. A sequence that is not above the last one has no effect and is answered with already_applied. Reads ignore it. Not allowed for keys of the role agent.',
  epoch:
    "Increased each time another side takes the lane's writes first. A lower epoch than the lane's has no effect and is answered with superseded. Default 0.",
  generation: 'Increased by every copy of the lane.',
  sequence: 'The number of the write within the generation. Without it only the generation is checked.',
  operation_id:
    'batch_write only: names the write. The whole batch is then one write of this lane, and needs a sequence. The lane keeps the answer, at most 65,536 bytes, until its next write. A repetition with the same operation_id gets it again, with repeated.',
  requires:
    'Preconditions, checked after the fence, in the transaction of the write. The whole batch is then one write of its lane, which needs a sequence. If one is not met, nothing is applied, the sequence is taken, and the answer is refused. Each has either session or memory.',
  keys: 'Keys of lanes.',
  moved_after:
    'Key of a lane. The next lanes whose writes have moved are listed, in the order of their keys.',
  payload:
    'The parameters of the action. Members that are not listed here are ignored, except in the filter of bulk_delete.',
  memory_id: 'Id of the memory, unique in the whole installation.',
  memory_type: 'conversation, context, user_preference, agent_state, or any other lower-case word.',
  content:
    'Any JSON object of at most 1 MiB, stored exactly as given. Searches and summaries read `text`. Filters can use `source_agent` (a text of at most 64 characters) and `metadata` (an object).',
  tags: 'Labels. They replace the previous labels; duplicates are removed.',
  ttl: 'Seconds from created_at until the memory expires; expires_at overrides it. null: never.',
  priority: '1 to 10. Default 5.',
  position: 'Position in the order of the session. Memories without one come last.',
  created_at:
    'Time of creation, for imports: ISO-8601, UTC if it has no zone, years 1 to 9999, millisecond resolution. Default: now.',
  updated_at: 'Time of this write, for imports. Default: now.',
  expires_at: 'Time from which the memory is no longer visible. null: never.',
  embedding:
    "A vector of the installation's model and dimension (see health). Without it the orchestrator computes one.",
  suppress_events: 'No effect: there are no events to suppress. Accepted for compatibility.',
  escape_unstorable:
    'true: store NUL, half surrogate pairs, NaN and Infinity reversibly. Otherwise they are refused (reason unstorable_text). Readers get the original values.',
  create_session: 'true: create the session if it does not exist. Otherwise the answer is session_not_found.',
  user_id: 'The user of a session or a profile.',
  if_version:
    'Write only if this is the current version; otherwise validation_error, reason version_conflict.',
  no_touch: 'No effect: reads change nothing. Accepted for compatibility.',
  filter: 'The conditions; all must be true.',
  filters: 'The conditions; all must be true.',
  limit: 'Maximum number of results. Default 50.',
  offset: 'Number of results to skip. Default 0.',
  sort: 'The order of results. Equal values are ordered by position, then by id. Default: created_at, desc.',
  field: 'Default created_at.',
  order: 'Default desc.',
  memory_ids: 'Only these memories. A filter applies as well. batch_read lists unknown ids in missing_ids.',
  count: 'false: faster, but total_count is null. Default true.',
  memory_types: 'Memories of any of these types.',
  time_range: 'Range of created_at. Either end can be omitted.',
  start: 'ISO-8601, inclusive.',
  end: 'ISO-8601, exclusive.',
  older_than: 'Memories created before an ISO-8601 time, or more than this number of seconds ago.',
  metadata: 'Members of content.metadata that must be equal.',
  position_below: 'Memories with a position below this.',
  position_above: 'Memories with a position above this. Memories without a position are excluded.',
  min_similarity: 'Cosine similarity, 0 to 1. Does not apply to keyword results.',
  query:
    'The search text: words, "phrases", or, -not. keyword finds memories with all of the words, hybrid also those with any. Required, except for a semantic search with a query_vector.',
  query_vector:
    "A vector of the installation's model and dimension. Without it the orchestrator computes one from the query.",
  exact: 'true: compare every vector instead of using the index. Default false.',
  search_type:
    'Default keyword, or semantic with a query_vector. search_metadata.search_type has the executed type.',
  session_metadata: 'Any JSON object.',
  session_type: 'Any word. Default: session_metadata.session_type, otherwise conversation.',
  ended_at: 'Time of the end of the session. null opens it again.',
  summary: 'Summary of the session, at most 1,048,576 characters.',
  is_archived: 'Marks the session as archived. Nothing is moved or removed.',
  archive: 'Marks the session as archived. Default false.',
  fields: 'Members of the content to digest, as canonical JSON (RFC 8785). Missing members are skipped.',
  session_ids: 'Digest each of these sessions instead of one.',
  exclude_tags: 'Exclude memories with any of these tags.',
  without: 'Members inside these fields to exclude, such as metadata.seen_at.',
  ordered: 'true: the digest depends on the order of positions. Default false.',
  with_tags: 'true: also digest the tags of the memories. Default false.',
  without_lane: 'Only memories that no write of a lane has made are digested.',
  known_fingerprints:
    'Known fingerprints of the sessions, in the order of session_ids; null for an unknown one. The answer then has fingerprints, and digests only of the sessions whose fingerprint has changed.',
  profile_data: 'Any JSON object. Replaces the previous one; if omitted, that stays.',
  preferences: 'Any JSON object. Replaces the previous one; if omitted, that stays.',
  agent_id: 'The agent of the state. An agent has one state per session, and one without a session.',
  state_data: 'Any JSON object. Replaces the previous state.',
  source_memory_id: 'The source of the relationship: a memory of the session.',
  target_memory_id:
    'The target of the relationship: a memory of the session, or of another session of the same user.',
  relationship_type: 'Any word.',
  operations:
    'Writes, each {action, session_id, payload, lane}. session_id and lane default to those of the envelope. If one is refused, details.operation has its index, from 0.',
  cursor: 'next_cursor of the previous page.',
  include_deleted: 'true: include deleted and expired memories, with is_active false. Default false.',
  source_agent: 'Sessions with a memory of this agent.',
  updated_since: 'ISO-8601. Sessions that changed, or whose memories changed, at this time or later.',
};

/** By `parent.field`, where the parent is an action or the field around it. */
export const REQUEST_EXCEPTIONS: Readonly<Record<string, string>> = {
  'lane.key': 'Key of the lane.',
  'requires.session':
    'What must be true of the session: present, absent, or open (present, not ended, and not archived).',
  'requires.session_id': 'Default: the session of the batch.',
  'requires.memory':
    'What must be true of the memory: present or absent. A deleted or expired memory is absent.',
  'requires.memory_id': 'The memory.',
  'create.memory_id':
    'Default `mem-<uuid>`. An existing id with the same content gets the first answer again; with different content validation_error, reason duplicate.',
  'create.user_id': 'The user of the session if create_session creates it.',
  'update.content': 'Replaces the content. If omitted, the content stays.',
  'update.ttl':
    'Seconds from now until the memory expires; expires_at overrides it. null removes the expiry.',
  'update.priority': '1 to 10.',
  'update.created_at': 'ISO-8601. If omitted, the time stays.',
  'upsert_session.session_type': 'Any word. Default for a new session: conversation.',
  'create_session.session_id':
    'Default `session-<uuid>`. Given next to the payload or in it. An existing session of the same user gets the first answer again; of another user validation_error, reason duplicate.',
  'upsert_session.session_id': 'The session. Must be next to the payload; inside the payload it is ignored.',
  'end_session.summary':
    'If omitted, a summary is made of the memories of the session, unless it already has one.',
  'end_session.ended_at': 'ISO-8601. Default: now. An ended session keeps its first end.',
  'filter.tags': 'Memories with all of these tags. An empty list selects all memories.',
  'filters.tags': 'Memories with all of these tags. An empty list selects all memories.',
  'filter.user_id': 'Memories of all sessions of this user; session_id can then be omitted.',
  'filters.user_id': 'Memories of all sessions of this user; session_id can then be omitted.',
  'bulk_delete.filter':
    'The conditions; all must be true. Without a condition all memories of the session are deleted.',
  'list_sessions.user_id': 'Sessions of this user.',
  'search.filters': 'The conditions; all must be true. Also contains limit and offset.',
  'batch_read.limit': 'Default 50. limit, offset and sort in filter override those here.',
  'put_agent_state.ttl':
    'Seconds from now until the state expires; expires_at overrides it. null removes the expiry; if omitted, it stays.',
  'add_relationship.metadata': 'Any JSON object. Replaces the metadata of the same relationship.',
  'get_related.source_memory_id': 'Finds the targets of this memory. This or target_memory_id is required.',
  'get_related.target_memory_id': 'Finds the sources that point to this memory.',
};
