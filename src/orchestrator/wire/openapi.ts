import { type TSchema, Type } from 'typebox';
import { ERROR_CODES } from '../../domain/errors.ts';
import { described } from './described.ts';
import { LIMITS } from './limits.ts';
import { type Action, LANE, PAYLOADS } from './payloads.ts';
import { REPLIES } from './replies.ts';
import { REPLY_EXCEPTIONS, REPLY_FIELDS } from './reply-fields.ts';
import { REQUEST_EXCEPTIONS, REQUEST_FIELDS } from './request-fields.ts';
import { needsSession } from './request.ts';

const SUMMARIES: Readonly<Record<Action, string>> = {
  create: 'Stores a memory. The same memory_id with the same content gets the first answer again.',
  update: 'Changes a memory. Content and tags replace; what is left out keeps its value.',
  delete: 'Deletes a memory. Its tombstone stays until it is purged.',
  bulk_delete: 'Deletes what a filter selects, without one the whole session.',
  create_session: 'Begins a session, or the next life of one that has ended.',
  upsert_session: 'Makes a session hold what is given.',
  end_session: 'Ends a session, with a summary unless one is given.',
  batch_write: 'Applies writes in order, in one transaction, all or none.',
  read: 'Reads one memory.',
  batch_read: 'Reads memories by ids, by filter, or both.',
  scan: 'Reads one session completely, in order, page by page.',
  search: 'Finds memories by words, by meaning, or both.',
  summarize: 'Says what the memories of a session are about.',
  list_sessions: 'Lists sessions by id, page by page.',
  digest: 'Count and digest of the memories of one or many sessions.',
  put_profile: 'Makes the profile of a user hold what is given.',
  get_profile: 'Reads the profile of a user.',
  delete_profile: 'Deletes the profile of a user.',
  put_agent_state: 'Stores the state of an agent, in a session or outside any.',
  get_agent_state: 'Reads the state of an agent.',
  add_relationship: 'Relates two memories.',
  get_related: 'What a memory is related to.',
  health: 'How the orchestrator is.',
  ping: 'As health.',
  health_check: 'As health.',
};

const REQUEST_ID = Type.Optional(Type.Union([Type.String(), Type.Number(), Type.Null()]));

function requestOf(action: Action): TSchema {
  const sessionId = Type.String({ maxLength: LIMITS.idLength });
  return Type.Object({
    action: Type.Optional(Type.Literal(action)),
    session_id: needsSession(action) ? sessionId : Type.Optional(sessionId),
    request_id: REQUEST_ID,
    timestamp: Type.Optional(Type.String()),
    deadline_ms: Type.Optional(Type.Integer({ minimum: 1, maximum: LIMITS.deadlineMaxMs })),
    auth: Type.Optional(Type.Object({ key: Type.Optional(Type.String()) })),
    lane: Type.Optional(LANE),
    payload: takesNothing(action) ? Type.Optional(PAYLOADS[action]) : PAYLOADS[action],
  });
}

/** Nothing of the payload is required. */
function takesNothing(action: Action): boolean {
  const schema: TSchema & { readonly required?: unknown; readonly allOf?: unknown } = PAYLOADS[action];
  return schema.required === undefined && schema.allOf === undefined;
}

const ENVELOPE = { action: Type.String(), request_id: REQUEST_ID, timestamp: Type.String() };

const ERROR = Type.Object({
  status: Type.Literal('error'),
  ...ENVELOPE,
  action: Type.Optional(Type.String()),
  error: Type.Object({
    code: Type.Enum([...ERROR_CODES]),
    message: Type.String(),
    details: Type.Object({
      effect: Type.Enum(['rejected', 'not_applied', 'unknown']),
      reason: Type.Optional(Type.String()),
      field: Type.Optional(Type.String()),
      limit: Type.Optional(Type.Number()),
      operation: Type.Optional(Type.Integer()),
      retry_after_ms: Type.Optional(Type.Integer()),
      version: Type.Optional(Type.Integer()),
      sqlstate: Type.Optional(Type.String()),
    }),
  }),
});

const FAILURES: Readonly<Record<string, string>> = {
  400: 'invalid_request: the message is none, or names no action, or lacks its session',
  401: 'permission_denied: without a key, or with one that is not valid',
  403: 'permission_denied: the key does not permit this',
  404: 'memory_not_found, session_not_found',
  409: 'validation_error, reason duplicate: the id exists with another content or owner',
  413: 'invalid_request, reason too_large: the message has more than 4 MiB',
  422: 'validation_error: details.field is wrong, or (reason version_conflict) has changed meanwhile',
  429: 'rate_limit_exceeded: details.retry_after_ms',
  500: 'internal_error, search_error',
  503: 'storage_error: the database does not answer, or not before the deadline (reason timeout); details.effect says what is known',
};

const ABOUT = `The same messages travel over ZeroMQ, one JSON frame each way: {"action": "read", "session_id": …, "payload": {…}}.
What is null is as good as left out, except where a field says what null means. Ids, tags and names have at most 64 characters.
Every reader sees a write from the next read on. Reading a session that does not exist finds nothing; writing to it fails with session_not_found.
Content that was stored with escape_unstorable comes back as it was sent: NaN, Infinity and -Infinity stand in the reply as bare words, as Python's json module writes them. Such a reply is no strict JSON.`;

/** What is there beside the actions: path, what for, and the type of its answer. */
const PAGES: readonly (readonly [path: string, summary: string, type: string])[] = [
  ['/health/live', 'Whether the process runs.', 'application/json'],
  ['/health/ready', 'As the action health, without envelope; 503 while it is unhealthy.', 'application/json'],
  ['/metrics', 'Metrics as Prometheus text.', 'text/plain'],
];

/** What HTTP offers, from the same schemas that check both transports. */
export function openApiOf(version: string): object {
  const actions = Object.keys(PAYLOADS) as Action[];
  return {
    openapi: '3.1.0',
    info: { title: 'Memory Orchestrator', version, description: ABOUT },
    paths: Object.fromEntries([
      ...actions.map((action) => [`/v1/${action}`, { post: operationOf(action) }]),
      ...PAGES.map(([path, summary, type]) => [
        path,
        { get: { summary, responses: { 200: { description: 'success', content: { [type]: {} } } } } },
      ]),
    ]),
    components: {
      schemas: { Error: described(ERROR, { ...REPLY_WORDS, action: '' }) },
      securitySchemes: { key: { type: 'http', scheme: 'bearer' } },
    },
    security: [{}, { key: [] }],
  };
}

const REQUEST_WORDS = { fields: REQUEST_FIELDS, exceptions: REQUEST_EXCEPTIONS };
const REPLY_WORDS = { fields: REPLY_FIELDS, exceptions: REPLY_EXCEPTIONS };

function operationOf(action: Action): object {
  const success = Type.Object({ status: Type.Literal('success'), ...ENVELOPE, data: REPLIES[action] });
  const failures = Object.entries(FAILURES).map(([status, description]) => [
    status,
    { description, ...jsonOf({ $ref: '#/components/schemas/Error' }) },
  ]);
  return {
    operationId: action,
    summary: SUMMARIES[action],
    requestBody: { required: true, ...jsonOf(described(requestOf(action), { ...REQUEST_WORDS, action })) },
    responses: {
      200: { description: 'success', ...jsonOf(described(success, { ...REPLY_WORDS, action })) },
      ...Object.fromEntries(failures),
    },
  };
}

function jsonOf(schema: unknown): object {
  return { content: { 'application/json': { schema } } };
}
