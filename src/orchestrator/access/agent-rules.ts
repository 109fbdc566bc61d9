import type { Action, PayloadOf } from '../wire/payloads.ts';
import type { Request } from '../wire/request.ts';
import { ALL_USERS, type Identity, seesUser } from './identity.ts';
import { denied } from './refusals.ts';

/*
 * The permissions of a key of the role `agent`. `migration` and `admin` may do everything.
 *
 * An agent sees a session if it opened it, has a memory in it, or if its key lists the session's user. It writes memories only under
 * its own name, and changes or deletes only its own. If a rule cannot decide from the request alone, it adds a claim. The database
 * then decides all claims of a request at once.
 */

/** Conditions of an agent's request that the database checks. The action itself handles a missing session or memory. */
export interface Claims {
  /** Sessions the agent must see. */
  readonly seen: Set<string>;
  /** Sessions that the agent must have opened, or see through their user. */
  readonly held: Set<string>;
  /** Sessions in which no other agent has a memory. */
  readonly sole: Set<string>;
  /** Memories whose sessions the agent must see. */
  readonly located: Set<string>;
  /** Memories whose related memories must be in sessions that the agent sees. */
  readonly related: Set<string>;
  /** Memories that must belong to the agent: id → session. */
  readonly owned: Map<string, string>;
}

export function noClaims(): Claims {
  return {
    seen: new Set(),
    held: new Set(),
    sole: new Set(),
    located: new Set(),
    related: new Set(),
    owned: new Map(),
  };
}

type Rule<A extends Action> = (request: Request<A>, agent: Identity, claims: Claims) => void;

export const AGENT_RULES: { readonly [A in Action]: Rule<A> } = {
  create: ({ sessionId, payload }, agent, claims) => {
    claims.seen.add(sessionId);
    ownName(payload.content, agent);
  },
  update: ({ sessionId, payload }, agent, claims) => {
    claims.seen.add(sessionId);
    claims.owned.set(payload.memory_id, sessionId);
    if (payload.content !== undefined) ownName(payload.content, agent);
  },
  delete: ({ sessionId, payload }, _agent, claims) => {
    claims.seen.add(sessionId);
    claims.owned.set(payload.memory_id, sessionId);
  },
  bulk_delete: ({ sessionId, action }, _agent, claims) => {
    if (sessionId === '')
      throw denied(`${action} over all sessions of a user is not allowed for keys of the role agent`, 'role');
    claims.seen.add(sessionId);
    claims.sole.add(sessionId);
  },
  create_session: ({ sessionId, payload }, _agent, claims) => {
    claims.seen.add(sessionId || (payload.session_id ?? ''));
  },
  end_session: ({ sessionId }, _agent, claims) => void claims.held.add(sessionId),
  upsert_session: notForAgents,
  // Its operations are checked one by one.
  batch_write: () => undefined,
  close_sequence: notForAgents,
  lane_positions: notForAgents,
  read: seesSession,
  batch_read: (request, agent, claims) => seesSessionOrUser(request, agent, claims),
  search: (request, agent, claims) => seesSessionOrUser(request, agent, claims),
  summarize: seesSession,
  digest: ({ sessionId, payload }, _agent, claims) => {
    for (const id of payload.session_ids ?? [sessionId]) claims.seen.add(id);
  },
  scan: notForAgents,
  list_sessions: ({ payload }, agent) => {
    if (payload.source_agent !== agent.id) ownUser(payload.user_id, agent);
  },
  put_profile: ({ payload }, agent) => ownUser(payload.user_id, agent),
  get_profile: ({ payload }, agent) => ownUser(payload.user_id, agent),
  delete_profile: notForAgents,
  put_agent_state: ownState,
  get_agent_state: ownState,
  add_relationship: ({ sessionId, payload }, _agent, claims) => {
    claims.seen.add(sessionId);
    claims.owned.set(payload.source_memory_id, sessionId);
    claims.located.add(payload.target_memory_id);
  },
  get_related: ({ sessionId, payload }, _agent, claims) => {
    claims.seen.add(sessionId);
    for (const id of [payload.source_memory_id, payload.target_memory_id])
      if (id !== undefined) claims.related.add(id);
  },
  health: () => undefined,
  ping: () => undefined,
  health_check: () => undefined,
};

/** Actions that need no key, because health probes have none. */
export const WITHOUT_KEY: ReadonlySet<unknown> = new Set<Action>(['health', 'ping', 'health_check']);

function notForAgents({ action }: Request): never {
  throw denied(`${action} is not allowed for keys of the role agent`, 'role');
}

function seesSession({ sessionId }: Request, _agent: Identity, claims: Claims): void {
  claims.seen.add(sessionId);
}

// Without a session these actions cover all sessions of the given user.
function seesSessionOrUser(
  request: Request<'batch_read'> | Request<'search'>,
  agent: Identity,
  claims: Claims,
): void {
  const { sessionId, payload } = request;
  if (sessionId !== '') {
    claims.seen.add(sessionId);
    return;
  }
  const filter = 'filters' in payload ? payload.filters : (payload as PayloadOf<'batch_read'>).filter;
  ownUser(filter?.user_id, agent);
}

function ownState(
  { sessionId, payload }: Request<'put_agent_state'> | Request<'get_agent_state'>,
  agent: Identity,
  claims: Claims,
): void {
  if (payload.agent_id !== agent.id)
    throw denied('An agent can only access its own state', 'foreign_agent', { agent_id: payload.agent_id });
  claims.seen.add(sessionId);
}

function ownName(content: object, agent: Identity): void {
  const { source_agent: given } = content as { source_agent?: unknown };
  if (given === agent.id) return;
  throw denied(`content.source_agent must be "${agent.id}", the agent of the key`, 'foreign_agent', {
    field: 'content.source_agent',
  });
}

function ownUser(user: string | undefined, agent: Identity): void {
  if (user === undefined ? agent.users.has(ALL_USERS) : seesUser(agent, user)) return;
  const message =
    user === undefined
      ? 'The key does not cover all users: give a user_id'
      : 'The key does not cover this user';
  throw denied(message, 'foreign_user', { user_id: user ?? null });
}
