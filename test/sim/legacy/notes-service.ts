import { parseOwner, type Owner } from '../../../src/domain/ids.ts';
import { isJsonObject, parseTolerantly } from '../../../src/domain/json.ts';
import type { OrchestratorAnswer, OrchestratorWrite } from '../../../src/domain/orchestrator-call.ts';
import type { Message } from '../../../src/domain/request.ts';
import {
  defineService,
  type LegacyItem,
  type LegacyLane,
  type MappedRead,
  type PrimaryMapping,
  type ReverseFacts,
  type StoredMemory,
  type WriteAction,
  type WriteFacts,
} from '../../../src/domain/service-definition.ts';
import { itemsOf } from '../../../src/services/stored-items.ts';

/** Newest notes with a key that the service keeps of an owner. */
export const KEPT_NOTES = 12;

/** What the service answers after it has stored a note and could not tell its listeners. */
export const STORED = 'nobody listens';

const SOURCE = 'notes';

function ownerOf({ fields }: Message): Owner | undefined {
  return parseOwner(fields['owner']);
}

function payloadOf(key: string, text: string) {
  return {
    memory_type: 'context',
    content: { key, text, source_agent: SOURCE, metadata: {} },
    tags: ['note', `key:${key}`],
    create_session: true,
    suppress_events: true,
  };
}

function deleteBefore(write: WriteFacts, tag: string) {
  const filter = { tags: [tag], position_below: write.position() };
  return {
    action: 'bulk_delete' as const,
    sessionId: write.sessionId,
    payload: { filter, suppress_events: true },
  };
}

function keyOf({ request }: WriteFacts): string {
  return String(request.fields['key']);
}

const base = {
  kind: 'write',
  owner: ownerOf,
  reverse: 'exact',
  outcome: ({ fields }: Message) => {
    if (fields['status'] === 'ok' || fields['message'] === STORED) return 'applied';
    return fields['message'] === 'no such owner' ? 'refused' : 'unknown';
  },
} as const;

const OK = '{"status":"ok"}';
const NO_OWNER = '{"status":"error","message":"no such owner"}';

/** What legacy answers to a write whose owner must exist. */
function ofOwner(operationsOf: (write: WriteFacts) => readonly OrchestratorWrite[]): PrimaryMapping {
  return {
    plan: (write) => {
      const { sessionId, answers } = write;
      const operations = operationsOf(write);
      if (operations.length > 0) return { requires: [{ session: 'open', sessionId }], operations };
      // Nothing is to be deleted, and the owner must exist all the same.
      const [row] = answers;
      if (row === undefined) return { next: [{ action: 'scan', sessionId, payload: { limit: 1 } }] };
      return { reply: isOpen(row) ? OK : NO_OWNER };
    },
    answer: (result) => ('refused' in result ? NO_OWNER : OK),
  };
}

function isOpen({ data: { session } }: OrchestratorAnswer): boolean {
  return isJsonObject(session) && session['ended_at'] === null;
}

function beginOwner({ sessionId, acceptedAt }: WriteFacts): OrchestratorWrite[] {
  const payload = {
    user_id: 'agent',
    session_type: 'conversation',
    created_at: acceptedAt,
    ended_at: null,
  };
  return [{ action: 'upsert_session', sessionId, payload }];
}

const begin: WriteAction = {
  ...base,
  provesEmpty: true,
  toOrchestrator: beginOwner,
  asPrimary: {
    plan: (write) => {
      const [row] = write.answers;
      if (row === undefined)
        return { next: [{ action: 'scan', sessionId: write.sessionId, payload: { limit: 1 } }] };
      if (isOpen(row)) return { reply: '{"status":"error"}' };
      return { requires: [], operations: beginOwner(write) };
    },
    answer: () => OK,
  },
};

/** Every fifth note is stored and then answered with an error. */
function answerStored({ request }: WriteFacts): string {
  return Number(request.fields['number']) % 5 === 0
    ? JSON.stringify({ status: 'error', message: STORED })
    : OK;
}

function createNote(write: WriteFacts, key: string): OrchestratorWrite {
  const payload = {
    ...payloadOf(key, String(write.request.fields['text'])),
    memory_id: write.memoryId(),
    position: write.position(),
    created_at: write.acceptedAt,
  };
  return { action: 'create', sessionId: write.sessionId, payload };
}

/** A write that makes a note. The service makes its owner with it. */
function storing(operationsOf: (write: WriteFacts) => OrchestratorWrite[]): WriteAction {
  return {
    ...base,
    toOrchestrator: operationsOf,
    asPrimary: {
      plan: (write) => ({ requires: [], operations: operationsOf(write) }),
      answer: (_result, write) => answerStored(write),
    },
  };
}

/** Makes the note, or takes the place of the one under its key. */
const put = storing((write) => [createNote(write, keyOf(write)), deleteBefore(write, `key:${keyOf(write)}`)]);

/** Makes a note that replaces no other. */
const jot = storing((write) => [createNote(write, '')]);

function deleteItems({ items, sessionId }: WriteFacts) {
  return items.map((id) => ({ action: 'delete' as const, sessionId, payload: { memory_id: id } }));
}

/** The notes that a write named, by their places on legacy. */
function dropThere({ request, places }: ReverseFacts, lane: LegacyLane): string | undefined {
  const all = jottings(lane);
  const named = places.map((place) => all.indexOf(place) + 1).filter((place) => place > 0);
  if (named.length === 0) return undefined;
  return JSON.stringify({ ...request.fields, action: 'drop_all', places: named });
}

/** A write that names notes without a key. */
const naming = {
  ...base,
  toOrchestrator: deleteItems,
  asPrimary: ofOwner(deleteItems),
  toLegacy: dropThere,
} as const;

/** Indices of the notes without a key. */
function jottings({ items }: LegacyLane): number[] {
  return items.flatMap(({ fields }, index) => (fields['key'] === '""' ? [index] : []));
}

/** "Number 3" of the notes without a key, counted from the oldest. */
const drop: WriteAction = {
  ...naming,
  names: {
    atMost: 1,
    find: ({ fields }: Message, lane: LegacyLane) =>
      jottings(lane).slice(Number(fields['place']) - 1, Number(fields['place'])),
  },
};

/** Every note without a key whose text comes before another. */
const prune: WriteAction = {
  ...naming,
  names: {
    atMost: Infinity,
    find: ({ fields }: Message, lane: LegacyLane) =>
      jottings(lane).filter((index) => {
        const text = parseTolerantly(lane.items[index]?.fields['text'] ?? '""');
        return String(text) < String(fields['before']);
      }),
  },
};

/** A write that deletes notes of an owner who must exist. */
function deleting(operationsOf: (write: WriteFacts) => OrchestratorWrite[]): WriteAction {
  return { ...base, toOrchestrator: operationsOf, asPrimary: ofOwner(operationsOf) };
}

const remove = deleting((write) => [deleteBefore(write, `key:${keyOf(write)}`)]);

const clear = deleting((write) => [deleteBefore(write, 'note')]);

const end = deleting((write) => [
  deleteBefore(write, 'note'),
  {
    action: 'end_session',
    sessionId: write.sessionId,
    payload: { archive: true, ended_at: write.acceptedAt },
  },
]);

const IGNORED = { kind: 'ignore', owner: 'simulation', reason: 'each side shows its own spelling' } as const;

const list: MappedRead = {
  kind: 'read',
  owner: ownerOf,
  onLegacy: () => 'touches',
  toOrchestrator: (_request, sessionId) => {
    const sort = { field: 'position', order: 'asc' };
    const filter = { tags: ['note'], limit: 1_000, offset: 0, sort };
    return [{ action: 'batch_read', sessionId, payload: { filter, no_touch: true, count: false } }];
  },
  fromOrchestrator: ([answer]) => {
    const shown = answer === undefined ? [] : itemsOf(answer).map(({ content }) => content.text);
    return { reply: `{"status":"ok","shown":[${shown.join()}]}` };
  },
  rules: [
    { ...IGNORED, path: 'shown' },
    { ...IGNORED, path: 'notes' },
  ],
};

function itemOf(value: unknown): LegacyItem {
  const note = isJsonObject(value) ? value : {};
  const at = new Date(Number(note['at'])).toISOString();
  const fields = { key: JSON.stringify(note['key']), text: JSON.stringify(note['text']) };
  return { fields, timestamp: at, at };
}

function fieldsOf({ content, memory_type: type }: StoredMemory): Record<string, string> | undefined {
  const note = parseTolerantly(content);
  if (type !== 'context' || !isJsonObject(note) || note['source_agent'] !== SOURCE) return undefined;
  return { key: JSON.stringify(note['key']), text: JSON.stringify(note['text']) };
}

/** A service that exists nowhere, with traits ours have not: keys, updates, owners that end and begin again. */
export const notes = defineService({
  name: 'notes',
  endpoint: { kind: 'zmq', port: 5599 },
  dialect: {
    error: (kind, message) => JSON.stringify({ status: 'error', message: `proxy: ${kind}: ${message}` }),
  },
  requestId: 'request_id',
  actions: { begin, put, jot, drop, prune, remove, clear, end, list },
  lanes: {
    sessionPrefix: 'notes',
    retention: { entries: KEPT_NOTES, counts: ({ key }) => key !== '""' },
    owners: async (access) => {
      const store = parseTolerantly((await access.jsonFile?.()) ?? '{}');
      return Object.keys(isJsonObject(store) ? store : {}).map((owner) => owner as Owner);
    },
    readLegacy: async (owner, access) => {
      const store = parseTolerantly((await access.jsonFile?.()) ?? '{}');
      const list = isJsonObject(store) ? store[owner] : undefined;
      const createdAt = new Date(0).toISOString();
      if (!Array.isArray(list)) return { exists: false, items: [] };
      return {
        exists: true,
        items: list.map(itemOf),
        session: { userId: 'agent', metadata: '{}', createdAt },
      };
    },
    createPayload: ({ fields }) =>
      payloadOf(
        String(parseTolerantly(fields['key'] ?? '""')),
        String(parseTolerantly(fields['text'] ?? '""')),
      ),
    fieldsOf,
  },
  probe: '{"action":"health_check"}',
  unmapped: [],
});
