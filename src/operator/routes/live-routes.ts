import type { FastifyInstance } from 'fastify';
import type { ServiceName } from '../../domain/ids.ts';
import type { LiveBook } from '../live-book.ts';
import { answered, Refusal } from '../refusal.ts';

/** Samples of a service in the last 15 minutes, one per two seconds. */
export function registerLiveRoutes(app: FastifyInstance, book: LiveBook): void {
  app.get<{ Params: { service: string } }>('/v1/services/:service/live', ({ params }, reply) =>
    answered(reply, async () => {
      const samples = book.samplesOf(params.service as ServiceName);
      if (samples === undefined)
        throw new Refusal(404, 'service_not_found', `unknown service "${params.service}"`);
      return { service: params.service, samples };
    }),
  );
}
