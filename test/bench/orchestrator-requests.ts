import type { Random } from '../sim/random.ts';
import { drawQuery, drawVector, drawWords, SESSION_ITEMS, sessionAt, USER } from './orchestrator-items.ts';

/** What is measured. `cold` reads are ones that nobody asked for before. */
export const OPERATIONS = [
  'create',
  'create_with_vector',
  'read_cold',
  'read_cached',
  'batch_read',
  'batch_read_cached',
  'keyword',
  'semantic',
  'semantic_session',
  'hybrid',
  'mixed',
] as const;

export type Operation = (typeof OPERATIONS)[number];

/** How often agents do what, in percent: they mostly read, and search now and then. */
export const MIX: Readonly<Partial<Record<Operation, number>>> = {
  read_cached: 50,
  batch_read_cached: 20,
  create: 20,
  keyword: 5,
  semantic: 5,
};

export const NEEDS_VECTORS: ReadonlySet<Operation> = new Set([
  'create_with_vector',
  'semantic',
  'semantic_session',
  'hybrid',
  // Searches by meaning are in it.
  'mixed',
]);

/** One that asks, and writes into a session of its own. */
export interface Requester {
  readonly random: Random;
  /** No other has it. */
  readonly id: string;
  readonly items: number;
  /** Written memories expire after so many seconds: for runs whose store must not grow. */
  readonly ttl?: number | undefined;
  written: number;
}

export const RESULTS = 10;
// How long an answer takes is what is measured, not whether it is given up.
const DEADLINE_MS = 60_000;

type Asked = Readonly<Record<string, unknown>>;

const REQUEST_OF: Readonly<Record<Operation, (requester: Requester) => Asked>> = {
  create: (requester) => create(requester),
  create_with_vector: (requester) =>
    create(requester, { embedding: drawVector(requester.random, 'written') }),
  read_cold: (requester) => read(requester, { once: requester.random.uuid() }),
  read_cached: (requester) => read(requester),
  batch_read: (requester) => history(filledSession(requester), { once: requester.random.uuid() }),
  batch_read_cached: (requester) => history(filledSession(requester)),
  keyword: ({ random, items }) => search('keyword', { query: drawQuery(random, items) }),
  semantic: ({ random }) => search('semantic', { query_vector: drawVector(random) }),
  semantic_session: (requester) => ({
    action: 'search',
    session_id: filledSession(requester),
    payload: {
      search_type: 'semantic',
      query_vector: drawVector(requester.random),
      filters: { limit: RESULTS },
    },
  }),
  hybrid: ({ random, items }) =>
    search('hybrid', { query: drawQuery(random, items), query_vector: drawVector(random) }),
  mixed: (requester) => mixed(requester),
};

/** The next message of a client. */
export function requestOf(operation: Operation, requester: Requester): string {
  return JSON.stringify({ ...REQUEST_OF[operation](requester), deadline_ms: DEADLINE_MS });
}

function mixed(requester: Requester): Asked {
  const { random, written } = requester;
  const operation = random.weighted(MIX);
  // Half of the histories are of the session that is being written to, which no cache has.
  if (operation === 'batch_read_cached' && written > 0 && random.chance(0.5))
    return history(writtenSession(requester));
  return REQUEST_OF[operation](requester);
}

/** A session takes so many memories; then the next begins. */
function writtenSession({ id, written }: Requester): string {
  return `written-${id}-${Math.floor((written - 1) / SESSION_ITEMS)}`;
}

function create(requester: Requester, more: object = {}): Asked {
  const { random, ttl } = requester;
  requester.written += 1;
  return {
    action: 'create',
    session_id: writtenSession(requester),
    request_id: random.uuid(),
    payload: {
      memory_type: 'conversation',
      content: {
        text: drawWords(random, 'written').join(' '),
        source_agent: 'bench',
        metadata: { role: 'user' },
      },
      create_session: true,
      user_id: 'writer',
      ttl,
      ...more,
    },
  };
}

// A member that no answer depends on makes a question that nobody has asked before.
function read({ random, items }: Requester, more: object = {}): Asked {
  const index = random.whole(0, items - 1);
  return {
    action: 'read',
    session_id: sessionAt(index),
    payload: { memory_id: `item-${index}`, ...more },
  };
}

function filledSession({ random, items }: Requester): string {
  return sessionAt(random.whole(0, items - 1));
}

function history(sessionId: string, more: object = {}): Asked {
  return { action: 'batch_read', session_id: sessionId, payload: { limit: SESSION_ITEMS, ...more } };
}

/** @param more `exact` among them */
export function search(type: 'keyword' | 'semantic' | 'hybrid', more: object): Asked {
  return {
    action: 'search',
    payload: { search_type: type, filters: { limit: RESULTS, user_id: USER }, ...more },
  };
}
