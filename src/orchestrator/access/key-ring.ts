import { LRUCache } from 'lru-cache';
import type { Session } from '../../storage/database.ts';
import type { Identity } from './identity.ts';
import { findKey, isKeyOf, keyIdOf, type StoredKey } from './key-store.ts';
import { keyRefused } from './refusals.ts';

/** Finds the owner of a key. */
interface KeyRing {
  /** @throws OperationError `permission_denied`; StorageError when the keys cannot be read */
  identify(key: unknown): Promise<Identity>;
}

interface Held {
  readonly stored: StoredKey;
  readonly identity: Identity;
}

// Limit of the cache. Requests with invented ids can only fill it.
const HELD_KEYS = 10_000;
const UNKNOWN = 'unknown';

/** Caches keys from the database for at most `keyCacheMs`. A revoked key keeps working on any replica for that time. */
export function createKeyRing(session: Session, keyCacheMs: number): KeyRing {
  const held = new LRUCache<string, Held | typeof UNKNOWN>({
    max: HELD_KEYS,
    ttl: keyCacheMs,
    ttlResolution: 0,
    fetchMethod: async (keyId) => {
      const stored = await findKey(session, keyId);
      return stored === undefined ? UNKNOWN : { stored, identity: identityOf(stored) };
    },
  });

  async function find(keyId: string): Promise<Held | typeof UNKNOWN | undefined> {
    const cached = held.get(keyId);
    if (cached === undefined) return held.fetch(keyId);
    // In the second half of its time a key is refreshed in the background, so that a busy key never waits for the database.
    if (held.getRemainingTTL(keyId) < keyCacheMs / 2)
      held.fetch(keyId, { forceRefresh: true, allowStale: true }).catch(() => undefined);
    return cached;
  }

  return {
    async identify(key) {
      if (typeof key !== 'string' || key === '') throw keyRefused('key_missing');
      const keyId = keyIdOf(key);
      const found = keyId === undefined ? UNKNOWN : await find(keyId);
      if (found === undefined || found === UNKNOWN || !isKeyOf(key, found.stored.digest))
        throw keyRefused('key_unknown');
      if (found.stored.revoked_at !== null) throw keyRefused('key_revoked');
      if (found.stored.expires_at !== null && found.stored.expires_at.getTime() <= Date.now())
        throw keyRefused('key_expired');
      return found.identity;
    },
  };
}

function identityOf(stored: StoredKey): Identity {
  return {
    id: stored.agent,
    keyId: stored.key_id,
    role: stored.role,
    users: new Set(stored.users),
    requestsPerSecond: stored.requests_per_second,
  };
}
