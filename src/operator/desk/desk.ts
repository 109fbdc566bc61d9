import { dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';
import fastifyStatic from '@fastify/static';
import { fastify, type FastifyInstance, type FastifyReply, type FastifyRequest } from 'fastify';
import { OWNER_IN_URL_LIMIT } from '../../domain/ids.ts';
import { type OperatorToken, TokenBook } from '../operator-access.ts';
import type { LiveBook } from '../live-book.ts';
import { BODY_LIMIT_BYTES } from '../posted-bodies.ts';
import { messageOf } from '../../domain/errors.ts';
import { ENDPOINTS } from '../api/endpoints.ts';
import { type ApiDocument, ApiRefusal, type OperatorApi, OperatorApiHost } from './operator-api.ts';
import { registerChanges } from './changes.ts';
import { registerLiveStream } from './live-stream.ts';
import { registerPages, registerReportPages } from './page-routes.ts';
import { registerSecurity } from './security.ts';
import { registerSessions } from './sessions.ts';
import { registerSignIn } from './sign-in-routes.ts';
import { Visitors } from './visitors.ts';
import { type DeskPages, goTo, type Visit } from './visit.ts';
import { html } from '../views/html.ts';
import { documentOf, type Page, shell, wordmark } from './pages/layout.ts';

interface DeskParts {
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
  const visitors = new Visitors({ tokens, api: new OperatorApiHost(registerApi), nowMs, zone, pages });
  registerProblems(app, visitors);
  registerSignIn(app, { tokens: book, visitors });
  if (pages === 'reports') registerReportPages(app, visitors);
  else {
    registerPages(app, visitors);
    registerChanges(app, visitors);
    registerServiceDocuments(app, visitors);
    registerLiveStream(app, { visitors, live });
  }
  registerReportDocuments(app, visitors);
  return app;
}

const OWN = fileURLToPath(new URL('assets/', import.meta.url));

/** The files that browsers load: our own, and the named files of packages. */
async function registerAssets(app: FastifyInstance): Promise<void> {
  const shared = { decorateReply: false, index: false, maxAge: '1h' } as const;
  await app.register(fastifyStatic, { ...shared, root: OWN, prefix: '/assets/', decorateReply: true });
  await app.register(fastifyStatic, {
    ...shared,
    root: folderOf(import.meta.resolve('@fontsource-variable/inter/wght.css')),
    prefix: '/assets/inter/',
    allowedPath: (path) => path === '/wght.css' || /^\/files\/inter-[a-z-]+-wght-normal\.woff2$/.test(path),
  });
  await app.register(fastifyStatic, {
    ...shared,
    root: folderOf(import.meta.resolve('uplot')),
    prefix: '/assets/uplot/',
    allowedPath: (path) => path === '/uPlot.iife.min.js' || path === '/uPlot.min.css',
  });
}

function folderOf(url: string): string {
  return join(dirname(fileURLToPath(url)), '/');
}

/** Every failure becomes a page that says what failed and what to do next. */
function registerProblems(app: FastifyInstance, visitors: Visitors): void {
  const show = async (problem: Problem, request: FastifyRequest, reply: FastifyReply): Promise<void> => {
    const visit = await visitors.visit(request, reply).catch(() => undefined);
    await reply.code(problem.status).type('text/html').send(problemPage(problem, visit));
  };
  app.setErrorHandler((error, request, reply) => show(problemOf(error), request, reply));
  app.setNotFoundHandler((request, reply) =>
    show({ status: 404, message: 'This page does not exist.' }, request, reply),
  );
}

function problemOf(error: unknown): Problem {
  if (error instanceof ApiRefusal) return { status: error.status, message: error.message };
  const { statusCode = 500 } = error as { readonly statusCode?: number };
  // The message of an unexpected error may quote content. Only the log has it.
  const message = statusCode < 500 ? messageOf(error) : 'The desk could not make this page.';
  return { status: statusCode, message };
}

const TITLES: Readonly<Record<number, string>> = {
  403: 'Not allowed',
  404: 'Not found',
  409: 'Not possible now',
  429: 'Too many requests',
  503: 'The journal does not answer',
};

const WAYS: Readonly<Record<number, string>> = {
  403: 'The form may be older than your session: open the page again. Or your token’s role does not allow this.',
  404: 'Start again from the desk.',
  429: 'Wait a minute, then try again.',
  503: 'Agents are still served. This page needs the database. Try again when it answers.',
};

interface Problem {
  readonly status: number;
  readonly message: string;
}

/** Why a page cannot be shown, and what to do next. */
function problemPage({ status, message }: Problem, visit: Visit | undefined): string {
  const page: Page = {
    title: TITLES[status] ?? 'Something went wrong',
    body: html`<div class="empty bad">
      <p class="empty-title">${message}</p>
      <p>${WAYS[status] ?? 'See the proxy’s log for details.'}</p>
      <p>
        ${status !== 404 && html`<a class="button" href="${visit?.path ?? '/'}">Try again</a>`}
        <a class="button ${status !== 404 && 'quiet'}" href="/">To the desk</a>
      </p>
    </div>`,
  };
  if (visit !== undefined) return shell(visit, page);
  return documentOf(
    page,
    html`<main class="door" id="main">
      <p>${wordmark}</p>
      <h1>${page.title}</h1>
      ${page.body}
    </main>`,
  );
}

/** Daily reports, unchanged. */
function registerReportDocuments(app: FastifyInstance, visitors: Visitors): void {
  serve(app, visitors, {
    path: '/reports/:name',
    source: (api, report) => api.document(ENDPOINTS.showReport, { params: { report } }),
  });
}

/** The bundle of a trip, saved as a file, and the figures for a service's charts. */
function registerServiceDocuments(app: FastifyInstance, visitors: Visitors): void {
  // Used by the charts of the same page.
  app.get<{ Params: { service: string }; Querystring: { hours?: string } }>(
    '/services/:service/history',
    async (request, reply) => {
      const known = visitors.known(request);
      if (known === undefined) return reply.code(401).send();
      // The API refuses other windows.
      const query = { hours: String(request.query.hours) as '1' | '24' };
      const call = { params: request.params, query };
      const { text, type } = await known.api.document(ENDPOINTS.showHistory, call);
      return reply.type(type).header('cache-control', 'no-store').send(text);
    },
  );
  serve(app, visitors, {
    path: '/services/:name/certificate',
    source: (api, service, { signer }) =>
      api.document(ENDPOINTS.showCertificatePage, {
        params: { service },
        query: { ...(signer !== undefined && signer !== '' && { signer }) },
      }),
  });
  serve(app, visitors, {
    path: '/services/:name/certificate.json',
    source: (api, service) => api.document(ENDPOINTS.showCertificate, { params: { service } }),
    saveAs: (name) => `crossfade-certificate-${name}.json`,
  });
  serve(app, visitors, {
    path: '/guard/bundles/:name/json',
    source: (api, bundle) => api.document(ENDPOINTS.showBundle, { params: { bundle } }),
    // Only a number passes here, because the API knows no other bundle.
    saveAs: (name) => `crossfade-trip-${name}.json`,
  });
}

type Query = Readonly<Record<string, string | undefined>>;

interface Served {
  readonly path: string;
  readonly source: (api: OperatorApi, name: string, query: Query) => Promise<ApiDocument>;
  readonly saveAs?: (name: string) => string;
}

function serve(app: FastifyInstance, visitors: Visitors, { path, source, saveAs }: Served): void {
  app.get<{ Params: { name: string }; Querystring: Query }>(path, async (request, reply) => {
    const known = visitors.known(request);
    if (known === undefined) return goTo(reply, `/sign-in?to=${encodeURIComponent(request.url)}`);
    const { text, type, policy } = await source(known.api, request.params.name, request.query);
    // A report is one file with its styles inside. It names them by their digests itself.
    if (policy !== undefined) reply.header('content-security-policy', policy);
    if (saveAs !== undefined)
      reply.header('content-disposition', `attachment; filename="${saveAs(request.params.name)}"`);
    return reply.type(type).header('cache-control', 'no-store').send(text);
  });
}
