import { randomUUID } from 'node:crypto';
import { createAgent, type Agent } from '../../src/sandbox/agent.ts';

/** A reply of session-memory, with what an agent sees of it. */
export interface SessionReply {
  readonly text: string;
  readonly ms: number;
  readonly status: unknown;
  readonly message: unknown;
  /** Present in the answer of get_context. */
  readonly context: readonly { readonly role: string; readonly content: string }[] | undefined;
}

/** The original agents wait 5 s, the proxy answers within 4.5 s. What a busy machine adds to that ends no test. */
const PATIENCE_MS = 20_000;

/** One strict REQ socket that speaks session-memory's protocol. */
export interface SessionAgent {
  ask(request: Readonly<Record<string, unknown>>): Promise<SessionReply>;
  close(): void;
}

export function createSessionAgent(endpoint: string): SessionAgent {
  const agent: Agent = createAgent({ endpoint, receiveTimeoutMs: PATIENCE_MS });
  return {
    async ask(request) {
      const startedAtMs = performance.now();
      const text = (await agent.call(JSON.stringify(request))).toString();
      const ms = performance.now() - startedAtMs;
      const reply = JSON.parse(text) as Omit<SessionReply, 'text' | 'ms'>;
      return { text, ms, status: reply.status, message: reply.message, context: reply.context };
    },
    close: () => agent.close(),
  };
}

/** A session id that nobody has used. */
export function freshSession(prefix = 's'): string {
  return `${prefix}-${randomUUID()}`;
}

export const createSession = (session_id: string) => ({
  action: 'create_session',
  session_id,
  user_id: 'ana',
  request_id: 'create',
});

export const addInteraction = (session_id: string, content: string) => ({
  action: 'add_interaction',
  session_id,
  role: 'user',
  content,
  request_id: 'add',
});

export const getContext = (session_id: string) => ({
  action: 'get_context',
  session_id,
  max_tokens: 10_000_000,
  request_id: 'get',
});

/** One request over a socket of its own. */
export async function askOnce(
  endpoint: string,
  request: Readonly<Record<string, unknown>>,
): Promise<SessionReply> {
  const agent = createSessionAgent(endpoint);
  try {
    return await agent.ask(request);
  } finally {
    agent.close();
  }
}
