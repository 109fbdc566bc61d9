import type { FastifyInstance, FastifyReply, FastifyRequest } from 'fastify';
import { agentsPage } from './pages/agents.ts';
import { auditPage } from './pages/audit.ts';
import { bundlePage } from './pages/bundle.ts';
import { differencesPage, triedPage } from './pages/differences.ts';
import { endPage } from './pages/end.ts';
import { flagPage, flagsPage } from './pages/flags.ts';
import { glossaryPage } from './pages/glossary.ts';
import { guardPage } from './pages/guard.ts';
import { lanePage } from './pages/lane.ts';
import { lanesPage } from './pages/lanes.ts';
import { deadLettersPage, reversePage, unknownOutcomesPage } from './pages/ledgers.ts';
import { lostPage } from './pages/lost.ts';
import { reportsPage } from './pages/reports.ts';
import { fromOurForm } from './sessions.ts';
import { shell, type Page } from './pages/layout.ts';
import { overviewPage } from './pages/overview.ts';
import { restoredPage } from './pages/restored.ts';
import { rollbacksPage } from './pages/rollbacks.ts';
import { runPage } from './pages/run.ts';
import { runsPage } from './pages/runs.ts';
import { servicePage } from './pages/service.ts';
import type { Visitors } from './visitors.ts';
import { goTo, type Asked, type Visit } from './visit.ts';

type PageMaker = (visit: Visit, asked: Asked<never>) => Promise<Page>;

/** Every page that only shows something. */
const PAGES: Readonly<Record<string, PageMaker>> = {
  '/': overviewPage,
  '/flags': flagsPage,
  '/flags/:flag': flagPage,
  '/services/:service': servicePage,
  '/services/:service/differences': differencesPage,
  '/services/:service/end': endPage,
  '/lanes': lanesPage,
  '/lanes/:service/:owner': lanePage,
  '/dead-letters': deadLettersPage,
  '/unknown-outcomes': unknownOutcomesPage,
  '/reverse': reversePage,
  '/guard': guardPage,
  '/guard/bundles/:bundle': bundlePage,
  '/runs': runsPage,
  '/runs/:run': runPage,
  '/lost': lostPage,
  '/rollbacks': rollbacksPage,
  '/restored': restoredPage,
  '/reports': reportsPage,
  '/agents': agentsPage,
  '/audit': auditPage,
  '/glossary': glossaryPage,
};

/** The list of reports alone, for people who only read. */
export function registerReportPages(app: FastifyInstance, visitors: Visitors): void {
  app.get('/', (_request, reply) => goTo(reply, '/reports'));
  app.get('/reports', (request, reply) => shown(visitors, reportsPage, { request, reply }));
}

export function registerPages(app: FastifyInstance, visitors: Visitors): void {
  for (const [path, make] of Object.entries(PAGES))
    app.get(path, (request, reply) => shown(visitors, make, { request, reply }));
  // Trying rules changes nothing, so the answer is the page itself.
  app.post<{ Body: { rules?: string } }>(
    '/services/:service/differences',
    { preHandler: fromOurForm(app) },
    (request, reply) => {
      const make: PageMaker = (visit, asked) => triedPage(visit, asked, request.body.rules ?? '');
      return shown(visitors, make, { request, reply });
    },
  );
}

interface Exchange {
  readonly request: FastifyRequest;
  readonly reply: FastifyReply;
}

async function shown(
  visitors: Visitors,
  make: PageMaker,
  { request, reply }: Exchange,
): Promise<FastifyReply> {
  const visit = await visitors.visit(request, reply);
  if (visit === undefined) return goTo(reply, `/sign-in?to=${encodeURIComponent(request.url)}`);
  const page = await make(visit, { params: request.params as never, query: onceEach(request.query) });
  return reply.type('text/html').header('cache-control', 'no-store').send(shell(visit, page));
}

/** If an address names a parameter twice, the last one counts. */
function onceEach(query: unknown): Asked['query'] {
  const given = Object.entries(query as Readonly<Record<string, string | string[]>>);
  return Object.fromEntries(
    given.map(([name, value]) => [name, Array.isArray(value) ? value.at(-1) : value]),
  );
}
