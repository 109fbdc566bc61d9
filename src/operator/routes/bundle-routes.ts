import type { FastifyInstance } from 'fastify';
import type { TripBundleStore } from '../../engine/guard/guard-ports.ts';
import { answered, Refusal } from '../refusal.ts';

/** Lists and returns the bundles of trips. */
export function registerBundleRoutes(app: FastifyInstance, bundles: TripBundleStore): void {
  app.get('/v1/guard/bundles', (_request, reply) =>
    answered(reply, async () => ({
      bundles: (await bundles.list()).map(({ latch, service, atMs, trigger, bytes }) => ({
        bundle: latch,
        service,
        at: new Date(atMs).toISOString(),
        trigger,
        bytes,
      })),
    })),
  );
  app.get<{ Params: { bundle: string } }>('/v1/guard/bundles/:bundle', (request, reply) =>
    answered(reply, async () => {
      const { bundle } = request.params;
      const text = /^\d{1,15}$/.test(bundle) ? await bundles.read(Number(bundle)) : undefined;
      if (text === undefined)
        throw new Refusal(
          404,
          'bundle_not_found',
          `unknown bundle "${bundle}": GET /v1/guard/bundles lists them`,
        );
      reply.type('application/json');
      return text;
    }),
  );
}
