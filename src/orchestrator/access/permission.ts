import { LRUCache } from 'lru-cache';
import { isJsonObject } from '../../domain/json.ts';
import { operationsOf } from '../memories/batch-write.ts';
import { namedRefusal, refusedAt, RefusedOperation } from '../memories/refused-operation.ts';
import type { Request } from '../wire/request.ts';
import type { Session } from '../../storage/database.ts';
import { AGENT_RULES, type Claims, noClaims } from './agent-rules.ts';
import { type Identity, seesUser } from './identity.ts';
import { denied } from './refusals.ts';

/** A permitted request. It may create sessions, which the agent sees afterwards. */
export interface Permission {
  /** Call it with the `data` of the answer. */
  granted(data: object): Promise<void>;
}

const NOTHING_MADE: Permission = { granted: async () => undefined };

/** Checks whether the request is allowed. @throws OperationError `permission_denied` */
export async function permit(identity: Identity, request: Request, standing: Standing): Promise<Permission> {
  if (identity.role !== 'agent') return NOTHING_MADE;
  const claims = noClaims();
  const operations = claimed(request, identity, claims);
  const absent = await standing.check(identity, claims);
  if (!operations.some((operation) => mayOpen(operation, absent))) return NOTHING_MADE;
  return {
    async granted(data) {
      const opened = sessionsOpened(operations, absent, resultsOf(request, data));
      if (opened.length > 0) await standing.opened(identity, opened);
    },
  };
}

/** The operations of a request, after the checks that need no database. Adds claims for the rest. */
function claimed(request: Request, identity: Identity, claims: Claims): readonly Request[] {
  if (!isBatch(request)) {
    claimsOf(request, identity, claims);
    return [request];
  }
  try {
    const operations = operationsOf(request);
    operations.forEach((operation, index) => {
      try {
        claimsOf(operation, identity, claims);
      } catch (error) {
        throw refusedAt(index, error);
      }
    });
    return operations;
  } catch (error) {
    throw error instanceof RefusedOperation ? namedRefusal(error) : error;
  }
}

function isBatch(request: Request): request is Request<'batch_write'> {
  return request.action === 'batch_write';
}

function claimsOf(request: Request, identity: Identity, claims: Claims): void {
  if (request.lane !== undefined)
    throw denied('The fence of a lane (member lane) is not allowed for keys of the role agent', 'role', {
      field: 'lane',
    });
  // The table is keyed by the action that the request carries.
  const rule = AGENT_RULES[request.action] as Rule;
  rule(request, identity, claims);
}

type Rule = (request: Request, agent: Identity, claims: Claims) => void;

function mayOpen({ action, sessionId, payload }: Request, absent: ReadonlySet<string>): boolean {
  if (action === 'create_session') return true;
  return 'create_session' in payload && payload.create_session === true && absent.has(sessionId);
}

/** The new sessions. The id of a session that was created without one is only in the answer. */
function sessionsOpened(
  operations: readonly Request[],
  absent: ReadonlySet<string>,
  results: readonly unknown[],
): string[] {
  return operations.flatMap((operation, index) => {
    if (!mayOpen(operation, absent)) return [];
    const given = sessionIdOf(operation);
    if (given !== '') return absent.has(given) ? [given] : [];
    const result = results[index];
    const made = isJsonObject(result) ? result['session_id'] : undefined;
    return typeof made === 'string' ? [made] : [];
  });
}

function sessionIdOf({ sessionId, payload }: Request): string {
  if (sessionId !== '') return sessionId;
  return 'session_id' in payload ? (payload.session_id ?? '') : '';
}

function resultsOf(request: Request, data: object): readonly unknown[] {
  if (!isBatch(request)) return [data];
  return 'results' in data && Array.isArray(data.results) ? data.results : [];
}

/** Checks an agent's claims against the database, and records which agent opened a session. */
interface Standing {
  /** Returns the sessions that do not exist. @throws OperationError `permission_denied` */
  check(agent: Identity, claims: Claims): Promise<ReadonlySet<string>>;
  /** Records that the agent created these sessions, so that it sees them. */
  opened(agent: Identity, sessionIds: readonly string[]): Promise<void>;
}

interface SessionFacts {
  readonly session_id: string;
  readonly user_id: string | null;
  readonly opened: boolean;
  readonly wrote: boolean;
  readonly shared: boolean;
}

const SESSION_FACTS = `
select s.session_id, s.user_id,
  exists (select from session_agents a where a.session_id = s.session_id and a.agent = $2) as opened,
  exists (select from memory_entries m where m.session_id = s.session_id and m.source_agent = $2) as wrote,
  s.session_id = any($3::text[]) and exists (select from memory_entries m
    where m.session_id = s.session_id and m.is_active and m.source_agent is distinct from $2) as shared
from sessions s where s.session_id = any($1::text[])`;

const FOREIGN_MEMORIES = `
select m.memory_id from unnest($1::text[], $2::text[]) as claimed (memory_id, session_id)
join memory_entries m using (memory_id, session_id) where m.source_agent is distinct from $3`;

const SESSIONS_OF_MEMORIES = `
select m.session_id from memory_entries m where m.memory_id = any($1::text[])
union
select m.session_id from memory_relationships r
  join memory_entries m on m.memory_id in (r.source_memory_id, r.target_memory_id)
where r.source_memory_id = any($2::text[]) or r.target_memory_id = any($2::text[])`;

// Cache time for visible sessions. An agent loses access only if its key loses a user or its memories are purged.
const SEEN_MS = 10_000;
const SEEN_SESSIONS = 50_000;

export function createStanding(session: Session): Standing {
  const seen = new LRUCache<string, true>({ max: SEEN_SESSIONS, ttl: SEEN_MS });
  const entryOf = ({ keyId }: Identity, sessionId: string): string => `${keyId} ${sessionId}`;

  async function check(agent: Identity, claims: Claims): Promise<ReadonlySet<string>> {
    const seeing = [...claims.seen, ...(await sessionsOf(session, claims))];
    const unseen = seeing.filter((id) => id !== '' && !seen.has(entryOf(agent, id)));
    const asked = [...new Set([...unseen, ...claims.held, ...claims.sole])];
    const facts =
      asked.length === 0
        ? []
        : await session.query<SessionFacts>(SESSION_FACTS, [asked, agent.id, [...claims.sole]]);
    for (const fact of facts) {
      refuseSession(fact, agent, { ...claims, seen: new Set(seeing) });
      if (isSeen(fact, agent)) seen.set(entryOf(agent, fact.session_id), true);
    }
    await refuseForeign(session, agent, claims);
    const known = new Set(facts.map(({ session_id: id }) => id));
    return new Set(asked.filter((id) => !known.has(id)));
  }

  return {
    check,
    async opened(agent, sessionIds) {
      await session.query(
        `insert into session_agents (session_id, agent)
         select s.session_id, $2 from sessions s where s.session_id = any($1::text[]) on conflict do nothing`,
        [sessionIds, agent.id],
      );
    },
  };
}

function isSeen({ user_id: user, opened, wrote }: SessionFacts, agent: Identity): boolean {
  return opened || wrote || seesUser(agent, user);
}

function refuseSession(fact: SessionFacts, agent: Identity, claims: Claims): void {
  const details = { session_id: fact.session_id };
  const holds = fact.opened || seesUser(agent, fact.user_id);
  if (claims.seen.has(fact.session_id) && !isSeen(fact, agent))
    throw denied('The agent of this key cannot see the session', 'foreign_session', details);
  if (claims.held.has(fact.session_id) && !holds)
    throw denied('The session was opened by another agent', 'foreign_session', details);
  if (fact.shared)
    throw denied(
      'The session contains memories of other agents: delete your own memories one by one',
      'foreign_memory',
      details,
    );
}

async function sessionsOf(session: Session, { located, related }: Claims): Promise<string[]> {
  if (located.size + related.size === 0) return [];
  const rows = await session.query<{ session_id: string }>(SESSIONS_OF_MEMORIES, [
    [...located],
    [...related],
  ]);
  return rows.map(({ session_id: id }) => id);
}

async function refuseForeign(session: Session, agent: Identity, { owned }: Claims): Promise<void> {
  if (owned.size === 0) return;
  const [foreign] = await session.query<{ memory_id: string }>(FOREIGN_MEMORIES, [
    [...owned.keys()],
    [...owned.values()],
    agent.id,
  ]);
  if (foreign !== undefined) throw denied('The memory belongs to another agent', 'foreign_memory', foreign);
}
