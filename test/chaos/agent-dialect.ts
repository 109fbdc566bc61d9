import type { StandInService } from '../../src/sandbox/stand-ins.ts';
import { canonical, type StoreContents } from '../accept/stores.ts';
import type { Certainty } from './lane-book.ts';

type Fields = Readonly<Record<string, unknown>>;

/** How agents of a service write, and where what they wrote is found in the stores. */
interface Dialect {
  readonly open?: (owner: string) => Fields;
  readonly add: (owner: string, text: string) => Fields;
  /** A clear with the id and the text of one that got no reply would count as its repeat, so each has an id of its own. */
  readonly clear?: (owner: string, id: string) => Fields;
  /** A read that does no harm. */
  readonly read?: (owner: string) => Fields;
  readonly isAcknowledged: (reply: Fields) => boolean;
  /** The texts that a read answered. */
  readonly shown: (reply: Fields) => readonly string[];
  readonly listOf: (store: StoreContents, owner: string) => readonly string[];
}

/** The reply that the original gives to every successful write. */
const CONTEXTUAL_SUCCESS = "'bool' object has no attribute 'get'";

/** More tokens than a lane ever holds: the whole of it is answered. */
const EVERYTHING = 10_000_000;

export const DIALECTS: Readonly<Record<StandInService, Dialect>> = {
  'session-memory': {
    open: (owner) => ({ action: 'create_session', session_id: owner, user_id: 'ann', metadata: {} }),
    add: (owner, text) => ({
      action: 'add_interaction',
      session_id: owner,
      role: 'user',
      content: text,
      metadata: {},
      request_id: 'r',
    }),
    clear: (owner, id) => ({ action: 'clear_session', session_id: owner, request_id: id }),
    read: (owner) => ({ action: 'get_context', session_id: owner, max_tokens: EVERYTHING }),
    isAcknowledged: ({ status }) => status === 'success',
    shown: ({ context }) => (context as { content: string }[]).map(({ content }) => content),
    listOf: (store, owner) => (store.sessions.get(owner) ?? []).map(behindTheLine),
  },
  'contextual-memory': {
    add: (owner, text) => ({
      action: 'add_interaction',
      session_id: owner,
      type: 'user_query',
      content: text,
      metadata: {},
    }),
    isAcknowledged: ({ message }) => message === CONTEXTUAL_SUCCESS,
    shown: () => [],
    listOf: (store, owner) => (store.entries.get(owner) ?? []).map(behindTheLine),
  },
  'jarvis-memory': {
    add: (owner, text) => ({ action: 'add_memory', user_id: owner, memory: text }),
    clear: (owner) => ({ action: 'clear_memories', user_id: owner }),
    read: (owner) => ({ action: 'get_memories', user_id: owner }),
    isAcknowledged: ({ status }) => status === 'ok',
    shown: ({ memories }) => (memories as { memory: string }[]).map(({ memory }) => memory),
    listOf: (store, owner) =>
      (store.memories.get(owner) ?? []).map((text) => textOf(JSON.parse(text) as unknown)),
  },
};

/** Replies of the proxy that promise that nothing was done. */
const NOTHING_DONE = ['the journal cannot be written', 'is too busy', 'other writes of the same owner'];

/** What a reply tells its agent of a write. */
export function certaintyOf(service: StandInService, reply: Fields): Certainty {
  if (DIALECTS[service].isAcknowledged(reply)) return 'acknowledged';
  const words = JSON.stringify(reply);
  return NOTHING_DONE.some((known) => words.includes(known)) ? 'refused' : 'unknown';
}

function behindTheLine(text: string): string {
  return text.slice(text.indexOf('\n') + 1);
}

function textOf(value: unknown): string {
  return typeof value === 'string' ? value : canonical(value);
}
