import { parseOwner, type Owner } from '../../src/domain/ids.ts';
import { encodeJson, isJsonObject, parseTolerantly, rawElements, rawMembers } from '../../src/domain/json.ts';
import type { Message } from '../../src/domain/request.ts';
import {
  defineService,
  type LegacyItem,
  type StoredMemory,
  type WriteAction,
} from '../../src/domain/service-definition.ts';

const SOURCE = 'reminders';

function ownerOf({ fields }: Message): Owner | undefined {
  return parseOwner(fields['user_id'] ?? 'default_user');
}

function payloadOf(reminder: string): Readonly<Record<string, unknown>> {
  return {
    memory_type: 'context',
    content: { text: reminder, reminder: parseTolerantly(reminder), source_agent: SOURCE, metadata: {} },
    tags: ['reminder'],
    create_session: true,
    suppress_events: true,
    escape_unstorable: true,
  };
}

const base = {
  kind: 'write',
  owner: ownerOf,
  reverse: 'exact',
  outcome: ({ fields }: Message) => {
    if (fields['status'] === 'ok') return 'applied';
    return fields['reason'] === 'Invalid index' ? 'refused' : 'unknown';
  },
} as const;

const addReminder: WriteAction = {
  ...base,
  toOrchestrator: (write) => [
    {
      action: 'create',
      sessionId: write.sessionId,
      payload: {
        ...payloadOf(write.request.raw['reminder'] ?? 'null'),
        memory_id: write.memoryId(),
        position: write.position(),
        created_at: write.acceptedAt,
      },
    },
  ],
};

const deleteReminder: WriteAction = {
  ...base,
  names: { atMost: 1, find: ({ fields }) => [Number(fields['index'])] },
  toOrchestrator: ({ items, sessionId }) =>
    items.map((id) => ({ action: 'delete', sessionId, payload: { memory_id: id } })),
};

function itemOf(raw: string): LegacyItem {
  const { reminder = 'null', timestamp = '0' } = rawMembers(raw);
  const at = new Date(Number(timestamp) * 1_000).toISOString();
  return { fields: { reminder }, timestamp, at };
}

function fieldsOf({ content }: StoredMemory): Record<string, string> | undefined {
  const fields = parseTolerantly(content);
  if (!isJsonObject(fields) || fields['source_agent'] !== SOURCE) return undefined;
  return { reminder: rawMembers(content)['reminder'] ?? 'null' };
}

/**
 * The reminders of memory.py (src/services/README.md, "Other services"): they have no ids, agents delete them by their place in the
 * list.
 */
export const reminders = defineService({
  name: 'reminders',
  endpoint: { kind: 'zmq', port: 5590 },
  dialect: { error: (_kind, reason) => JSON.stringify({ status: 'error', reason }) },
  requestId: 'request_id',
  actions: {
    add_reminder: addReminder,
    delete_reminder: deleteReminder,
    list_reminders: {
      kind: 'read',
      owner: ownerOf,
      onLegacy: () => 'nothing',
      legacyOnly: 'what is read here is compared in the stores',
    },
  },
  lanes: {
    sessionPrefix: 'reminders',
    retention: {},
    owners: async (access) =>
      Object.keys(rawMembers((await access.jsonFile?.()) ?? '{}')).map((owner) => owner as Owner),
    readLegacy: async (owner, access) => {
      const reply = await access.call?.(encodeJson({ action: 'list_reminders', user_id: owner }));
      if (reply?.fields['status'] !== 'ok') throw new Error('The reminders cannot be listed');
      const items = rawElements(reply.raw['reminders'] ?? '[]').map(itemOf);
      return { exists: items.length > 0, items };
    },
    createPayload: ({ fields }) => payloadOf(fields['reminder'] ?? 'null'),
    fieldsOf,
  },
  probe: '{"action": "health_check"}',
  unmapped: [],
});

export default reminders;
