import { type TSchema, Type } from 'typebox';
import { ERROR_CODES } from '../../domain/errors.ts';
import { isJsonObject } from '../../domain/json.ts';
import { LIMITS } from './limits.ts';
import { type Action, CLOSED_LANE, LANE, PAYLOADS } from './payloads.ts';
import { REPLIES } from './replies.ts';
import { REPLY_EXCEPTIONS, REPLY_FIELDS } from './reply-fields.ts';
import { REQUEST_EXCEPTIONS, REQUEST_FIELDS } from './request-fields.ts';
import { needsSession } from './request.ts';

const SUMMARIES: Readonly<Record<Action, string>> = {
  create: 'Stores a memory. A repetition with the same memory_id and content gets the first answer again.',
  update: 'Changes a memory. Content and tags are replaced; omitted members keep their values.',
  delete: 'Deletes a memory. Its tombstone stays until it is purged.',
  bulk_delete: 'Deletes the memories that a filter selects; without a filter, all memories of the session.',
  create_session: 'Starts a session, or restarts a session that has ended.',
  upsert_session: 'Creates a session or replaces the given members of it.',
  end_session: 'Ends a session. Creates a summary unless one is given.',
  batch_write: 'Applies several writes in order, in one transaction: all or none.',
  close_sequence:
    'Takes a sequence of a lane. A write with this sequence can never take effect later; the answer tells whether it had before.',
  lane_positions: 'Returns the positions of lanes, and what set them.',
  read: 'Reads one memory.',
  batch_read: 'Reads memories by ids, by filter, or both.',
  scan: 'Reads a whole session, in order, page by page.',
  search: 'Finds memories by words, by meaning, or both.',
  summarize: 'Summarizes the memories of a session.',
  list_sessions: 'Lists sessions by id, page by page.',
  digest: 'Returns the number and the digest of the memories of one or more sessions.',
  put_profile: 'Creates a user profile or replaces the given members of it.',
  get_profile: 'Reads the profile of a user.',
  delete_profile: 'Deletes the profile of a user.',
  put_agent_state: 'Stores the state of an agent, in a session or without one.',
  get_agent_state: 'Reads the state of an agent.',
  add_relationship: 'Creates a relationship between two memories.',
  get_related: 'Returns the memories to which a memory is related.',
  health: 'Returns the state of the orchestrator.',
  ping: 'Same as health.',
  health_check: 'Same as health.',
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
    lane: action === 'close_sequence' ? CLOSED_LANE : Type.Optional(LANE),
    payload: takesNothing(action) ? Type.Optional(PAYLOADS[action]) : PAYLOADS[action],
  });
}

/** Whether the payload has no required members. */
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
  400: 'invalid_request: not a valid message, no known action, or no session',
  401: 'permission_denied: the key is missing or not valid',
  403: 'permission_denied: the key does not allow this',
  404: 'memory_not_found, session_not_found',
  409: 'validation_error, reason duplicate: the id exists with different content or another owner',
  413: 'invalid_request, reason too_large: the message is longer than 4 MiB',
  422: 'validation_error: details.field is wrong, or the version has changed (reason version_conflict)',
  429: 'rate_limit_exceeded: details.retry_after_ms',
  500: 'internal_error, search_error',
  503: 'storage_error: the database does not answer, or not before the deadline (reason timeout); see details.effect',
};

const ABOUT = `ZeroMQ carries the same messages, one JSON frame each way: {"action": "read", "session_id": …, "payload": {…}}.
Null has the same effect as leaving the field out, except where a field says what null means. Ids, tags and names have at most 64 characters.
The next read of any reader shows a write. Reading a session that does not exist finds nothing. Writing to it fails with session_not_found.
Content that was stored with escape_unstorable is returned as it was sent. NaN, Infinity and -Infinity appear as bare words, as Python's json module writes them. Such a reply is not strict JSON.`;

/** Further routes: path, summary, and the content type of the answer. */
const PAGES: readonly (readonly [path: string, summary: string, type: string])[] = [
  ['/health/live', 'Shows that the process runs.', 'application/json'],
  ['/health/ready', 'Same as the action health, without envelope; 503 while unhealthy.', 'application/json'],
  ['/metrics', 'Metrics as Prometheus text.', 'text/plain'],
];

/** The HTTP API, made from the schemas that check both transports. */
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

/** Descriptions of fields by name, or by `parent.name` for exceptions. */
interface Descriptions {
  readonly fields: Readonly<Record<string, string>>;
  readonly exceptions: Readonly<Record<string, string>>;
  /** The parent name of members of `payload` and `data`. */
  readonly action: string;
}

/** The JSON schema with a description for every known property. `parent` is the name of the enclosing field. */
function described(schema: unknown, descriptions: Descriptions, parent = ''): unknown {
  if (Array.isArray(schema)) return schema.map((part) => described(part, descriptions, parent));
  if (!isJsonObject(schema)) return schema;
  return Object.fromEntries(
    Object.entries(schema).map(([keyword, value]) => [
      keyword,
      keyword === 'properties'
        ? propertiesOf(value, descriptions, parent)
        : described(value, descriptions, parent),
    ]),
  );
}

function propertiesOf(properties: unknown, descriptions: Descriptions, parent: string): unknown {
  if (!isJsonObject(properties)) return properties;
  const { fields, exceptions, action } = descriptions;
  return Object.fromEntries(
    Object.entries(properties).map(([name, schema]) => {
      const description = exceptions[`${parent}.${name}`] ?? fields[name];
      const within = name === 'payload' || name === 'data' ? action : name;
      return [name, { description, ...(described(schema, descriptions, within) as object) }];
    }),
  );
}
