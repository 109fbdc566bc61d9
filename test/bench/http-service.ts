import { parseOwner, type Owner } from '../../src/domain/ids.ts';
import { rawElements } from '../../src/domain/json.ts';
import type { Message } from '../../src/domain/request.ts';
import {
  defineService,
  type LegacyItem,
  type MappedRead,
  type StoredMemory,
  type WriteAction,
} from '../../src/domain/service-definition.ts';

/** Items that the service keeps of an owner. */
export const KEPT_ITEMS = 8;
export const SERVICE = 'bench-items';
export const PREFIX = '/bench';

const ACTIONS: Readonly<Record<string, string>> = {
  '/items/open': 'open',
  '/items/add': 'add',
  '/items/list': 'list',
};

function ownerOf({ fields }: Message): Owner | undefined {
  return parseOwner(fields['owner']);
}

function outcome({ fields }: Message): 'applied' | 'refused' | 'unknown' {
  if (fields['status'] === 'stored') return 'applied';
  return fields['status'] === 'exists' ? 'refused' : 'unknown';
}

const open: WriteAction = {
  kind: 'write',
  owner: ownerOf,
  outcome,
  provesEmpty: true,
  reverse: 'exact',
  toOrchestrator: ({ sessionId, owner }) => [
    { action: 'create_session', sessionId, payload: { user_id: owner, session_type: 'conversation' } },
  ],
};

const add: WriteAction = {
  kind: 'write',
  owner: ownerOf,
  outcome,
  reverse: 'exact',
  toOrchestrator: (write) => [
    {
      action: 'create',
      sessionId: write.sessionId,
      payload: {
        memory_type: 'context',
        content: { text: write.request.fields['item'] },
        memory_id: write.memoryId(),
        position: write.position(),
        created_at: write.acceptedAt,
      },
    },
  ],
};

const list: MappedRead = {
  kind: 'read',
  owner: ownerOf,
  onLegacy: () => 'nothing',
  toOrchestrator: (_request, sessionId) => [
    {
      action: 'batch_read',
      sessionId,
      payload: {
        filter: { limit: KEPT_ITEMS, offset: 0, sort: { field: 'position', order: 'desc' } },
        no_touch: true,
        count: false,
      },
    },
  ],
  fromOrchestrator: ([answer], { request }) => {
    const memories = (answer?.data['memories'] ?? []) as readonly { content: { text: string } }[];
    const items = memories.map(({ content }) => content.text).toReversed();
    return { reply: JSON.stringify({ owner: request.fields['owner'], items }) };
  },
  rules: [],
};

function itemOf(raw: string): LegacyItem {
  // The service keeps no times.
  return { fields: { text: raw }, timestamp: '', at: new Date(0).toISOString() };
}

/** The benchmark's own HTTP service, defined as a user would define theirs. */
export default defineService({
  name: SERVICE,
  endpoint: {
    kind: 'http',
    prefix: PREFIX,
    actionOf: ({ method, path }) => (method === 'POST' ? ACTIONS[path] : undefined),
  },
  dialect: { error: (_kind, message) => JSON.stringify({ status: 'error', message }) },
  actions: { open, add, list },
  lanes: {
    sessionPrefix: 'bench',
    retention: { entries: KEPT_ITEMS },
    // Every owner is opened through the proxy.
    owners: async () => [],
    async readLegacy(owner, access) {
      const reply = await access.call?.(JSON.stringify({ owner }));
      if (reply === undefined) throw new Error(`${SERVICE} cannot be called`);
      return { exists: true, items: rawElements(reply.raw['items'] ?? '[]').map(itemOf) };
    },
    createPayload: ({ fields }) => ({
      memory_type: 'context',
      content: { text: JSON.parse(fields['text'] ?? '""') as unknown },
    }),
    fieldsOf: (memory: StoredMemory) => {
      const { text } = JSON.parse(memory.content) as { text?: string };
      return text === undefined ? undefined : { text: JSON.stringify(text) };
    },
  },
  probe: '{"owner": "probe"}',
  unmapped: [],
});
