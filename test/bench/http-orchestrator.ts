import { Router } from 'zeromq';
import { serveParent, settingsOfChild } from './child.ts';
import { KEPT_ITEMS } from './http-service.ts';

// As much of the orchestrator as the benchmark needs, in memory: it costs about what the target of nginx's mirror costs.
const { endpoint } = settingsOfChild() as { endpoint: string };

interface Memory {
  readonly memory_id: string;
  readonly [field: string]: unknown;
}

interface Operation {
  readonly action: string;
  readonly session_id: string;
  readonly payload: Memory;
}

interface Request {
  readonly action: string;
  readonly session_id?: string;
  readonly request_id: string;
  readonly payload: { readonly operations?: readonly Operation[]; readonly memory_ids?: readonly string[] };
}

/** Oldest first. */
const sessions = new Map<string, Memory[]>();

function apply({ action, session_id, payload }: Operation): object {
  const memories = sessions.get(session_id) ?? [];
  sessions.set(session_id, memories);
  if (action !== 'create') return {};
  if (memories.some(({ memory_id }) => memory_id === payload.memory_id)) return { already_applied: true };
  memories.push(payload);
  // Twice as many: what a proxy reads back must still be there.
  if (memories.length > 2 * KEPT_ITEMS) memories.shift();
  return { memory_id: payload.memory_id };
}

function batchRead({ session_id = '', payload: { memory_ids } }: Request): object {
  const memories = sessions.get(session_id) ?? [];
  const found =
    memory_ids === undefined
      ? memories.slice(-KEPT_ITEMS).toReversed()
      : memories.filter(({ memory_id }) => memory_ids.includes(memory_id));
  return { memories: found, page_info: { has_more: false } };
}

function scan({ session_id = '' }: Request): object {
  const items = sessions.get(session_id);
  return { session: items === undefined ? null : { session_id }, items: items ?? [] };
}

const ANSWERS: Readonly<Record<string, (request: Request) => object>> = {
  batch_write: ({ payload }) => ({ results: (payload.operations ?? []).map(apply) }),
  batch_read: batchRead,
  scan,
};

const socket = new Router({ sendTimeout: 0, linger: 0 });
await socket.bind(endpoint);
serveParent();
let sending: Promise<void> = Promise.resolve();
for await (const frames of socket) {
  const request = JSON.parse(String(frames.at(-1))) as Request;
  const { action, request_id } = request;
  const reply = { status: 'success', action, request_id, data: ANSWERS[action]?.(request) ?? {} };
  const answer = [...frames.slice(0, -1), JSON.stringify(reply)];
  sending = sending.then(() => socket.send(answer)).catch(() => undefined);
}
