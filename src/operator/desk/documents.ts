import type { FastifyInstance } from 'fastify';
import type { Reception } from './reception.ts';
import { goTo } from './visit.ts';

/** Daily reports, unchanged. */
export function registerReportDocuments(app: FastifyInstance, reception: Reception): void {
  serve(app, reception, { path: '/reports/:name', source: '/v1/reports' });
}

/** The bundle of a trip, saved as a file, and the figures for a service's charts. */
export function registerServiceDocuments(app: FastifyInstance, reception: Reception): void {
  // Used by the charts of the same page.
  app.get<{ Params: { service: string }; Querystring: { hours?: string } }>(
    '/services/:service/history',
    async (request, reply) => {
      const known = reception.known(request);
      if (known === undefined) return reply.code(401).send();
      const [service, hours] = [request.params.service, String(request.query.hours)].map(encodeURIComponent);
      const { text, type } = await known.api.document(`/v1/services/${service}/history?hours=${hours}`);
      return reply.type(type).header('cache-control', 'no-store').send(text);
    },
  );
  serve(app, reception, {
    path: '/guard/bundles/:name/json',
    source: '/v1/guard/bundles',
    // Only a number passes here, because the API knows no other bundle.
    saveAs: (name) => `crossfade-trip-${name}.json`,
  });
}

interface Served {
  readonly path: string;
  /** Of the API. */
  readonly source: string;
  readonly saveAs?: (name: string) => string;
}

function serve(app: FastifyInstance, reception: Reception, { path, source, saveAs }: Served): void {
  app.get<{ Params: { name: string } }>(path, async (request, reply) => {
    const known = reception.known(request);
    if (known === undefined) return goTo(reply, `/sign-in?to=${encodeURIComponent(request.url)}`);
    const { text, type, policy } = await known.api.document(
      `${source}/${encodeURIComponent(request.params.name)}`,
    );
    // A report is one file with its styles inside. It names them by their digests itself.
    if (policy !== undefined) reply.header('content-security-policy', policy);
    if (saveAs !== undefined)
      reply.header('content-disposition', `attachment; filename="${saveAs(request.params.name)}"`);
    return reply.type(type).header('cache-control', 'no-store').send(text);
  });
}
