import { randomUUID } from 'node:crypto';
import { dumpPythonJson } from './python-json.ts';
import { parsePythonJson } from './python-json-parser.ts';
import { sqliteNow } from './python-time.ts';
import type { Clock } from './python-time.ts';
import { PythonDict, PythonError, asNumber, codePointLength, isTruthy } from './python-values.ts';
import type { PythonMap, PythonValue } from './python-values.ts';
import type { Row, SessionDatabase } from './session-database.ts';

const CHARACTERS_PER_TOKEN = 4;

/**
 * The original's client for the orchestrator of its time. `stub`: the package could not be imported, as in the original commit,
 * so a stub replaces it. The stub gives a session without an id the id of the session used last. `unreachable`: the real client
 * without a server, so a null id is stored as NULL. The five seconds of its first attempt are left out.
 */
export type MemoryClient = 'stub' | 'unreachable';

export interface SessionStoreParts {
  readonly database: SessionDatabase;
  readonly memoryClient: MemoryClient;
  /** Sessions kept in memory at a clean-up. The oldest ones above this number are deleted, from SQLite too. */
  readonly maxSessions: number;
  readonly clock: Clock;
  readonly naiveLocalTime: (epochMs: number) => string;
}

export interface NewSession {
  readonly sessionId: PythonValue;
  readonly userId: PythonValue;
  readonly metadata: PythonValue;
}

export interface NewInteraction {
  readonly sessionId: PythonValue;
  readonly role: PythonValue;
  readonly content: PythonValue;
  readonly metadata: PythonValue;
}

interface Interaction {
  readonly role: PythonValue;
  readonly content: PythonValue;
  readonly timestamp: PythonValue;
}

interface CachedSession {
  readonly sessionId: PythonValue;
  /** When it was created or loaded. Its activity does not change this. */
  readonly lastActive: string;
  interactions: Interaction[];
}

/** The sessions: SQLite, and a cache of whole sessions from which reads are answered. */
export class SessionStore {
  readonly #parts: SessionStoreParts;
  #sessions = new PythonDict<CachedSession>();
  #lastUsedId: PythonValue = null;

  constructor(parts: SessionStoreParts) {
    this.#parts = parts;
  }

  get activeSessions(): number {
    return this.#sessions.size;
  }

  /** Clears the cache, like a restart. */
  reset(): void {
    this.#sessions = new PythonDict();
    this.#lastUsedId = null;
  }

  /** The session's id, or null if it could not be stored. */
  async create({ sessionId, userId, metadata }: NewSession): Promise<PythonValue> {
    const { database } = this.#parts;
    const now = this.#now();
    const id = this.#nameSession(sessionId);
    return orWhenRaised(null, async () => {
      const text = dumpPythonJson(orEmpty(metadata));
      await database.write('insertSession', id, userId, now, now, text);
      await database.commit();
      this.#sessions.set(id, { sessionId: id, lastActive: now, interactions: [] });
      return id;
    });
  }

  async add({ sessionId, role, content, metadata }: NewInteraction): Promise<boolean> {
    const { database } = this.#parts;
    return orWhenRaised(false, async () => {
      const session = await this.#find(sessionId);
      if (session === undefined) return false;
      const timestamp = this.#now();
      this.#lastUsedId = sessionId;
      const text = dumpPythonJson(orEmpty(metadata));
      await database.write('insertInteraction', sessionId, timestamp, role, content, text);
      await database.commit();
      session.interactions.push({ role, content, timestamp });
      return true;
    });
  }

  /** The newest interactions that fit into `maxTokens`, oldest first. Empty for an unknown session and after any failure. */
  async context(sessionId: PythonValue, maxTokens: PythonValue): Promise<PythonMap[]> {
    this.#lastUsedId = sessionId;
    return orWhenRaised([], async () => {
      const session = await this.#find(sessionId);
      return session === undefined ? [] : newestWithin(session.interactions, maxTokens);
    });
  }

  async clear(sessionId: PythonValue): Promise<boolean> {
    const { database } = this.#parts;
    this.#lastUsedId = sessionId;
    return orWhenRaised(false, async () => {
      await database.write('deleteInteractions', sessionId);
      await database.commit();
      const session = this.#sessions.get(sessionId);
      if (session !== undefined) session.interactions = [];
      return true;
    });
  }

  async delete(sessionId: PythonValue): Promise<boolean> {
    const { database } = this.#parts;
    this.#lastUsedId = sessionId;
    return orWhenRaised(false, async () => {
      await database.write('deleteInteractions', sessionId);
      await database.write('deleteSession', sessionId);
      await database.commit();
      this.#sessions.delete(sessionId);
      return true;
    });
  }

  /** Deletes sessions that were idle for an hour by SQLite's clock, then the oldest above the limit. */
  async cleanUp(): Promise<void> {
    const { database, clock, maxSessions } = this.#parts;
    await orWhenRaised(undefined, async () => {
      const expired = await database.read('readExpired', sqliteNow(clock()));
      for (const { session_id: sessionId = null } of expired) await this.delete(sessionId);
      const excess = this.#sessions.size - maxSessions;
      if (excess <= 0) return;
      const byAge = Array.from(this.#sessions, ([, session]) => session).toSorted((one, other) =>
        compareText(one.lastActive, other.lastActive),
      );
      for (const { sessionId } of byAge.slice(0, excess)) await this.delete(sessionId);
    });
  }

  #now(): string {
    return this.#parts.naiveLocalTime(this.#parts.clock());
  }

  #nameSession(sessionId: PythonValue): PythonValue {
    if (isTruthy(sessionId)) {
      this.#lastUsedId = sessionId;
      return sessionId;
    }
    if (this.#parts.memoryClient === 'unreachable') return sessionId;
    if (!isTruthy(this.#lastUsedId)) this.#lastUsedId = randomUUID();
    return this.#lastUsedId;
  }

  /** The session from the cache, otherwise loaded from SQLite, which updates its last activity. */
  async #find(sessionId: PythonValue): Promise<CachedSession | undefined> {
    const cached = this.#sessions.get(sessionId);
    if (cached !== undefined) return cached;
    const { database } = this.#parts;
    const [row] = await database.read('readSession', sessionId);
    if (row === undefined) return undefined;
    const lastActive = this.#now();
    await database.write('touchSession', lastActive, sessionId);
    await database.commit();
    const rows = await database.read('readInteractions', sessionId);
    const interactions = rows.map(toInteraction);
    parseMetadata(row);
    const session = { sessionId, lastActive, interactions };
    this.#sessions.set(sessionId, session);
    return session;
  }
}

function toInteraction(row: Row): Interaction {
  parseMetadata(row);
  return {
    role: row['role'] ?? null,
    content: row['content'] ?? null,
    timestamp: row['timestamp'] ?? null,
  };
}

/** No reply contains the metadata, but a session with a row that is not JSON cannot be loaded. */
function parseMetadata(row: Row): void {
  const { metadata } = row;
  if (typeof metadata !== 'string') throw new PythonError('the JSON object must be str, not NoneType');
  parsePythonJson(metadata);
}

function newestWithin(interactions: readonly Interaction[], maxTokens: PythonValue): PythonMap[] {
  const budget = asNumber(maxTokens);
  const chosen: PythonMap[] = [];
  let tokens = 0;
  for (let index = interactions.length - 1; index >= 0; index -= 1) {
    const { role = null, content = null, timestamp = null } = interactions[index] ?? {};
    if (typeof content !== 'string' || budget === undefined) throw new PythonError('unsupported operand');
    const cost = Math.floor(codePointLength(content) / CHARACTERS_PER_TOKEN);
    if (tokens + cost > budget) break;
    chosen.push(
      new Map([
        ['role', role],
        ['content', content],
        ['timestamp', timestamp],
      ]),
    );
    tokens += cost;
  }
  return chosen.reverse();
}

function orEmpty(metadata: PythonValue): PythonValue {
  return isTruthy(metadata) ? metadata : new Map();
}

function compareText(one: string, other: string): number {
  if (one === other) return 0;
  return one < other ? -1 : 1;
}

async function orWhenRaised<Result>(result: Result, attempt: () => Promise<Result>): Promise<Result> {
  try {
    return await attempt();
  } catch (error) {
    if (error instanceof PythonError) return result;
    throw error;
  }
}
