import { type Owner, parseOwner, type SessionId } from '../../src/domain/ids.ts';
import {
  encodeJson,
  isJsonObject,
  Json,
  parseTolerantly,
  rawElements,
  rawMembers,
} from '../../src/domain/json.ts';
import type { OrchestratorRead, OrchestratorWrite } from '../../src/domain/orchestrator-call.ts';
import type { Message } from '../../src/domain/request.ts';
import {
  defineService,
  type LegacyAccess,
  type LegacyItem,
  type LegacyLane,
  type MappedRead,
  type WriteAction,
  type WriteFacts,
} from '../../src/domain/service-definition.ts';
import { epochTimeOf, epochTimestampOf } from '../../src/services/local-time.ts';
import {
  contentOf,
  countItems,
  hasMore,
  itemsOf,
  retime,
  tagsOf,
  textOfMembers,
} from '../../src/services/stored-items.ts';

/*
 * An example to copy: one file that teaches Crossfade a legacy service. The service exists nowhere. It keeps a list of reminders for
 * each user. Reminders have no ids, so agents delete them by their place in the list.
 *
 *     {"action": "add_reminder", "user_id": "ann", "reminder": "tea"}  → {"status": "ok"}
 *     {"action": "delete_reminder", "user_id": "ann", "index": 0}      → {"status": "ok"}
 *     {"action": "list_reminders", "user_id": "ann"} → {"status": "ok", "reminders": [{"timestamp": 1767268800.5, "reminder": "tea"}]}
 *
 * It stores them in one JSON file before it replies: {"ann": [{"timestamp": 1767268800.5, "reminder": "tea"}]}
 */

const SOURCE = 'reminders';
const TAG = 'reminder';
const PAGE = 1_000;

/** Whose lane a request belongs to. Without a usable owner the request is relayed, and not journaled. */
function userOf({ fields }: Message): Owner | undefined {
  return parseOwner(fields['user_id'] ?? 'default_user');
}

/**
 * How a reminder (raw JSON text) is kept on the orchestrator. A write and a copy must make the same item, so both call this. The
 * write has no timestamp, because only the service knows it; `retime` adds it later.
 */
function payloadOf(reminder: string, timestamp?: string): Readonly<Record<string, unknown>> {
  const value = parseTolerantly(reminder);
  return {
    memory_type: 'context',
    content: {
      // For people and searches.
      text: typeof value === 'string' ? value : reminder,
      // The value itself. `Json` embeds the raw text, so that 1000.0 and long numbers survive.
      reminder: new Json(reminder),
      // Marks our items, see `fieldsOf` below.
      source_agent: SOURCE,
      // `retime` needs this object.
      metadata: { legacy_timestamp: timestamp },
    },
    tags: tagsOf([TAG], []),
    // The first item of a user creates the session.
    create_session: true,
    suppress_events: true,
    // PostgreSQL cannot store NUL or half a surrogate pair. The orchestrator then stores an escape, and gives the text back.
    escape_unstorable: true,
  };
}

function storeReminder(write: WriteFacts): OrchestratorWrite[] {
  const payload = {
    ...payloadOf(write.request.raw['reminder'] ?? 'null'),
    // Every create of a write needs these three.
    memory_id: write.memoryId(),
    position: write.position(),
    created_at: write.acceptedAt,
  };
  return [{ action: 'create', sessionId: write.sessionId, payload }];
}

const DONE = encodeJson({ status: 'ok' });

const addReminder: WriteAction = {
  kind: 'write',
  owner: userOf,
  // Only replies that prove something are named. Every other reply is `unknown`.
  outcome: ({ fields }) => (fields['status'] === 'ok' ? 'applied' : 'unknown'),
  toOrchestrator: storeReminder,
  // While the orchestrator is primary: what it is asked to do, and the reply that the service would have given.
  asPrimary: { plan: (write) => ({ requires: [], operations: storeReminder(write) }), answer: () => DONE },
  // The service then gets the request too, and stores the reminder with the time of that.
  reverse: 'lossy',
  loses: 'the time of the reminder, because the service sets it when it gets the request',
};

const NO_SUCH_PLACE = encodeJson({ status: 'error', reason: 'Invalid index' });

// `items` are the orchestrator's ids of the items that `find` has named.
function deleteNamed({ items, sessionId }: WriteFacts): OrchestratorWrite[] {
  return items.map((id) => ({ action: 'delete', sessionId, payload: { memory_id: id } }));
}

const deleteReminder: WriteAction = {
  kind: 'write',
  owner: userOf,
  outcome: ({ fields }) => {
    if (fields['status'] === 'ok') return 'applied';
    return fields['reason'] === 'Invalid index' ? 'refused' : 'unknown';
  },
  // The place means something else after the next write. So Crossfade reads the lane before it sends the write, and stores which
  // item is meant.
  names: {
    atMost: 1,
    find: ({ fields: { index } }) => (typeof index === 'number' && Number.isInteger(index) ? [index] : []),
  },
  toOrchestrator: deleteNamed,
  asPrimary: {
    plan: (write) => {
      // `find` has found nothing, so the service would have refused the request. The orchestrator is not asked.
      if (write.items.length === 0) return { reply: NO_SUCH_PLACE };
      const requires = write.items.map((id) => ({ memory: 'present' as const, memoryId: id }));
      return { requires, operations: deleteNamed(write) };
    },
    answer: (result) => ('refused' in result ? NO_SUCH_PLACE : DONE),
  },
  reverse: 'exact',
  // The service may have the reminder at another place. Without a place it no longer has it, and there is nothing to delete.
  toLegacy: ({ request, places: [place] }) =>
    place === undefined ? undefined : textOfMembers({ ...request.raw, index: String(place) }),
};

function pageOf(sessionId: SessionId, offset: number): OrchestratorRead {
  const filter = { tags: [TAG], limit: PAGE, offset, sort: { field: 'position', order: 'asc' } };
  return { action: 'batch_read', sessionId, payload: { filter, no_touch: true, count: false } };
}

const listReminders: MappedRead = {
  kind: 'read',
  owner: userOf,
  // Listing changes nothing, so shadow reads may call the service as well.
  onLegacy: () => 'nothing',
  toOrchestrator: (_request, sessionId) => [pageOf(sessionId, 0)],
  // The reply as the service would spell it, or the page that must be read first.
  fromOrchestrator: (answers, { sessionId }) => {
    const last = answers.at(-1);
    const read = answers.reduce((sum, answer) => sum + countItems(answer), 0);
    if (last !== undefined && hasMore(last)) return { next: [pageOf(sessionId, read)] };
    const reminders = answers.flatMap(itemsOf).map((item) => ({
      timestamp: new Json(epochTimestampOf(item)),
      reminder: new Json(item.content.raw['reminder'] ?? 'null'),
    }));
    return { reply: encodeJson({ status: 'ok', reminders }) };
  },
  // Differences that are no mismatch, each with the person responsible and the reason.
  rules: [
    {
      kind: 'tolerance_seconds',
      path: 'reminders[].timestamp',
      seconds: 5,
      owner: 'ann',
      reason: 'legacy shows when it stored a reminder, the orchestrator when the proxy accepted it',
    },
  ],
};

/** Raw JSON text of each user's list. A missing setting must fail: as an empty store, it would make every item lost. */
async function readStore(access: LegacyAccess): Promise<Readonly<Record<string, string>>> {
  const text = await access.jsonFile?.();
  if (text === undefined) throw new Error('legacy.jsonFile of the reminders is not configured');
  if (!isJsonObject(parseTolerantly(text))) throw new Error('the file of the reminders is not a JSON object');
  return rawMembers(text);
}

/** @param list raw JSON text; undefined if the store has no trace of the user */
function laneOf(list: string | undefined): LegacyLane {
  return { exists: list !== undefined, items: rawElements(list ?? '[]').map(itemOf) };
}

function itemOf(raw: string): LegacyItem {
  const { timestamp, reminder = 'null' } = rawMembers(raw);
  return { fields: { reminder }, ...epochTimeOf(timestamp) };
}

export default defineService({
  // The key of the service in the settings.
  name: 'reminders',
  // The port that agents connect to. `services.reminders.port` overrides it.
  endpoint: { kind: 'zmq', port: 5590 },
  dialect: { error: (_kind, reason) => encodeJson({ status: 'error', reason }) },
  // Agents that send a request again, because they got no reply, send the same id.
  requestId: 'request_id',
  actions: {
    add_reminder: addReminder,
    delete_reminder: deleteReminder,
    list_reminders: listReminders,
  },
  lanes: {
    // Ann's items are in the session `reminders:ann`. Each service needs a prefix of its own.
    sessionPrefix: 'reminders',
    // The service forgets nothing by itself, so every item that vanishes is lost.
    retention: {},
    owners: async (access) =>
      Object.keys(await readStore(access))
        .map((user) => parseOwner(user))
        .filter((user) => user !== undefined),
    isReadable: (access) => access.jsonFile !== undefined,
    readLegacy: async (owner, access) => laneOf((await readStore(access))[owner]),
    // A backfill reads the file once for many users.
    readMany: async (owners, access) => {
      const store = await readStore(access);
      return new Map(owners.map((owner) => [owner, laneOf(store[owner])]));
    },
    createPayload: ({ fields, timestamp }) => payloadOf(fields['reminder'] ?? 'null', timestamp),
    // The inverse of `createPayload`, for the items that `list_reminders` shows, whichever program wrote them.
    fieldsOf: (memory) => {
      const { fields, raw } = contentOf(memory);
      const { reminder } = raw;
      const isListed = fields['source_agent'] === SOURCE || memory.tags.includes(TAG);
      return isListed && reminder !== undefined ? { reminder } : undefined;
    },
    retime,
    // The members of `content` that `fieldsOf` returns: the orchestrator digests them, and only lanes that differ are read.
    digest: { fields: ['reminder'], without: [], excludeTags: [] },
    restoreRequest: ({ reminder = 'null' }, owner) =>
      encodeJson({ action: 'add_reminder', user_id: owner, reminder: new Json(reminder) }),
  },
  probe: '{"action": "list_reminders", "user_id": "crossfade-probe"}',
  unmapped: [
    {
      what: 'timestamps of reminders',
      reason:
        'the service sets the time when it stores a reminder. Until the next copy or comparison of the lane, a delivered reminder has the time at which the proxy accepted it',
    },
  ],
});
