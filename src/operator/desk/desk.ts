import { fastify, type FastifyInstance } from 'fastify';
import { OperatorApiHost } from './operator-api.ts';
import { OWNER_IN_URL_LIMIT } from '../../domain/ids.ts';
import { TokenBook, type OperatorToken } from '../operator-access.ts';
import { registerAssets } from './assets.ts';
import { registerChanges } from './changes.ts';
import type { LiveBook } from '../live-book.ts';
import { registerReportDocuments, registerServiceDocuments } from './documents.ts';
import { registerLiveStream } from './live-stream.ts';
import { registerPages, registerReportPages } from './page-routes.ts';
import { registerProblems } from './problems.ts';
import { BODY_LIMIT_BYTES } from '../posted-bodies.ts';
import { registerSecurity } from './security.ts';
import { registerSessions } from './sessions.ts';
import { registerSignIn } from './sign-in-routes.ts';
import { Reception } from './reception.ts';
import type { DeskPages } from './visit.ts';

export interface DeskParts {
  /** Tokens for signing in. Empty: there is no sign-in, and anyone on this machine may do everything. */
  readonly tokens: readonly OperatorToken[];
  /** The routes of the operator's API. The desk shows and changes everything through them. */
  readonly registerApi: (app: FastifyInstance) => void;
  readonly live: LiveBook;
  /** The clock by which sessions end. */
  readonly nowMs: () => number;
  /** `reports` serves only the sign-in and the daily reports. @defaultValue all */
  readonly pages?: DeskPages;
  /** The time zone for browsers without scripts. Others show their own zone. @defaultValue UTC */
  readonly zone?: string;
  /** Addresses and networks whose X-Forwarded-For is trusted. Rate limits then count the client. @defaultValue none */
  readonly trustedProxies?: readonly string[];
  /** A connection that has not sent its headers in this time is closed, milliseconds. @defaultValue 5000 */
  readonly headersWithinMs?: number;
}

/** A browser sends its headers at once. */
const HEADERS_WITHIN_MS = 5_000;
const WHOLE_WITHIN_MS = 30_000;
/** Interval at which node looks for late connections, milliseconds. */
const LOOK_EVERY_MS = 1_000;

/** Makes the operator's desk: the pages in front of the operator's API. It does not listen yet. */
export async function createDesk({
  tokens,
  registerApi,
  live,
  nowMs,
  zone = 'UTC',
  trustedProxies = [],
  headersWithinMs = HEADERS_WITHIN_MS,
  pages = 'all',
}: DeskParts): Promise<FastifyInstance> {
  const app = fastify({
    logger: false,
    trustProxy: trustedProxies.length > 0 ? [...trustedProxies] : false,
    bodyLimit: BODY_LIMIT_BYTES,
    forceCloseConnections: true,
    requestTimeout: WHOLE_WITHIN_MS,
    http: { headersTimeout: headersWithinMs, connectionsCheckingInterval: LOOK_EVERY_MS },
    routerOptions: { maxParamLength: OWNER_IN_URL_LIMIT },
  });
  const book = new TokenBook(tokens);
  await registerAssets(app);
  await registerSecurity(app, { isOpen: book.isEmpty });
  await registerSessions(app);
  const reception = new Reception({ tokens, api: new OperatorApiHost(registerApi), nowMs, zone, pages });
  registerProblems(app, reception);
  registerSignIn(app, { tokens: book, reception });
  if (pages === 'reports') registerReportPages(app, reception);
  else {
    registerPages(app, reception);
    registerChanges(app, reception);
    registerServiceDocuments(app, reception);
    registerLiveStream(app, { reception, live });
  }
  registerReportDocuments(app, reception);
  return app;
}
