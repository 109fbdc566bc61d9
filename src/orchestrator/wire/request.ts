import type { TSchema } from 'typebox';
import { ValidationError } from '../../domain/errors.ts';
import {
  hasMoreValuesThan,
  isDeeperThan,
  isJsonObject,
  type JsonObject,
  parseTolerantly,
  rawMembers,
} from '../../domain/json.ts';
import type { VectorInHand } from '../embeddings/supplied-vectors.ts';
import { firstMistake } from './first-mistake.ts';
import { LIMITS, messageTooLarge } from './limits.ts';
import { type Action, isAction, type Lane, LANE, type PayloadOf, PAYLOADS } from './payloads.ts';
import { isStorable, maybeUnstorable, unstorable } from './unstorable-text.ts';

/** A JSON message that is not validated yet. Its members are available parsed and as raw text. */
export interface Message {
  readonly members: JsonObject;
  readonly raw: Readonly<Record<string, string>>;
  /** It may contain values that cannot be stored as text. */
  readonly suspicious: boolean;
}

/** A validated request. */
export interface Request<A extends Action = Action> {
  readonly action: A;
  /** Not empty if the action needs a session. */
  readonly sessionId: string;
  readonly payload: PayloadOf<A>;
  /** The payload's members as raw text, so that content keeps its spelling. */
  readonly raw: Readonly<Record<string, string>>;
  readonly lane: Lane | undefined;
  /** Identifies a write, so that its repetition gets the first answer. Undefined without a usable id. */
  readonly requestId: string | undefined;
  /** How long the caller waits for the answer. */
  readonly deadlineMs: number;
  readonly suspicious: boolean;
  /** Values that the orchestrator adds to a write. */
  readonly generated?: Generated;
  /** The supplied vector of a create, ready for the statement that creates the memory. */
  readonly vector?: VectorInHand | undefined;
}

interface Generated {
  readonly summary: string;
  /** Method, count and range of the summary. */
  readonly summarized: object;
}

/** Values that an operation of a batch takes from the envelope. */
interface Defaults {
  readonly sessionId: unknown;
  readonly lane: unknown;
}

const WITHOUT_SESSION: ReadonlySet<Action> = new Set([
  'create_session',
  'batch_write',
  'close_sequence',
  'lane_positions',
  'list_sessions',
  'put_profile',
  'get_profile',
  'delete_profile',
  'put_agent_state',
  'get_agent_state',
  'health',
  'ping',
  'health_check',
]);
// These members may need the escape to be storable; the code that stores them decides.
const ESCAPABLE: ReadonlySet<string> = new Set([
  'content',
  'session_metadata',
  'operations',
  'profile_data',
  'preferences',
  'state_data',
  'metadata',
]);
// For these members null removes the value. For all others it counts as absent.
const NULLABLE: ReadonlySet<string> = new Set(['ttl', 'expires_at', 'ended_at']);
const NESTED: ReadonlySet<string> = new Set(['filter', 'filters', 'sort', 'time_range', 'requires']);

const utf8 = new TextDecoder('utf-8', { fatal: true, ignoreBOM: true });

/** Parses the bytes of one message. @throws ValidationError, code `invalid_request` */
export function readMessage(bytes: Uint8Array): Message {
  const text = textOf(bytes);
  if (hasMoreValuesThan(text, LIMITS.values))
    throw new ValidationError(`The message has too many JSON values: the limit is ${LIMITS.values}`, {
      details: { field: 'message', limit: LIMITS.values },
    });
  if (isDeeperThan(text, LIMITS.depth))
    throw new ValidationError(`The message is nested too deeply: the limit is ${LIMITS.depth} levels`, {
      details: { field: 'message', limit: LIMITS.depth },
    });
  return messageOfText(text);
}

const SENDER_MEMBERS: ReadonlySet<string> = new Set(['auth', 'action', 'request_id']);

/**
 * Extracts the members that identify the sender from the text of a message. Parsing a message of 4 MiB takes up to half a second, which a
 * caller without a key must not cost. @throws ValidationError, code `invalid_request`
 */
export function readSender(bytes: Uint8Array): Pick<Message, 'members' | 'raw'> {
  const text = textOf(bytes);
  try {
    const raw = rawMembers(text, SENDER_MEMBERS);
    const isShort = ([, value]: [string, string]): boolean => value.length <= LIMITS.senderBytes;
    const entries = Object.entries(raw).filter(isShort);
    return { raw, members: Object.fromEntries(entries.map(([name, value]) => [name, JSON.parse(value)])) };
  } catch {
    throw invalid('Invalid JSON format');
  }
}

function textOf(bytes: Uint8Array): string {
  if (bytes.byteLength > LIMITS.messageBytes) throw messageTooLarge();
  try {
    return utf8.decode(bytes);
  } catch (cause) {
    throw invalid('The message is not UTF-8', cause);
  }
}

function messageOfText(text: string): Message {
  let parsed: unknown;
  let strictly = true;
  try {
    parsed = JSON.parse(text);
  } catch {
    strictly = false;
    try {
      parsed = parseTolerantly(text);
    } catch {
      // The parser's message quotes the text.
      throw invalid('Invalid JSON format');
    }
  }
  if (!isJsonObject(parsed)) throw invalid('The message must be one JSON object');
  return { members: parsed, raw: rawMembers(text), suspicious: maybeUnstorable(text, strictly) };
}

/** The only place that validates a message. @throws ValidationError */
export function parseRequest(message: Message, defaults?: Defaults): Request {
  const { members, raw, suspicious } = message;
  const { action } = members;
  if (typeof action !== 'string') throw invalid('action must be a string');
  if (!isAction(action)) throw invalid(`Unknown action: ${action.slice(0, 64)}`);
  const payload = payloadOf(members);
  const rawPayload = raw['payload'] === undefined || members['payload'] === null ? '{}' : raw['payload'];
  const request = {
    action,
    sessionId: sessionIdOf(members['session_id'] ?? defaults?.sessionId, action, payload),
    payload: checked(PAYLOADS[action], payload, '') as PayloadOf<Action>,
    raw: rawMembers(rawPayload),
    lane: laneOf(members['lane'], action) ?? laneOf(defaults?.lane),
    requestId: requestIdOf(members['request_id']),
    deadlineMs: deadlineOf(members['deadline_ms']),
    suspicious,
  };
  if (suspicious) refuseUnstorable(raw, request.raw);
  return request;
}

function payloadOf(members: JsonObject): JsonObject {
  const payload = members['payload'] ?? {};
  if (!isJsonObject(payload)) throw invalid('payload must be an object');
  return withoutNulls(payload);
}

/** Checks only the nested members that are used. */
function hasNulls(object: JsonObject): boolean {
  for (const name of Object.keys(object)) {
    const value = object[name];
    if (value === null ? !NULLABLE.has(name) : NESTED.has(name) && hasNullsInside(value)) return true;
  }
  return false;
}

function hasNullsInside(value: unknown): boolean {
  return Array.isArray(value) ? value.some(hasNullsInside) : isJsonObject(value) && hasNulls(value);
}

function withoutNulls(object: JsonObject): JsonObject {
  if (!hasNulls(object)) return object;
  const entries = Object.entries(object)
    .filter(([name, value]) => value !== null || NULLABLE.has(name))
    .map(([name, value]) => [name, NESTED.has(name) ? withoutNullsInside(value) : value]);
  return Object.fromEntries(entries) as JsonObject;
}

function withoutNullsInside(value: unknown): unknown {
  if (Array.isArray(value)) return value.map(withoutNullsInside);
  return isJsonObject(value) ? withoutNulls(value) : value;
}

function sessionIdOf(given: unknown, action: Action, payload: JsonObject): string {
  const sessionId = given === undefined || given === null ? '' : given;
  if (typeof sessionId !== 'string') throw invalid('session_id must be a string');
  if (sessionId.length > LIMITS.idLength)
    throw new ValidationError(`session_id must not have more than ${LIMITS.idLength} characters`, {
      details: { field: 'session_id', limit: LIMITS.idLength },
    });
  if (sessionId === '' && !WITHOUT_SESSION.has(action) && !namesMore(action, payload))
    throw new ValidationError('session_id is required', {
      code: 'invalid_request',
      details: { field: 'session_id' },
    });
  return sessionId;
}

/** Actions that can cover several sessions, if the payload selects them. */
const SPANNING: Partial<Record<Action, (payload: JsonObject) => unknown>> = {
  batch_read: ({ filter }) => isJsonObject(filter) && filter['user_id'],
  bulk_delete: ({ filter }) => isJsonObject(filter) && filter['user_id'],
  search: ({ filters }) => isJsonObject(filters) && filters['user_id'],
  digest: ({ session_ids: ids }) => Array.isArray(ids),
};

/** Whether a request of this action always needs a session. */
export function needsSession(action: Action): boolean {
  return !WITHOUT_SESSION.has(action) && SPANNING[action] === undefined;
}

function namesMore(action: Action, payload: JsonObject): boolean {
  const named = SPANNING[action]?.(payload) ?? false;
  return typeof named === 'string' || named === true;
}

// The original clients send "unknown" if they have no id. A value that is not a short text does not identify a write, and is ignored.
function requestIdOf(id: unknown): string | undefined {
  const named =
    typeof id === 'string' && id !== '' && id !== 'unknown' && id.length <= LIMITS.requestIdLength;
  return named ? id : undefined;
}

function deadlineOf(given: unknown): number {
  if (given === undefined || given === null) return LIMITS.deadlineMs;
  if (!Number.isSafeInteger(given) || Number(given) < 1 || Number(given) > LIMITS.deadlineMaxMs)
    throw new ValidationError(`deadline_ms must be a whole number from 1 to ${LIMITS.deadlineMaxMs}`, {
      details: { field: 'deadline_ms', limit: LIMITS.deadlineMaxMs },
    });
  return Number(given);
}

/** @param action that of the message with the lane; undefined for the lane of a batch, which its operations take over */
function laneOf(given: unknown, action?: Action): Lane | undefined {
  if (given === undefined || given === null) return undefined;
  const present = isJsonObject(given) ? withoutNulls(given) : given;
  const lane = checked(LANE, present, 'lane') as Lane;
  if (lane.operation_id !== undefined && action !== undefined && action !== 'batch_write')
    throw new ValidationError('lane.operation_id is for batch_write only', {
      details: { field: 'lane.operation_id' },
    });
  return lane;
}

function refuseUnstorable(envelope: Message['raw'], payload: Message['raw']): void {
  for (const field of ['session_id', 'lane']) {
    const text = envelope[field];
    if (text !== undefined && !isStorable(text)) throw unstorable(field);
  }
  for (const [field, text] of Object.entries(payload))
    if (!ESCAPABLE.has(field) && !isStorable(text)) throw unstorable(field);
}

function checked(schema: TSchema, value: unknown, parent: string): unknown {
  const mistake = firstMistake(schema, value);
  if (mistake === undefined) return value;
  const field = [parent, ...mistake.path].filter((part) => part !== '').join('.');
  const limit = mistake.limit === undefined ? {} : { limit: mistake.limit };
  throw new ValidationError(`${field} ${mistake.complaint}`, { details: { field, ...limit } });
}

function invalid(message: string, cause?: unknown): ValidationError {
  return new ValidationError(message, { code: 'invalid_request', cause });
}
