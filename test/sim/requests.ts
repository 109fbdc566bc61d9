import { laneKeyOf, parseOwner, type Owner } from '../../src/domain/ids.ts';
import type { Message } from '../../src/domain/request.ts';
import type { Call } from './history.ts';
import { markOf } from './legacy/effects.ts';
import type { Random } from './random.ts';
import type { SimService } from './world.ts';

interface Draft {
  readonly action: string;
  readonly kind?: 'read';
  readonly stores?: boolean;
  readonly deletes?: string;
  readonly fields?: Readonly<Record<string, unknown>>;
}

type Writer = (mark: string, random: Random) => Draft;

/** What agents ask of each service, and how often. */
const REQUESTS: Readonly<Record<string, readonly (readonly [weight: number, draft: Writer])[]>> = {
  'session-memory': [
    [2, () => ({ action: 'create_session', fields: { user_id: 'agent' } })],
    [8, (mark) => ({ action: 'add_interaction', stores: true, fields: { role: 'user', content: mark } })],
    [1, () => ({ action: 'clear_session', deletes: 'all' })],
    [1, () => ({ action: 'delete_session', deletes: 'all' })],
    [4, () => ({ action: 'get_context', kind: 'read' })],
  ],
  'contextual-memory': [
    [
      8,
      (mark) => ({ action: 'add_interaction', stores: true, fields: { type: 'user_query', content: mark } }),
    ],
    [2, (mark) => ({ action: 'record_decision', stores: true, fields: { decision: mark } })],
    [3, () => ({ action: 'get_context', kind: 'read' })],
  ],
  'jarvis-memory': [
    [6, (mark) => ({ action: 'add_memory', stores: true, fields: { memory: { text: mark } } })],
    [
      2,
      (mark) => ({
        action: 'add_memory',
        stores: true,
        fields: { memory: { type: 'reminder', text: mark } },
      }),
    ],
    // Legitimate duplicates, which nothing tells apart.
    [1, () => ({ action: 'add_memory', fields: { memory: { text: 'the same' } } })],
    [1, () => ({ action: 'clear_memories', deletes: 'all' })],
    [4, () => ({ action: 'get_memories', kind: 'read' })],
  ],
  notes: [
    [1, () => ({ action: 'begin' })],
    [8, (mark, random) => keyed('put', mark, random)],
    [2, (mark, random) => keyed('remove', mark, random)],
    [2, (mark) => ({ action: 'jot', stores: true, fields: { text: mark } })],
    [1, () => ({ action: 'jot', fields: { text: 'the same' } })],
    // Named by their place, and by a condition: what they concern, nothing but the service knows.
    [2, (_mark, random) => ({ action: 'drop', deletes: 'all', fields: { place: random.whole(1, 4) } })],
    [
      1,
      (_mark, random) => ({ action: 'prune', deletes: 'all', fields: { before: `n${random.whole(1, 9)}` } }),
    ],
    [1, () => ({ action: 'clear', deletes: 'all' })],
    [1, () => ({ action: 'end', deletes: 'all' })],
    [4, () => ({ action: 'list', kind: 'read' })],
  ],
};

const KEYS = ['a', 'b', 'c', 'd', 'e', 'f', 'g', 'h', 'i', 'j', 'k', 'l', 'm', 'n', 'o', 'p', 'q', 'r'];

function keyed(action: 'put' | 'remove', mark: string, random: Random): Draft {
  const key = random.pick(KEYS);
  return {
    action,
    deletes: key,
    fields: { key, ...(action === 'put' && { text: mark }) },
    stores: action === 'put',
  };
}

const OWNER_FIELD: Readonly<Record<string, string>> = {
  'session-memory': 'session_id',
  'contextual-memory': 'session_id',
  'jarvis-memory': 'user_id',
  notes: 'owner',
};

/** Whose a request is. */
export function ownerIn(service: string, { fields }: Message): Owner | undefined {
  return parseOwner(fields[OWNER_FIELD[service] ?? 'owner']);
}

/** The next request of an agent: number `number` of its run. */
export function drawCall(number: number, service: SimService, random: Random): Call {
  const drafts = REQUESTS[service.name] ?? [];
  const weights = Object.fromEntries(drafts.map(([weight], index) => [String(index), weight]));
  const writer = drafts[Number(random.weighted(weights))]?.[1];
  if (writer === undefined) throw new Error(`Nobody knows what to ask ${service.name}`);
  const owner = random.pick(service.owners);
  const draft = writer(markOf(number), random);
  const request = {
    action: draft.action,
    [OWNER_FIELD[service.name] ?? 'owner']: owner,
    ...draft.fields,
    request_id: random.pick(['', 'always the same', `r${number}`]),
    number,
  };
  return {
    number,
    service: service.name,
    owner,
    lane: laneKeyOf(service.name, owner as Owner),
    action: draft.action,
    kind: draft.kind ?? 'write',
    stores: draft.stores ?? false,
    deletes: draft.deletes ?? 'nothing',
    body: Buffer.from(JSON.stringify(request)),
    startMs: 0,
    sentMs: 0,
    endMs: Infinity,
    status: 'open',
    reply: '',
    attempts: 0,
    arrived: 0,
    isDoubted: false,
    isTaken: false,
    answered: undefined,
    meant: 1,
    meantFrom: 1,
    suspected: new Set(),
    spilled: new Set(),
    isCovered: false,
  };
}
