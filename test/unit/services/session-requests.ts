export const ask = (maxTokens?: unknown, session = 's'): string =>
  JSON.stringify({ action: 'get_context', session_id: session, max_tokens: maxTokens, request_id: 'r' });

export const say = (content: unknown, more: object = {}): string =>
  JSON.stringify({ action: 'add_interaction', session_id: 's', role: 'user', content, ...more });

export interface Shown {
  readonly role: unknown;
  readonly content: string;
  readonly timestamp: string;
}

export const shownOf = (reply: string): readonly Shown[] =>
  (JSON.parse(reply) as { context: Shown[] }).context;
