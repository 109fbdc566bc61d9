import { randomBytes } from 'node:crypto';
import cookie from '@fastify/cookie';
import csrf from '@fastify/csrf-protection';
import session, { type SessionStore } from '@fastify/session';
import type { FastifyInstance, FastifyRequest, preHandlerHookHandler, Session } from 'fastify';
import { LRUCache } from 'lru-cache';
import type { Notice } from './visit.ts';

/** A session ends after a working day, */
const LONGEST_MS = 12 * 3_600_000;
/** and after this long without activity. The refreshes of an open page do not count as activity. */
const IDLE_MS = 2 * 3_600_000;
/** Opening the sign-in page makes a session. When there are too many, those unused longest are dropped first. */
const MOST_SESSIONS = 10_000;

/** Sessions are kept in this process. After a restart visitors sign in again. */
export async function registerSessions(app: FastifyInstance): Promise<void> {
  await app.register(cookie);
  await app.register(session, {
    secret: randomBytes(32).toString('base64'),
    cookieName: 'crossfade_desk',
    // `auto`: over TLS the cookie is for TLS only. `lax`: links from alerts find the session, forms of other sites do not.
    cookie: { httpOnly: true, sameSite: 'lax', secure: 'auto', maxAge: LONGEST_MS, path: '/' },
    store: createSessionStore(),
    saveUninitialized: false,
    // A request that changes nothing must not store the session as it was when that request began.
    rolling: false,
  });
  await app.register(csrf, {
    sessionPlugin: '@fastify/session',
    getToken: ({ body }) => (body as Readonly<Record<string, string>> | undefined)?.['_csrf'],
  });
}

/** Whether a session is neither too old nor unused for too long. */
export function isFresh(
  { signedInMs, activeMs }: Pick<Session, 'signedInMs' | 'activeMs'>,
  nowMs: number,
): boolean {
  if (signedInMs === undefined || activeMs === undefined) return false;
  return nowMs - signedInMs < LONGEST_MS && nowMs - activeMs < IDLE_MS;
}

function createSessionStore(): SessionStore {
  const kept = new LRUCache<string, Session>({ max: MOST_SESSIONS, ttl: LONGEST_MS, updateAgeOnGet: true });
  // A request that began before the sign-out may store its session afterwards. That must not sign the visitor in again.
  const ended = new LRUCache<string, true>({ max: MOST_SESSIONS, ttl: LONGEST_MS });
  return {
    set(id, value, done) {
      if (!ended.has(id)) kept.set(id, value);
      done();
    },
    get: (id, done) => done(null, kept.get(id) ?? null),
    destroy(id, done) {
      kept.delete(id);
      ended.set(id, true);
      done();
    },
  };
}

/**
 * The result of a visitor's last change, until a page shows it. It is not part of the session: requests of a session overlap, and each
 * stores the session as it has read it.
 */
export class Notices {
  readonly #waiting = new LRUCache<string, Notice>({ max: MOST_SESSIONS, ttl: LONGEST_MS });

  tell({ session }: FastifyRequest, notice: Notice): void {
    this.#waiting.set(session.sessionId, notice);
  }

  take({ session }: FastifyRequest): Notice | undefined {
    const notice = this.#waiting.get(session.sessionId);
    this.#waiting.delete(session.sessionId);
    return notice;
  }
}

/** Every form that makes a change must hold the secret of its session. */
export function fromOurForm(app: FastifyInstance): preHandlerHookHandler {
  return (request, reply, done) => app.csrfProtection(request, reply, done);
}
