import { type Owner, parseOwner, type SessionId } from '../domain/ids.ts';
import { itemKeyOf } from '../domain/comparison.ts';
import { isJsonObject, Json, parseTolerantly, rawElements, rawMembers } from '../domain/json.ts';
import type { OrchestratorAnswer, OrchestratorRead, OrchestratorWrite } from '../domain/orchestrator-call.ts';
import type { ReplyOutcome } from '../domain/outcome.ts';
import type { Message } from '../domain/request.ts';
import {
  defineService,
  type LegacyAccess,
  type LegacyItem,
  type LegacyLane,
  type MappedRead,
  type ReadAnswer,
  type ReadFacts,
  type StoredMemory,
  type WriteAction,
  type WriteFacts,
} from '../domain/service-definition.ts';
import { epochTimeOf, epochTimestampOf } from './local-time.ts';
import {
  contentOf,
  countItems,
  hasMore,
  itemsOf,
  retime,
  type StoredItem,
  tagsOf,
  writerIn,
} from './stored-items.ts';
import { respell, spellText } from './python-spelling.ts';

const DEFAULT_USER = 'default';
const SOURCE = 'jarvis_memory';
/** The parameters of reads. */
const TAG = 'memory';
const PAGE = 1_000;
/** A reminder that is broadcast later than this comes as a surprise. */
const LATEST_BROADCAST_SECONDS = 60;

function userOf({ fields }: Message): Owner | undefined {
  return parseOwner(Object.hasOwn(fields, 'user_id') ? fields['user_id'] : DEFAULT_USER);
}

/** The service stores a reminder, and then fails to broadcast it. */
const STORED = "send_proactive_event() got an unexpected keyword argument 'text'";

function outcomeOf({ fields }: Message): ReplyOutcome {
  const { status, reason } = fields;
  if (status === 'ok') return 'applied';
  return status === 'error' && reason === STORED ? 'applied' : 'unknown';
}

const PREFERENCE_TYPES = new Set([
  'custom_command',
  'preference',
  'user_preference',
  'profile',
  'user_profile',
]);

function memoryTypeOf(memory: unknown): string {
  if (!isJsonObject(memory)) return 'context';
  const type = memory['type'];
  const isPreference = typeof type === 'string' && PREFERENCE_TYPES.has(type);
  return isPreference || isJsonObject(memory['preferences']) ? 'user_preference' : 'context';
}

/** The text of a memory for people and searches. */
function textOf(memory: unknown, raw: string): string {
  if (typeof memory === 'string') return memory;
  const text = isJsonObject(memory) ? memory['text'] : undefined;
  return typeof text === 'string' ? text : raw;
}

/** The `create` payload of a memory (JSON text), without id, position and time. */
function payloadOf(raw: string, owner: Owner, timestamp?: string): Readonly<Record<string, unknown>> {
  const memory = parseTolerantly(raw);
  return {
    memory_type: memoryTypeOf(memory),
    content: {
      text: textOf(memory, raw),
      memory: new Json(raw),
      source_agent: SOURCE,
      metadata: { user_id: owner, legacy_timestamp: timestamp },
    },
    tags: tagsOf([TAG, `user:${owner}`], []),
    create_session: true,
    suppress_events: true,
    escape_unstorable: true,
  };
}

function storeMemory(write: WriteFacts): OrchestratorWrite[] {
  const payload = {
    ...payloadOf(write.request.raw['memory'] ?? 'null', write.owner),
    memory_id: write.memoryId(),
    position: write.position(),
    created_at: write.acceptedAt,
  };
  return [{ action: 'create', sessionId: write.sessionId, payload }];
}

function isReminder({ fields }: Message): boolean {
  const { memory } = fields;
  return isJsonObject(memory) && memory['type'] === 'reminder';
}

const DONE = '{"status": "ok"}';

function spellError(reason: string): string {
  return `{"status": "error", "reason": ${spellText(reason)}}`;
}

const addMemory: WriteAction = {
  kind: 'write',
  owner: userOf,
  outcome: outcomeOf,
  reverse: 'lossy',
  loses: 'the time of the memory, because the service sets it when it gets the request',
  itemKeys: ({ fields }) => ({ written: [itemKeyOf([fields['memory']])] }),
  onlyAdds: true,
  sideEffects: {
    raisedBy: 'legacy',
    what: 'a memory of type "reminder" is broadcast when it is stored',
    concerns: isReminder,
    largestAgeSeconds: LATEST_BROADCAST_SECONDS,
  },
  toOrchestrator: storeMemory,
  asPrimary: {
    plan: (write) => ({ requires: [], operations: storeMemory(write) }),
    answer: (_result, { request }) => (isReminder(request) ? spellError(STORED) : DONE),
  },
};

function deleteMemories(write: WriteFacts): OrchestratorWrite[] {
  const filter = { tags: [TAG], position_below: write.position() };
  return [{ action: 'bulk_delete', sessionId: write.sessionId, payload: { filter, suppress_events: true } }];
}

const clearMemories: WriteAction = {
  kind: 'write',
  owner: userOf,
  outcome: outcomeOf,
  itemKeys: () => ({ removesAll: true }),
  reverse: 'exact',
  toOrchestrator: deleteMemories,
  asPrimary: { plan: (write) => ({ requires: [], operations: deleteMemories(write) }), answer: () => DONE },
};

function pageOf(sessionId: SessionId, offset: number): OrchestratorRead {
  const sort = { field: 'position', order: 'asc' };
  const filter = { tags: [TAG], limit: PAGE, offset, sort };
  return { action: 'batch_read', sessionId, payload: { filter, no_touch: true, count: false } };
}

function answerMemories(answers: readonly OrchestratorAnswer[], { sessionId }: ReadFacts): ReadAnswer {
  const last = answers.at(-1);
  if (last !== undefined && hasMore(last)) {
    return {
      next: [
        pageOf(
          sessionId,
          answers.reduce((total, answer) => total + countItems(answer), 0),
        ),
      ],
    };
  }
  const memories = answers.flatMap(itemsOf).filter(({ content }) => content.fields['memory'] !== undefined);
  return { reply: `{"status": "ok", "memories": [${memories.map(spellMemory).join(', ')}]}` };
}

function spellMemory(item: StoredItem): string {
  return `{"timestamp": ${epochTimestampOf(item)}, "memory": ${respell(item.content.raw['memory'] ?? 'null')}}`;
}

const getMemories: MappedRead = {
  kind: 'read',
  owner: userOf,
  onLegacy: () => 'nothing',
  toOrchestrator: (_request, sessionId) => [pageOf(sessionId, 0)],
  fromOrchestrator: answerMemories,
  items: { list: 'memories', members: ['memory'] },
  rules: [
    {
      kind: 'tolerance_seconds',
      path: 'memories[].timestamp',
      seconds: 5,
      owner: 'crossfade',
      reason:
        'legacy uses the time of storing a memory, the orchestrator the time at which the proxy accepted it',
    },
  ],
};

async function readOwners(access: LegacyAccess): Promise<readonly Owner[] | undefined> {
  const text = await access.jsonFile?.();
  if (text === undefined) return undefined;
  if (!text.trimStart().startsWith('{')) throw new Error('The store of jarvis-memory is not a JSON object');
  return Object.keys(rawMembers(text))
    .map((key) => parseOwner(key))
    .filter((owner) => owner !== undefined);
}

/** The memories as the service answers them, or from its file if the service cannot be called. */
async function readMemories(owner: Owner, access: LegacyAccess): Promise<string | undefined> {
  if (access.call === undefined) {
    const text = await access.jsonFile?.();
    if (text === undefined) throw new Error('jarvis-memory can neither be called nor read from its file');
    return rawMembers(text)[owner];
  }
  const reply = await access.call(`{"action": "get_memories", "user_id": ${spellText(owner)}}`);
  const memories = reply.raw['memories'];
  if (reply.fields['status'] !== 'ok' || memories === undefined)
    throw new Error('jarvis-memory did not answer get_memories with a list');
  return memories;
}

async function readLane(owner: Owner, access: LegacyAccess): Promise<LegacyLane> {
  return laneOf(await readMemories(owner, access));
}

function laneOf(memories: string | undefined): LegacyLane {
  const items = rawElements(memories ?? '[]').map(itemOf);
  return { exists: items.length > 0, items };
}

/** The file is written before the service answers, so it shows what the service shows, for all users at once. */
async function readMany(
  owners: readonly Owner[],
  access: LegacyAccess,
): Promise<ReadonlyMap<Owner, LegacyLane>> {
  const text = await access.jsonFile?.();
  const stored = text === undefined ? undefined : rawMembers(text);
  const lanes = new Map<Owner, LegacyLane>();
  for (const owner of owners)
    lanes.set(owner, stored === undefined ? await readLane(owner, access) : laneOf(stored[owner]));
  return lanes;
}

function itemOf(raw: string): LegacyItem {
  const { timestamp, memory = 'null' } = rawMembers(raw);
  return { fields: { memory: respell(memory) }, ...epochTimeOf(timestamp) };
}

/** Recognised by our marker, or by the tag, even if another writer wrote the item, because agents see both. */
function fieldsOf(memory: StoredMemory): Readonly<Record<string, string>> | undefined {
  const { fields, raw } = contentOf(memory);
  const value = raw['memory'];
  const isListed = fields['source_agent'] === SOURCE || memory.tags.includes(TAG);
  return isListed && value !== undefined ? { memory: respell(value) } : undefined;
}

/** JarvisMemoryAgent of PC2 (./README.md, "JarvisMemoryAgent"): a list of anything per user, in a JSON file. */
export const jarvisMemory = defineService({
  name: 'jarvis-memory',
  endpoint: { kind: 'zmq', port: 5598 },
  dialect: {
    error: (_kind, message) => spellError(message),
  },
  actions: {
    add_memory: addMemory,
    get_memories: getMemories,
    clear_memories: clearMemories,
    delete_memory: {
      kind: 'passthrough',
      reason: 'clients send it, but the service refuses it',
      changesNothing: true,
    },
    health_check: {
      kind: 'passthrough',
      reason: 'the service does not support it, and answers with an error',
      changesNothing: true,
    },
  },
  lanes: {
    sessionPrefix: 'jarvis',
    retention: {},
    owners: readOwners,
    readLegacy: readLane,
    isReadable: (access) => access.call !== undefined || access.jsonFile !== undefined,
    readMany,
    strays: async (access) => {
      const users = Object.keys(rawMembers((await access.jsonFile?.()) ?? '{}'));
      return { 'users whose id no lane can carry': users.filter((user) => !parseOwner(user)).length };
    },
    digest: { fields: ['memory'], without: [], excludeTags: [] },
    restoreRequest: ({ memory = 'null' }, owner) =>
      `{"action": "add_memory", "user_id": ${spellText(owner)}, "memory": ${memory}}`,
    writerOf: ({ fields: { memory = 'null' } }) => writerIn(memory),
    mapping: [
      { from: 'memory', to: 'content.memory; as text for searches in content.text' },
      { from: 'user (key of the file)', to: 'session id jarvis:<user>, tag user:<user>' },
      { from: 'timestamp', to: 'created_at; the original text in content.metadata.legacy_timestamp' },
    ],
    createPayload: ({ fields, timestamp }, owner) => payloadOf(fields['memory'] ?? 'null', owner, timestamp),
    retime,
    fieldsOf,
  },
  probe: '{"action": "health_check"}',
  canary: (owner) => [
    `{"action": "add_memory", "user_id": "${owner}", "memory": "a test of Crossfade"}`,
    `{"action": "clear_memories", "user_id": "${owner}"}`,
  ],
  unmapped: [
    {
      what: 'timestamps of memories',
      reason:
        'the service sets the time when it stores a memory. Until the next copy or comparison of the lane, a delivered memory has the time at which the proxy accepted it. The two are at most 5 s apart. So an agent may see another time when its reads move, and again when a read falls back',
    },
    {
      what: 'the reply to a memory of type "reminder", "send_proactive_event() got an unexpected keyword argument \'text\'"',
      reason:
        'it means that the reminder was stored, because the service fails to broadcast it afterwards; agents get it unchanged',
    },
    {
      what: 'requests whose user_id is not a string, is empty, has control characters or more than 512 characters',
      reason:
        'the service keeps numbers and null under keys of their own until its restart and under their text afterwards. It refuses lists. They are relayed unchanged',
    },
    {
      what: 'delete_memory',
      reason: 'the service has no ids, so it refuses the request; the refusal is relayed',
    },
    {
      what: 'a user whose memories were cleared, and an unknown user',
      reason: 'both are answered with an empty list',
    },
  ],
});
