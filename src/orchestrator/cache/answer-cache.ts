import { createHash } from 'node:crypto';
import { LRUCache } from 'lru-cache';
import { encodeJson, Json } from '../../domain/json.ts';
import type { Session } from '../../storage/database.ts';
import type { Action, PayloadOf } from '../wire/payloads.ts';
import type { Request } from '../wire/request.ts';
import type { AnswerStore, KeptAnswer } from './answer-store.ts';
import { expiryOf, type SessionVersion, versionOf } from './session-version.ts';
import type { CacheSettings } from './settings.ts';

/**
 * How a read fared with the cache. `stale`: something was kept, of an older session. `off`: the store is out of reach. `skipped`: its
 * session is written to between reads, so nothing was looked up or kept.
 */
export type Lookup = 'hit' | 'miss' | 'stale' | 'off' | 'skipped';

/** Who asks for what. */
export interface CachedCall {
  readonly request: Request;
  readonly caller: { readonly id: string };
  /** Of the request, so that its deadline holds. */
  readonly database: Session;
}

/** Hides the text of answers from whoever can look into the store. */
export interface Cover {
  seal(key: string, text: string): string;
  /** @throws where it was altered or belongs to another key */
  open(key: string, sealed: string): string;
}

export interface AnswerCacheParts {
  readonly settings: CacheSettings;
  readonly store: AnswerStore;
  readonly cover?: Cover | undefined;
  readonly onLookup: (lookup: Lookup) => void;
  /** Whether the answer to `read` is kept too. */
  readonly keepsMemories: boolean;
}

/*
 * A kept answer is given only when the version of its session in the database, asked for after the request came, is the one that the
 * answer was read under. A write changes the version in its own transaction: whoever asks after a write was acknowledged sees the
 * new version, from whatever process and whatever became of Redis. What was read while a write was under way is kept under the
 * version from before, which nobody will see again. Hence no invalidation is ever sent, and none can be lost.
 */
export interface AnswerCache {
  /** The answer that is kept, or what `read` brings. Both are the same to the last byte. */
  through(call: CachedCall, read: () => Promise<object>): Promise<object>;
}

type Kind = 'memory' | 'history';

/** The answers that depend on one session and on nothing else, not even on the time. */
const KIND_OF: { readonly [A in Action]?: (payload: PayloadOf<A>) => Kind | undefined } = {
  read: () => 'memory',
  batch_read: ({ filter = {} }) =>
    filter.user_id === undefined && typeof filter.older_than !== 'number' ? 'history' : undefined,
};

const SECOND_MS = 1_000;
/**
 * An agent that reads after each of its writes never gets a kept answer, and pays for two statements more with every read. So a read
 * whose kept answer was outdated before it was given once does without the cache, so many times in a row.
 */
const SKIPPED_READS = 15;
/** Requests whose habits are known; the longest unused leave first. */
const HABITS = 10_000;

/** Knows which requests gain nothing from the cache, from what became of the answers that were kept for them. */
class Habits {
  readonly #habits = new LRUCache<string, { wasGiven: boolean; skips: number }>({ max: HABITS });

  /** Whether the request does without the cache this time. */
  skips(key: string): boolean {
    const habit = this.#habits.get(key);
    if (habit === undefined || habit.skips === 0) return false;
    habit.skips -= 1;
    // Then the cache is tried again.
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

  /** What is kept is outdated. False where it was never given: keeping the next one gains nothing either. */
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
    // Before the read: what expires in between must not be in an answer that is kept without its expiry.
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
    // A session that nobody wrote to has no version: there is nothing to gain.
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
    // Sealed with a key that is no longer configured, or altered: as if it was not there.
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

/** Callers do not share answers: what one may see is no business of the cache. */
function keyOf({ action, sessionId, raw }: Request, caller: string): string {
  const asked = JSON.stringify([action, caller, sessionId, Object.entries(raw)]);
  return createHash('sha256').update(asked).digest('base64url');
}
