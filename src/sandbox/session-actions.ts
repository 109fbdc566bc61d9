import { randomUUID } from 'node:crypto';
import { pythonStr } from './python-text.ts';
import { isTruthy } from './python-values.ts';
import type { PythonMap, PythonValue } from './python-values.ts';
import type { SessionStore } from './session-store.ts';

const DEFAULT_MAX_TOKENS = 2000;

type Action = (store: SessionStore, request: PythonMap) => Promise<PythonMap>;

const ACTIONS: ReadonlyMap<PythonValue, Action> = new Map<PythonValue, Action>([
  ['create_session', createSession],
  ['add_interaction', addInteraction],
  ['get_context', getContext],
  ['clear_session', onSession((store, sessionId) => store.clear(sessionId))],
  ['delete_session', onSession((store, sessionId) => store.delete(sessionId))],
]);

/** Executes one request and makes the reply, which always ends with the request's id, or "" if it has none. */
export async function answerRequest(store: SessionStore, request: PythonMap): Promise<PythonMap> {
  const name = valueOr(request, 'action', '');
  const action = ACTIONS.get(name);
  const reply =
    action === undefined ? refusal(`Unknown action: ${pythonStr(name)}`) : await action(store, request);
  return reply.set('request_id', valueOr(request, 'request_id', ''));
}

async function createSession(store: SessionStore, request: PythonMap): Promise<PythonMap> {
  const id = await store.create({
    sessionId: valueOr(request, 'session_id', randomUUID()),
    userId: valueOr(request, 'user_id', 'default'),
    metadata: valueOr(request, 'metadata', null),
  });
  return outcome(isTruthy(id)).set('session_id', id);
}

async function addInteraction(store: SessionStore, request: PythonMap): Promise<PythonMap> {
  const sessionId = valueOr(request, 'session_id', null);
  const role = valueOr(request, 'role', null);
  const content = valueOr(request, 'content', null);
  if (![sessionId, role, content].every(isTruthy)) return refusal('Missing required parameters');
  const metadata = valueOr(request, 'metadata', null);
  return outcome(await store.add({ sessionId, role, content, metadata }));
}

async function getContext(store: SessionStore, request: PythonMap): Promise<PythonMap> {
  const sessionId = valueOr(request, 'session_id', null);
  if (!isTruthy(sessionId)) return refusal('Missing session_id');
  const context = await store.context(sessionId, valueOr(request, 'max_tokens', DEFAULT_MAX_TOKENS));
  return outcome(true).set('context', context);
}

function onSession(act: (store: SessionStore, sessionId: PythonValue) => Promise<boolean>): Action {
  return async (store, request) => {
    const sessionId = valueOr(request, 'session_id', null);
    return isTruthy(sessionId) ? outcome(await act(store, sessionId)) : refusal('Missing session_id');
  };
}

function outcome(isDone: boolean): PythonMap {
  return new Map([['status', isDone ? 'success' : 'error']]);
}

function refusal(message: string): PythonMap {
  return new Map([
    ['status', 'error'],
    ['message', message],
  ]);
}

function valueOr(request: PythonMap, key: string, absent: PythonValue): PythonValue {
  const value = request.get(key);
  return value === undefined ? absent : value;
}
