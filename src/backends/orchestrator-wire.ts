import {
  ConnectionError,
  DuplicateError,
  ERROR_CODES,
  NotFoundError,
  OperationError,
  StorageError,
  ValidationError,
  type CrossfadeError,
  type Effect,
  type ErrorCode,
} from '../domain/errors.ts';
import { encodeJson, isJsonObject, parseTolerantly, rawMembers, type JsonObject } from '../domain/json.ts';
import type {
  OrchestratorAnswer,
  OrchestratorRead,
  OrchestratorWrite,
  PrimaryResult,
  PrimaryWrite,
} from '../domain/orchestrator-call.ts';
import type { ClosedSequence, PrimaryFence, WriteAnswer } from '../engine/ports/ports.ts';

export interface Envelope {
  readonly requestId: string;
  /** ISO-8601, UTC. */
  readonly timestamp: string;
  readonly key: string | undefined;
  /** W3C trace context: the orchestrator's span becomes part of the caller's trace. Absent if the operation is not traced. */
  readonly traceparent?: string | undefined;
}

export function encodeRead(call: OrchestratorRead, envelope: Envelope): Buffer {
  return encode({ action: call.action, session_id: call.sessionId, payload: call.payload }, envelope);
}

export function encodeBatch(operations: readonly OrchestratorWrite[], envelope: Envelope): Buffer {
  const payload = {
    operations: operations.map(({ action, sessionId, lane, payload }) => ({
      action,
      session_id: sessionId,
      lane,
      payload,
    })),
  };
  return encode({ action: 'batch_write', payload }, envelope);
}

/** A batch that is one write of its lane. */
export function encodePrimaryWrite(
  { requires, operations }: PrimaryWrite,
  fence: PrimaryFence,
  envelope: Envelope,
): Buffer {
  const payload = {
    requires: requires.map((one) =>
      'session' in one
        ? { session: one.session, session_id: one.sessionId }
        : { memory: one.memory, memory_id: one.memoryId },
    ),
    operations: operations.map(({ action, sessionId, payload: members }) => ({
      action,
      session_id: sessionId,
      payload: members,
    })),
  };
  const { key, epoch, generation, sequence, operationId } = fence;
  const lane = { key, epoch, generation, sequence, operation_id: operationId };
  return encode({ action: 'batch_write', lane, payload }, envelope);
}

export function encodeClose(fence: PrimaryFence, envelope: Envelope): Buffer {
  const { key, epoch, generation, sequence } = fence;
  const lane = { key, epoch, generation, sequence };
  return encode({ action: 'close_sequence', lane, payload: {} }, envelope);
}

function encode(request: object, { requestId, timestamp, key, traceparent }: Envelope): Buffer {
  const auth = key === undefined ? undefined : { key };
  return Buffer.from(encodeJson({ ...request, request_id: requestId, timestamp, traceparent, auth }));
}

/** The `data` of a success. @throws CrossfadeError with the orchestrator's error, or because its reply is invalid */
export function decodeAnswer(body: Buffer): OrchestratorAnswer {
  const text = body.toString('utf8');
  const reply = parse(text);
  if (reply['status'] !== 'success') throw reportedError(reply['error']);
  const { data } = reply;
  if (!isJsonObject(data)) throw senseless('its reply has no data');
  return {
    data,
    // Extracted on use, because most readers need only the values.
    get text() {
      return rawMembers(text)['data'] ?? '{}';
    },
  };
}

/** The result of each operation of a batch. */
export function decodeResults(answer: OrchestratorAnswer, count: number): WriteAnswer[] {
  const { results } = answer.data;
  if (!Array.isArray(results) || results.length !== count) {
    throw senseless(`its reply does not have a result for each of ${count} operations`);
  }
  return results.map(resultOf);
}

/** @throws ConnectionError effect `not_applied` if the sequence is taken, or the lane has a newer epoch or generation */
export function decodePrimaryResult({ data }: OrchestratorAnswer): PrimaryResult {
  const result = primaryResultOf(data);
  if (result !== undefined) return result;
  if (data['superseded'] === true) throw withoutEffect('superseded');
  if (data['already_applied'] === true && data['set_by'] === 'close') throw withoutEffect('closed');
  throw senseless('its reply does not say what became of the write');
}

/** What took the sequence of a write that was to be closed. */
export function decodeClosed({ data }: OrchestratorAnswer, { operationId }: PrimaryFence): ClosedSequence {
  if (data['closed'] === true || data['superseded'] === true) return 'closed';
  const result = data['operation_id'] === operationId ? primaryResultOf(data) : undefined;
  if (result !== undefined) return result;
  // Another write or a copy took the sequence, or a later one.
  if (data['closed'] === false || data['already_applied'] === true) return 'forgotten';
  throw senseless('its reply does not say what took the sequence');
}

function primaryResultOf({ results, refused }: JsonObject): PrimaryResult | undefined {
  if (Array.isArray(results)) return { results: results.filter(isJsonObject) };
  if (!isJsonObject(refused)) return undefined;
  const { requirement } = refused;
  return Number.isSafeInteger(requirement) ? { refused: { requirement: Number(requirement) } } : undefined;
}

function withoutEffect(reason: 'closed' | 'superseded'): ConnectionError {
  return new ConnectionError(`the write has no effect on the orchestrator: ${reason}`, {
    effect: 'not_applied',
    reason,
  });
}

function resultOf(result: unknown): WriteAnswer {
  if (!isJsonObject(result)) return { result: 'applied' };
  if (result['superseded'] === true) {
    const generation = result['lane_generation'];
    return {
      result: 'superseded',
      ...(Number.isSafeInteger(generation) && { generation: Number(generation) }),
    };
  }
  return { result: result['already_applied'] === true ? 'already_applied' : 'applied' };
}

function parse(text: string): JsonObject {
  let reply: unknown;
  try {
    // Content with NaN or Infinity is returned unchanged.
    reply = parseTolerantly(text);
  } catch {
    throw senseless('its reply is not JSON');
  }
  if (!isJsonObject(reply)) throw senseless('its reply is not a JSON object');
  return reply;
}

/** The server is not an orchestrator, or has an unknown version, so the effect of the call is unknown. */
function senseless(what: string): OperationError {
  return new OperationError(`invalid answer from the orchestrator: ${what}`, {
    code: 'internal_error',
    effect: 'unknown',
    reason: 'malformed_reply',
    details: { backend: 'orchestrator' },
  });
}

interface Reported {
  readonly message: string;
  readonly code: ErrorCode;
  readonly reason?: string;
  readonly effect: Effect | undefined;
  readonly details: JsonObject;
}

const EFFECTS: ReadonlySet<unknown> = new Set<Effect>(['rejected', 'not_applied', 'unknown']);

function refusal({ code, reason, details }: Reported): {
  code: ErrorCode;
  details: JsonObject;
  reason?: string;
} {
  return { code, details, ...(reason === undefined ? {} : { reason }) };
}

function notFound(error: Reported): CrossfadeError {
  return new NotFoundError(error.message, refusal(error));
}

function invalid(error: Reported): CrossfadeError {
  if (error.reason === 'duplicate') return new DuplicateError(error.message, refusal(error));
  return new ValidationError(error.message, refusal(error));
}

/** A failure with the effect that the orchestrator reports, otherwise with the effect `unless`. */
function failure(error: Reported, unless: Effect): CrossfadeError {
  return new OperationError(error.message, { ...refusal(error), effect: error.effect ?? unless });
}

function storage(error: Reported): CrossfadeError {
  const { code: _, ...facts } = refusal(error);
  return new StorageError(error.message, {
    ...facts,
    effect: error.effect === 'not_applied' ? 'not_applied' : 'unknown',
  });
}

function internal(error: Reported): CrossfadeError {
  const { reason, effect } = error;
  if (reason !== 'timeout' && reason !== 'unreachable') return failure(error, 'unknown');
  const outage = effect === 'not_applied' ? effect : 'unknown';
  return new ConnectionError(error.message, { effect: outage, reason, details: error.details });
}

const ERRORS = {
  invalid_request: invalid,
  validation_error: invalid,
  memory_not_found: notFound,
  session_not_found: notFound,
  storage_error: storage,
  permission_denied: (error) => failure(error, 'rejected'),
  search_error: (error) => failure(error, 'rejected'),
  rate_limit_exceeded: (error) => failure(error, 'not_applied'),
  internal_error: internal,
} as const satisfies Record<ErrorCode, (error: Reported) => CrossfadeError>;

function reportedError(error: unknown): CrossfadeError {
  if (!isJsonObject(error)) return senseless('its reply is neither a success nor an error');
  const code = ERROR_CODES.find((known) => known === error['code']) ?? 'internal_error';
  const details = isJsonObject(error['details']) ? error['details'] : {};
  const { reason, effect } = details;
  return ERRORS[code]({
    message: typeof error['message'] === 'string' ? error['message'] : code,
    code,
    details,
    effect: EFFECTS.has(effect) ? (effect as Effect) : undefined,
    ...(typeof reason === 'string' ? { reason } : {}),
  });
}
