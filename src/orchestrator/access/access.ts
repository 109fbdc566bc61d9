import type { Logger } from 'pino';
import { BurstyRateLimiter, RateLimiterMemory, RateLimiterRes } from 'rate-limiter-flexible';
import { LRUCache } from 'lru-cache';
import type { Database, Session } from '../../storage/database.ts';
import type { Message, Request } from '../wire/request.ts';
import type { AccessSettings } from '../settings.ts';
import { entryOf, type Operation, type Sender } from './access-entry.ts';
import { createAccessLog, createLogRetention } from './access-log.ts';
import { WITHOUT_KEY } from './agent-rules.ts';
import { ANYBODY, type Identity, STRANGER } from './identity.ts';
import { findKey, isKeyOf, keyIdOf, listKeys, type StoredKey } from './key-store.ts';
import { createStanding, type Permission, permit } from './permission.ts';
import { keyRefused, tooFast } from './refusals.ts';

/** Access control: identifies callers, checks permissions, and logs operations. */
export interface Access {
  /** Whether a caller without a key is refused. */
  readonly needsKey: boolean;
  /** Identifies the sender, and counts the request against its rate. @throws OperationError `permission_denied`, `rate_limit_exceeded` */
  identify(message: Pick<Message, 'members'>, sender: Sender): Promise<Identity>;
  /** Checks access to a page, such as the metrics. @throws OperationError `permission_denied`, `rate_limit_exceeded` */
  admitToPages(sender: Sender): Promise<void>;
  /** @throws OperationError `permission_denied` */
  permit(identity: Identity, request: Request): Promise<Permission>;
  /** Logs an answered operation in the background. */
  note(operation: Operation): void;
  start(): Promise<void>;
  stop(): Promise<void>;
}

interface AccessParts {
  readonly database: Database;
  readonly log: Logger;
}

export function createAccess(settings: AccessSettings, parts: AccessParts): Access {
  const log = settings.log ? createAccessLog(settings, parts) : undefined;
  const retention = log === undefined ? undefined : createLogRetention(settings, parts);
  const needsKey = settings.keys === 'required';
  const door = needsKey ? lockedDoor(settings, parts.database) : OPEN_DOOR;
  return {
    needsKey,
    ...door,
    async admitToPages(sender) {
      if (settings.pages === 'key') await door.identify({ members: {} }, sender);
    },
    note(operation) {
      // Health probes come every few seconds and read no memory, so they are not logged.
      const isProbe = operation.error === undefined && WITHOUT_KEY.has(operation.message?.members['action']);
      if (!isProbe) log?.note(entryOf(operation));
    },
    async start() {
      if (needsKey) await warnWithoutKeys(parts);
      await retention?.start();
    },
    async stop() {
      await retention?.stop();
      await log?.stop();
    },
  };
}

/** Warns at the first start, when no key exists and every request would be refused. */
async function warnWithoutKeys({ database, log }: AccessParts): Promise<void> {
  const keys = await listKeys(database);
  if (!keys.some(({ revoked_at: revoked }) => revoked === null))
    log.warn('No access key exists: create one with crossfade orchestrator keys create <agent> --role admin');
}

type Door = Pick<Access, 'identify' | 'permit'>;

const NOTHING_MADE: Permission = { granted: async () => undefined };

const OPEN_DOOR: Door = {
  identify: async () => ANYBODY,
  permit: async () => NOTHING_MADE,
};

function lockedDoor(settings: AccessSettings, database: Database): Door {
  const keys = createKeyRing(database, settings.keyCacheMs);
  const rate = createRateLimit(settings);
  const standing = createStanding(database);
  return {
    async identify({ members }, sender) {
      const key = keyIn(members['auth']) ?? sender.bearer;
      const isStranger = key === undefined && WITHOUT_KEY.has(members['action']);
      const identity = isStranger ? STRANGER : await keys.identify(key);
      await rate.spend(identity);
      return identity;
    },
    permit: (identity, request) => permit(identity, request, standing),
  };
}

function keyIn(auth: unknown): unknown {
  return typeof auth === 'object' && auth !== null && 'key' in auth ? (auth.key ?? undefined) : undefined;
}

interface RateSettings {
  /** Rate of one key on this replica. A key may override it. */
  readonly requestsPerSecond: number;
  /** Additional requests of a key in ten seconds. */
  readonly burst: number;
}

interface RateLimit {
  /** Counts one request. @throws OperationError `rate_limit_exceeded` */
  spend(identity: Identity): Promise<void>;
}

const BURST_SECONDS = 10;
// Otherwise a request just before the end of the window would get a wait of 0.
const SHORTEST_WAIT_MS = 1;

/**
 * The rate limit of each key, counted in this process. The role `migration` has no limit unless its key has one, because the proxy sends
 * the requests of all its agents with one key.
 */
function createRateLimit({ requestsPerSecond, burst }: RateSettings): RateLimit {
  const limiters = new Map<number, BurstyRateLimiter>();

  function limiterOf(rate: number): BurstyRateLimiter {
    let limiter = limiters.get(rate);
    if (limiter === undefined) {
      limiter = new BurstyRateLimiter(
        new RateLimiterMemory({ keyPrefix: 'rate', points: rate, duration: 1 }),
        new RateLimiterMemory({ keyPrefix: 'burst', points: burst, duration: BURST_SECONDS }),
      );
      limiters.set(rate, limiter);
    }
    return limiter;
  }

  return {
    async spend({ keyId, role, requestsPerSecond: own }) {
      if (role === 'migration' && own === null) return;
      try {
        await limiterOf(own ?? requestsPerSecond).consume(keyId);
      } catch (refusal) {
        if (!(refusal instanceof RateLimiterRes)) throw refusal;
        throw tooFast(Math.max(Math.ceil(refusal.msBeforeNext), SHORTEST_WAIT_MS));
      }
    },
  };
}

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
function createKeyRing(session: Session, keyCacheMs: number): KeyRing {
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
