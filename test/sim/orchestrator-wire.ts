import { NotFoundError, type CrossfadeError } from '../../src/domain/errors.ts';
import {
  encodeJson,
  isJsonObject,
  Json,
  parseTolerantly,
  rawElements,
  rawMembers,
  type JsonObject,
} from '../../src/domain/json.ts';
import type { NumberedLane } from '../../src/orchestrator/memories/lane-row.ts';
import type { Requirement } from '../../src/orchestrator/memories/requirements.ts';
import {
  byPosition,
  laneOf,
  matches,
  spell,
  type MemoryRow,
  type WireOperation,
} from './orchestrator-rows.ts';
import { RefusedOperation, type OrchestratorStore } from './orchestrator-store.ts';

/** The orchestrator as its clients see it: one request in, one reply out, both as bytes. */
export function answerRequest(store: OrchestratorStore, body: Buffer): Buffer {
  const request = operationOf(body.toString('utf8'));
  try {
    const data = isWrite(request) ? write(store, request) : read(store, request);
    return Buffer.from(`{"status":"success","data":${data}}`);
  } catch (error) {
    if (!(error instanceof RefusedOperation) && !(error instanceof NotFoundError)) throw error;
    return Buffer.from(encodeJson({ status: 'error', error: wireErrorOf(error) }));
  }
}

function operationOf(text: string, batch?: WireOperation): WireOperation {
  const members = parseTolerantly(text);
  if (!isJsonObject(members)) throw new Error('A request is an object');
  const payload = isJsonObject(members['payload']) ? members['payload'] : {};
  return {
    action: String(members['action']),
    sessionId: typeof members['session_id'] === 'string' ? members['session_id'] : (batch?.sessionId ?? ''),
    payload,
    raw: rawMembers(rawMembers(text)['payload'] ?? '{}'),
    lane: laneOf(members['lane']) ?? batch?.lane,
  };
}

function isWrite({ action }: WireOperation): boolean {
  return action === 'batch_write' || action === 'close_sequence';
}

function write(store: OrchestratorStore, request: WireOperation): string {
  const { lane, payload } = request;
  if (request.action === 'close_sequence') return encodeJson(store.lanes.close(numberedLane(request)));
  const operations = rawElements(request.raw['operations'] ?? '[]').map((text) => operationOf(text, request));
  const requirements = Array.isArray(payload['requires']) ? (payload['requires'] as Requirement[]) : [];
  if (requirements.length === 0 && lane?.operation_id === undefined) return batchWrite(store, operations);
  return encodeJson(store.writeAsOne({ lane: numberedLane(request), requirements, operations }));
}

function numberedLane({ lane }: WireOperation): NumberedLane {
  if (lane?.sequence === undefined) throw new Error('A write that is made as one has a sequence');
  return { ...lane, sequence: lane.sequence };
}

function batchWrite(store: OrchestratorStore, operations: readonly WireOperation[]): string {
  const results = store.write(operations).map((verdict, index): object => {
    const { lane } = operations[index] ?? {};
    if (verdict === 'superseded' && lane !== undefined) return store.lanes.supersededBy(lane);
    return verdict === 'applied' ? {} : { already_applied: true };
  });
  return JSON.stringify({ results });
}

function wireErrorOf(error: RefusedOperation | NotFoundError): object {
  const refusal: CrossfadeError = error instanceof RefusedOperation ? error.refusal : error;
  const operation = error instanceof RefusedOperation ? error.index : undefined;
  const { code, message, reason, effect, details } = refusal;
  return { code, message, details: { ...details, operation, reason, effect } };
}

function read(store: OrchestratorStore, { action, sessionId, payload }: WireOperation): string {
  if (action === 'scan') return scan(store, sessionId, payload);
  if (action === 'digest') return digest(store, payload);
  if (action === 'batch_read') return batchRead(store, sessionId, payload);
  if (action === 'lane_positions') return lanePositions(store, payload);
  throw new Error(`The simulated orchestrator knows no "${action}"`);
}

function scan(store: OrchestratorStore, sessionId: string, { limit, cursor }: JsonObject): string {
  const from = typeof cursor === 'string' ? Number(cursor) : 0;
  const size = typeof limit === 'number' ? limit : 50;
  const rows = store.visible(sessionId);
  const session = store.session(sessionId);
  const page = rows.slice(from, from + size);
  return encodeJson({
    session: session === undefined ? null : { session_id: sessionId, ended_at: session.endedAt },
    items: page.map((row) => new Json(spell(row))),
    next_cursor: rows.length > from + size ? String(from + size) : undefined,
  });
}

function lanePositions({ lanes, instance }: OrchestratorStore, payload: JsonObject): string {
  const { keys, moved_after: after } = payload;
  const found = typeof after === 'string' ? lanes.movedAfter(after) : lanes.positions(stringsIn(keys));
  return encodeJson({ lanes: found, database: instance });
}

function stringsIn(value: unknown): string[] {
  return Array.isArray(value) ? value.map(String) : [];
}

/** Copies only ask whether there is anything. */
function digest(store: OrchestratorStore, payload: JsonObject): string {
  const { session_ids: ids, without_lane: isOwn } = payload;
  const sessions = Array.isArray(ids) ? ids : [];
  const isCounted = ({ laneKey }: MemoryRow): boolean => isOwn !== true || laneKey === undefined;
  return encodeJson({
    sessions: sessions.map((id) => ({
      session_id: id,
      count: store.visible(String(id)).filter(isCounted).length,
    })),
  });
}

function batchRead(store: OrchestratorStore, sessionId: string, payload: JsonObject): string {
  const filter = isJsonObject(payload['filter']) ? payload['filter'] : {};
  const ids = payload['memory_ids'];
  const rows = store
    .visible(sessionId)
    .filter((row) => matches(row, filter) && (!Array.isArray(ids) || ids.includes(row.memoryId)))
    .toSorted(orderOf(filter['sort']));
  const offset = Number(filter['offset'] ?? 0);
  const limit = Number(filter['limit'] ?? payload['limit'] ?? 50);
  return encodeJson({
    memories: rows.slice(offset, offset + limit).map((row) => new Json(spell(row))),
    total_count: null,
    page_info: { limit, offset, has_more: rows.length > offset + limit },
  });
}

/** Every read of the migration names the position as its order. */
function orderOf(sort: unknown): (a: MemoryRow, b: MemoryRow) => number {
  const isDescending = isJsonObject(sort) && sort['order'] === 'desc';
  return isDescending ? (a, b) => byPosition(b, a) : byPosition;
}
