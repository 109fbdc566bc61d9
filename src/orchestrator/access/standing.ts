import { LRUCache } from 'lru-cache';
import type { Session } from '../../storage/database.ts';
import type { Claims } from './agent-rules.ts';
import { type Identity, seesUser } from './identity.ts';
import { denied } from './refusals.ts';

/** Checks an agent's claims against the database, and records which agent opened a session. */
export interface Standing {
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
