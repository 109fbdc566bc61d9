import type { FastifyInstance } from 'fastify';
import type { Reception } from './reception.ts';
import { goTo } from './visit.ts';

/** Documents of the API that are shown or saved as they are: daily reports, and what was known at a trip. */
export function registerDocuments(app: FastifyInstance, reception: Reception): void {
  const serve = (path: string, source: string, saveAs?: (name: string) => string): void => {
    app.get<{ Params: { name: string } }>(path, async (request, reply) => {
      const known = reception.known(request);
      if (known === undefined) return goTo(reply, `/sign-in?to=${encodeURIComponent(request.url)}`);
      const { text, type, policy } = await known.api.document(
        `${source}/${encodeURIComponent(request.params.name)}`,
      );
      // A report is one file with its styles in it: it names them by their digests itself.
      if (policy !== undefined) reply.header('content-security-policy', policy);
      if (saveAs !== undefined)
        reply.header('content-disposition', `attachment; filename="${saveAs(request.params.name)}"`);
      return reply.type(type).header('cache-control', 'no-store').send(text);
    });
  };
  // For the charts of the same page.
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
  serve('/reports/:name', '/v1/reports');
  // Only a number gets here: the API knows no other bundle.
  serve('/guard/bundles/:name/json', '/v1/guard/bundles', (name) => `crossfade-trip-${name}.json`);
}
