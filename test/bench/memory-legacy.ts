import { createAgent } from '../../src/sandbox/agent.ts';
import { HISTORY_TOKENS, SEARCH_RESULTS, type Turn } from './memory-dialogue.ts';

/** One side as a client of it sees it. What its service does not offer is absent. Answers are texts, so that two sides can be compared. */
export interface MemorySide {
  /** Begins a conversation; the rest is about it. */
  begin(session: string): Promise<void>;
  add(turn: Turn): Promise<void>;
  readonly get?: (index: number) => Promise<string[]>;
  /** The turns with this word, in any order. */
  readonly search?: (word: string) => Promise<string[]>;
  /** The newest turns, oldest first; or what the service makes of them. */
  history(): Promise<string[]>;
  close(): void;
}

interface Spoken {
  readonly content: string;
}

interface ContextReply {
  readonly status?: string;
  readonly context: readonly Spoken[];
}

/** More than any conversation here has. */
const ALL_TOKENS = 100_000_000;

/** The service knows no turn by its id and searches nothing: its clients ask for the whole context and look for themselves. */
export function createSessionMemorySide(endpoint: string): MemorySide {
  const agent = createAgent({ endpoint });
  let session = '';
  const call = async (request: object): Promise<ContextReply> => {
    const reply = JSON.parse(String(await agent.call(JSON.stringify(request)))) as ContextReply;
    if (reply.status !== 'success')
      throw new Error(`session-memory answered ${JSON.stringify(reply).slice(0, 200)}`);
    return reply;
  };
  const context = async (tokens: number): Promise<string[]> => {
    const request = { action: 'get_context', session_id: session, max_tokens: tokens };
    return (await call(request)).context.map(({ content }) => content);
  };
  return {
    async begin(name) {
      session = name;
      await call({ action: 'create_session', session_id: session, user_id: 'bench' });
    },
    async add({ text }) {
      await call({ action: 'add_interaction', session_id: session, role: 'user', content: text });
    },
    get: async (index) => (await context(ALL_TOKENS)).slice(index, index + 1),
    search: async (word) =>
      (await context(ALL_TOKENS))
        .filter((text) => text.split(' ').includes(word))
        .toReversed()
        .slice(0, SEARCH_RESULTS),
    history: () => context(HISTORY_TOKENS),
    close: () => agent.close(),
  };
}

// What it answers to every write that it has stored.
const STORED = "'bool' object has no attribute 'get'";

/** The service shows no entry again: all that it gives back is the summary that it has made of them. */
export function createContextualMemorySide(endpoint: string): MemorySide {
  const agent = createAgent({ endpoint });
  let session = '';
  const call = async (request: object): Promise<string> =>
    String(await agent.call(JSON.stringify({ ...request, session_id: session })));
  return {
    begin: async (name) => {
      session = name;
    },
    async add({ text }) {
      const reply = await call({ action: 'add_interaction', type: 'user_query', content: text });
      if (!reply.includes(STORED)) throw new Error(`contextual-memory answered ${reply.slice(0, 200)}`);
    },
    history: async () => [withoutTime(await call({ action: 'get_context' }))],
    close: () => agent.close(),
  };
}

/** Each side stamps a summary with its own clock. */
export function withoutTime(summary: string): string {
  return summary.replace(/"last_updated": [\d.]+/, '"last_updated": 0');
}
