import { sessionIdOf, parseOwner } from '../../src/domain/ids.ts';
import { encodeJson, rawMembers } from '../../src/domain/json.ts';
import type { OrchestratorAnswer } from '../../src/domain/orchestrator-call.ts';
import { Message } from '../../src/domain/request.ts';
import { createAgent } from '../../src/sandbox/agent.ts';
import { answerContext, firstContextReads } from '../../src/services/contextual-memory/context.ts';
import { entryPayload } from '../../src/services/contextual-memory/store.ts';
import { HISTORY_TURNS, SEARCH_RESULTS } from './memory-dialogue.ts';
import { withoutTime, type MemorySide } from './memory-legacy.ts';

interface Memory {
  readonly content: { readonly text: string };
}

interface Data extends Partial<Memory> {
  readonly memories?: readonly Memory[];
  readonly results?: readonly Memory[];
}

interface Client {
  /** @returns the reply's data as text */
  ask(action: string, payload: object): Promise<string>;
  close(): void;
}

function createClient(endpoint: string, sessionId: () => string): Client {
  const agent = createAgent({ endpoint });
  let requests = 0;
  return {
    async ask(action, payload) {
      const request = { action, session_id: sessionId(), request_id: `bench-${(requests += 1)}`, payload };
      const { status, data = '{}', error } = rawMembers(String(await agent.call(encodeJson(request))));
      if (status !== '"success"') throw new Error(`${action} was answered ${error?.slice(0, 200)}`);
      return data;
    },
    close: () => agent.close(),
  };
}

/** The orchestrator, asked for what a client of session-memory wants to know. */
export function createSessionOrchestratorSide(endpoint: string): MemorySide {
  let session = '';
  const client = createClient(endpoint, () => session);
  const texts = async (action: string, payload: object): Promise<string[]> => {
    const data = JSON.parse(await client.ask(action, payload)) as Data;
    const found = data.memories ?? data.results ?? [data as Memory];
    return found.map(({ content }) => content.text);
  };
  const idOf = (index: number): string => `${session}-${index}`;
  return {
    async begin(name) {
      session = name;
      await client.ask('create_session', { user_id: 'bench' });
    },
    async add({ index, text }) {
      const content = { text, source_agent: 'session_memory_agent', metadata: { role: 'user' } };
      await client.ask('create', {
        memory_id: idOf(index),
        memory_type: 'conversation',
        position: index,
        content,
      });
    },
    get: (index) => texts('read', { memory_id: idOf(index) }),
    search: (word) =>
      texts('search', { query: word, search_type: 'keyword', filters: { limit: SEARCH_RESULTS } }),
    history: async () => {
      const sort = { field: 'position', order: 'desc' };
      return (
        await texts('batch_read', { filter: { limit: HISTORY_TURNS, sort }, count: false })
      ).toReversed();
    },
    close: () => client.close(),
  };
}

const GET_CONTEXT = new Message('{"action": "get_context"}', { action: 'get_context' });

/** The orchestrator as the migration uses it for contextual-memory: it keeps the entries, and the summary is made when it is read. */
export function createContextualOrchestratorSide(endpoint: string): MemorySide {
  let session = sessionOf('none');
  const client = createClient(endpoint, () => session);
  return {
    begin: async (name) => {
      session = sessionOf(name);
    },
    async add({ index, text }) {
      const payload = entryPayload({ type: '"user_query"', content: JSON.stringify(text) });
      await client.ask('create', { ...payload, memory_id: `${session}-${index}`, position: index });
    },
    async history() {
      const answers: OrchestratorAnswer[] = [];
      let reads = firstContextReads(session);
      for (;;) {
        for (const { action, payload } of reads) {
          const text = await client.ask(action, payload);
          answers.push({ text, data: JSON.parse(text) as OrchestratorAnswer['data'] });
        }
        const answer = answerContext(answers, {
          request: GET_CONTEXT,
          sessionId: session,
          context: { timeZone: 'UTC' },
        });
        if ('reply' in answer) return [withoutTime(answer.reply)];
        reads = answer.next;
      }
    },
    close: () => client.close(),
  };
}

function sessionOf(name: string) {
  const owner = parseOwner(name);
  if (owner === undefined) throw new Error(`${name} is no session`);
  return sessionIdOf('', owner);
}
