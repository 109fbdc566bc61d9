import { createHash } from 'node:crypto';
import { LRUCache } from 'lru-cache';
import { encodeJson, Json } from '../../domain/json.ts';
import type { Session } from '../../storage/database.ts';
import type { Action, PayloadOf } from '../wire/payloads.ts';
import type { Request } from '../wire/request.ts';
import { prepared } from '../../storage/sessions/session.ts';
import type { CacheSettings } from '../settings.ts';

/**
 * The result of a cache lookup. `stale`: the cached answer is of an older version of the session. `off`: the store is unreachable.
 * `skipped`: the session changes between reads, so nothing was looked up or stored.
 */
export type Lookup = 'hit' | 'miss' | 'stale' | 'off' | 'skipped';

/** A cacheable request. */
export interface CachedCall {
  readonly request: Request;
  readonly caller: { readonly id: string };
  /** The session of the request, with its deadline. */
  readonly database: Session;
}

/** Encrypts cached answers, so that the store's content cannot be read. */
export interface Cover {
  seal(key: string, text: string): string;
  /** @throws if the text was altered or belongs to another key */
  open(key: string, sealed: string): string;
}

interface AnswerCacheParts {
  readonly settings: CacheSettings;
  readonly store: AnswerStore;
  readonly cover?: Cover | undefined;
  readonly onLookup: (lookup: Lookup) => void;
  /** Whether the answer to `read` is cached too. */
  readonly keepsMemories: boolean;
}

/*
 * A cached answer is used only if the current version of its session in the database is the version under which the answer was read.
 * The version is read after the request arrived. A write changes the version in its own transaction. So a request after an acknowledged
 * write sees the new version, in every process and whatever the state of Redis. An answer that was read during a write is stored under
 * the previous version, which never becomes current again. So no invalidation messages are needed, and none can be lost.
 */
export interface AnswerCache {
  /** The cached answer, or the result of `read`. Both are identical to the last byte. */
  through(call: CachedCall, read: () => Promise<object>): Promise<object>;
}

type Kind = 'memory' | 'history';

/** Answers that depend only on one session, and not on the time. */
const KIND_OF: { readonly [A in Action]?: (payload: PayloadOf<A>) => Kind | undefined } = {
  read: () => 'memory',
  batch_read: ({ filter = {} }) =>
    filter.user_id === undefined && typeof filter.older_than !== 'number' ? 'history' : undefined,
};

const SECOND_MS = 1_000;
/**
 * An agent that reads after each of its writes never gets a cached answer, but two more statements with every read. So a read whose cached
 * answer became stale before its first use skips the cache this many times.
 */
const SKIPPED_READS = 15;
/** Number of requests whose history is kept; the least recently used are removed first. */
const HABITS = 10_000;

/** Finds requests that do not profit from the cache, by the use of their cached answers. */
class Habits {
  readonly #habits = new LRUCache<string, { wasGiven: boolean; skips: number }>({ max: HABITS });

  /** Whether the request skips the cache this time. */
  skips(key: string): boolean {
    const habit = this.#habits.get(key);
    if (habit === undefined || habit.skips === 0) return false;
    habit.skips -= 1;
    // After that the cache is tried again.
    if (habit.skips === 0) this.#habits.delete(key);
    return true;
  }

  kept(key: string): void {
    this.#habits.set(key, { wasGiven: false, skips: 0 });
  }

  given(key: string): void {
    const habit = this.#habits.get(key);
    if (habit !== undefined) habit.wasGiven = true;
  }

  /** Called for a stale answer. False if it was never used, because the next one would not be used either. */
  isWorthKeeping(key: string): boolean {
    const habit = this.#habits.get(key);
    if (habit === undefined || habit.wasGiven) return true;
    habit.skips = SKIPPED_READS;
    return false;
  }
}

export function createAnswerCache(parts: AnswerCacheParts): AnswerCache {
  const { settings, store, cover, onLookup } = parts;
  const kinds = keptKinds(parts);
  const habits = new Habits();

  async function fill(key: string, kind: Kind, { call, current, read }: Fill): Promise<Json> {
    // Must precede the read. Otherwise a memory that expires in between could be cached without its expiry.
    const expiresAtMs = await expiryOf(call.database, call.request.sessionId);
    const text = encodeJson(await read());
    const { version, nowMs } = current;
    const leftMs = expiresAtMs === null ? Infinity : Math.floor(expiresAtMs - nowMs);
    const ttl = Math.min(ttlMsOf(settings, kind), leftMs);
    if (ttl > 0 && Buffer.byteLength(text) <= settings.maxEntryBytes) {
      habits.kept(key);
      await store.set(key, { version, expiresAtMs, text: cover?.seal(key, text) ?? text }, ttl);
    }
    return new Json(text);
  }

  async function looked(key: string, kind: Kind, { call, read }: Omit<Fill, 'current'>): Promise<object> {
    const { database, request } = call;
    const [kept, current] = await Promise.all([store.get(key), versionOf(database, request.sessionId)]);
    // A session without writes has no version, so nothing is cached.
    if (current === undefined) return read();
    const answer = isCurrent(kept, current) ? opened(cover, key, kept) : undefined;
    onLookup(answer !== undefined ? 'hit' : kept === undefined ? 'miss' : 'stale');
    if (answer !== undefined) {
      habits.given(key);
      return answer;
    }
    if (kept !== undefined && !habits.isWorthKeeping(key)) return read();
    return fill(key, kind, { call, current, read });
  }

  return {
    async through(call, read) {
      const { request, caller } = call;
      const kind = kindOf(request);
      if (kind === undefined || !kinds.has(kind)) return read();
      if (!store.isUp()) {
        onLookup('off');
        return read();
      }
      const key = keyOf(request, caller.id);
      if (!habits.skips(key)) return looked(key, kind, { call, read });
      onLookup('skipped');
      return read();
    },
  };
}

function ttlMsOf({ memoryTtlSeconds, historyTtlSeconds }: CacheSettings, kind: Kind): number {
  return SECOND_MS * (kind === 'memory' ? memoryTtlSeconds : historyTtlSeconds);
}

interface Fill {
  readonly call: CachedCall;
  readonly current: SessionVersion;
  readonly read: () => Promise<object>;
}

function keptKinds({ settings, keepsMemories }: AnswerCacheParts): ReadonlySet<Kind> {
  if (!settings.enabled) return new Set();
  return new Set<Kind>(keepsMemories ? ['memory', 'history'] : ['history']);
}

function opened(cover: Cover | undefined, key: string, { text }: KeptAnswer): Json | undefined {
  try {
    return new Json(cover?.open(key, text) ?? text);
  } catch {
    // An answer that was altered, or sealed with a removed key, counts as missing.
    return undefined;
  }
}

function kindOf({ action, sessionId, payload }: Request): Kind | undefined {
  if (sessionId === '') return undefined;
  // The table is keyed by the action that the payload belongs to.
  return (KIND_OF[action] as ((payload: unknown) => Kind | undefined) | undefined)?.(payload);
}

function isCurrent(kept: KeptAnswer | undefined, { version, nowMs }: SessionVersion): kept is KeptAnswer {
  return kept?.version === version && (kept.expiresAtMs === null || nowMs < kept.expiresAtMs);
}

/** Callers do not share answers, so that the cache needs no permissions. */
function keyOf({ action, sessionId, raw }: Request, caller: string): string {
  const asked = JSON.stringify([action, caller, sessionId, Object.entries(raw)]);
  return createHash('sha256').update(asked).digest('base64url');
}

/** A cached answer, with the facts to check it. */
export interface KeptAnswer {
  /** The version of the session before the answer was read. */
  readonly version: string;
  /** Time of the database, in milliseconds, at which a memory of the session expires and the answer changes. */
  readonly expiresAtMs: number | null;
  /** JSON of the answer's data. */
  readonly text: string;
}

/** Stores answers. A lost answer only costs time. */
export interface AnswerStore {
  /** Undefined also if the store is unreachable. Never throws. */
  get(key: string): Promise<KeptAnswer | undefined>;
  /** Stores the answer for at most `ttlMs`. Never throws. */
  set(key: string, answer: KeptAnswer, ttlMs: number): Promise<void>;
  /** Whether the store is reachable. If not, answers are read from the database. */
  isUp(): boolean;
  /** Round trip in milliseconds. @throws if the store is unreachable */
  ping(): Promise<number>;
  start(): Promise<void>;
  stop(): Promise<void>;
}

/** The current version of a session's content. */
interface SessionVersion {
  readonly version: string;
  /** Clock of the database, milliseconds. */
  readonly nowMs: number;
}

// One index lookup. It is cheap compared with reading a history, and correct for writes from every process.
const VERSION = prepared(`
select version::text as version, extract(epoch from now())::float8 * 1000 as "nowMs" from session_versions where session_id = $1`);

const EXPIRY = prepared(`
select extract(epoch from min(expires_at))::float8 * 1000 as "expiresAtMs" from memory_entries
where session_id = $1 and expires_at > now()`);

/** Undefined for a session without writes. */
async function versionOf(session: Session, sessionId: string): Promise<SessionVersion | undefined> {
  const [row] = await session.query<SessionVersion>(VERSION, [sessionId]);
  return row;
}

/** The time, by the clock of the database, at which the next memory of the session expires; null: never. */
async function expiryOf(session: Session, sessionId: string): Promise<number | null> {
  const [row] = await session.query<{ expiresAtMs: number | null }>(EXPIRY, [sessionId]);
  return row?.expiresAtMs ?? null;
}
