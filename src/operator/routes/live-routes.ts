import type { FastifyInstance } from 'fastify';
import type { ServiceName } from '../../domain/ids.ts';
import type { LiveBook } from '../live-book.ts';
import { answered, Refusal } from '../refusal.ts';

/** What happened to a service in the last quarter of an hour, by two seconds. */
export function registerLiveRoutes(app: FastifyInstance, book: LiveBook): void {
  app.get<{ Params: { service: string } }>('/v1/services/:service/live', ({ params }, reply) =>
    answered(reply, async () => {
      const samples = book.samplesOf(params.service as ServiceName);
      if (samples === undefined)
        throw new Refusal(404, 'service_not_found', `no service is called "${params.service}"`);
      return { service: params.service, samples };
    }),
  );
}
