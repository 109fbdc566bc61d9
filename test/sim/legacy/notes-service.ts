import { parseOwner, type Owner } from '../../../src/domain/ids.ts';
import { isJsonObject, parseTolerantly } from '../../../src/domain/json.ts';
import type { Message } from '../../../src/domain/request.ts';
import {
  defineService,
  type LegacyItem,
  type LegacyLane,
  type MappedRead,
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

const begin: WriteAction = {
  ...base,
  provesEmpty: true,
  toOrchestrator: ({ sessionId, acceptedAt }) => [
    {
      action: 'upsert_session',
      sessionId,
      payload: { user_id: 'agent', session_type: 'conversation', created_at: acceptedAt, ended_at: null },
    },
  ],
};

/** Makes the note, or takes the place of the one under its key. */
const put: WriteAction = {
  ...base,
  toOrchestrator: (write) => [
    {
      action: 'create',
      sessionId: write.sessionId,
      payload: {
        ...payloadOf(keyOf(write), String(write.request.fields['text'])),
        memory_id: write.memoryId(),
        position: write.position(),
        created_at: write.acceptedAt,
      },
    },
    deleteBefore(write, `key:${keyOf(write)}`),
  ],
};

/** Makes a note that takes nobody's place. */
const jot: WriteAction = {
  ...base,
  toOrchestrator: (write) => [
    {
      action: 'create',
      sessionId: write.sessionId,
      payload: {
        ...payloadOf('', String(write.request.fields['text'])),
        memory_id: write.memoryId(),
        position: write.position(),
        created_at: write.acceptedAt,
      },
    },
  ],
};

/** The simulation sends no writes to legacy yet. */
const LOSES = 'the delete: the service knows the note by another place';

function deleteItems({ items, sessionId }: WriteFacts) {
  return items.map((id) => ({ action: 'delete' as const, sessionId, payload: { memory_id: id } }));
}

/** Indices of the notes without a key. */
function jottings({ items }: LegacyLane): number[] {
  return items.flatMap(({ fields }, index) => (fields['key'] === '""' ? [index] : []));
}

/** "Number 3" of the notes without a key, counted from the oldest. */
const drop: WriteAction = {
  ...base,
  reverse: 'impossible',
  loses: LOSES,
  names: {
    atMost: 1,
    find: ({ fields }, lane) => jottings(lane).slice(Number(fields['place']) - 1, Number(fields['place'])),
  },
  toOrchestrator: deleteItems,
};

/** Every note without a key whose text comes before another. */
const prune: WriteAction = {
  ...base,
  reverse: 'impossible',
  loses: LOSES,
  names: {
    atMost: Infinity,
    find: ({ fields }, lane) =>
      jottings(lane).filter((index) => {
        const text = parseTolerantly(lane.items[index]?.fields['text'] ?? '""');
        return String(text) < String(fields['before']);
      }),
  },
  toOrchestrator: deleteItems,
};

const remove: WriteAction = {
  ...base,
  toOrchestrator: (write) => [deleteBefore(write, `key:${keyOf(write)}`)],
};

const clear: WriteAction = { ...base, toOrchestrator: (write) => [deleteBefore(write, 'note')] };

const end: WriteAction = {
  ...base,
  toOrchestrator: (write) => [
    deleteBefore(write, 'note'),
    {
      action: 'end_session',
      sessionId: write.sessionId,
      payload: { archive: true, ended_at: write.acceptedAt },
    },
  ],
};

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
