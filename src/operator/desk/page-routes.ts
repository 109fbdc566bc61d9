import type { FastifyInstance, FastifyReply, FastifyRequest } from 'fastify';
import { auditPage } from './pages/audit.ts';
import { flagPage, flagsPage } from './pages/flags.ts';
import { shell, type Page } from './pages/layout.ts';
import { overviewPage } from './pages/overview.ts';
import type { Reception } from './reception.ts';
import { goTo, type Asked, type Visit } from './visit.ts';

type PageMaker = (visit: Visit, asked: Asked<never>) => Promise<Page>;

/** Every page that is only looked at. */
const PAGES: Readonly<Record<string, PageMaker>> = {
  '/': overviewPage,
  '/flags': flagsPage,
  '/flags/:flag': flagPage,
  '/audit': auditPage,
};

export function registerPages(app: FastifyInstance, reception: Reception): void {
  for (const [path, make] of Object.entries(PAGES))
    app.get(path, (request, reply) => shown(reception, make, { request, reply }));
}

interface Exchange {
  readonly request: FastifyRequest;
  readonly reply: FastifyReply;
}

async function shown(
  reception: Reception,
  make: PageMaker,
  { request, reply }: Exchange,
): Promise<FastifyReply> {
  const visit = await reception.visit(request, reply);
  if (visit === undefined) return goTo(reply, `/sign-in?to=${encodeURIComponent(request.url)}`);
  const { params, query } = request as unknown as Asked<never>;
  const page = await make(visit, { params, query });
  return reply.type('text/html').header('cache-control', 'no-store').send(shell(visit, page));
}
