import { randomBytes } from 'node:crypto';
import cookie from '@fastify/cookie';
import csrf from '@fastify/csrf-protection';
import session, { type SessionStore } from '@fastify/session';
import type { FastifyInstance, preHandlerHookHandler, Session } from 'fastify';
import { LRUCache } from 'lru-cache';

/** Whoever signed in signs in again after a shift, */
const LONGEST_MS = 12 * 3_600_000;
/** and after so long without doing anything: an open page that refreshes itself does nothing. */
const IDLE_MS = 2 * 3_600_000;
/** Whoever opens the sign-in page has one: the longest unused leave first. */
const MOST_SESSIONS = 10_000;

/** Sessions live in this process: whoever signed in signs in again after its restart. */
export async function registerSessions(app: FastifyInstance): Promise<void> {
  await app.register(cookie);
  await app.register(session, {
    secret: randomBytes(32).toString('base64'),
    cookieName: 'crossfade_desk',
    // `auto`: over TLS the cookie is for TLS only. `lax`: links from alerts find the session, forms of other sites do not.
    cookie: { httpOnly: true, sameSite: 'lax', secure: 'auto', maxAge: LONGEST_MS, path: '/' },
    store: createSessionStore(),
    saveUninitialized: false,
    rolling: true,
  });
  await app.register(csrf, {
    sessionPlugin: '@fastify/session',
    getToken: ({ body }) => (body as Readonly<Record<string, string>> | undefined)?.['_csrf'],
  });
}

/** Whether a session has neither lasted too long nor been left alone for too long. */
export function isFresh(
  { signedInMs, activeMs }: Pick<Session, 'signedInMs' | 'activeMs'>,
  nowMs: number,
): boolean {
  if (signedInMs === undefined || activeMs === undefined) return false;
  return nowMs - signedInMs < LONGEST_MS && nowMs - activeMs < IDLE_MS;
}

function createSessionStore(): SessionStore {
  const kept = new LRUCache<string, Session>({ max: MOST_SESSIONS, ttl: LONGEST_MS, updateAgeOnGet: true });
  return {
    set(id, value, done) {
      kept.set(id, value);
      done();
    },
    get: (id, done) => done(null, kept.get(id) ?? null),
    destroy(id, done) {
      kept.delete(id);
      done();
    },
  };
}

/** For every form that changes something: it must hold the secret of its session. */
export function fromOurForm(app: FastifyInstance): preHandlerHookHandler {
  return (request, reply, done) => app.csrfProtection(request, reply, done);
}
