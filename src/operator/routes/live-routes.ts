import type { FastifyInstance } from 'fastify';
import type { ServiceName } from '../../domain/ids.ts';
import type { LiveBook } from '../live-book.ts';
import { knownService } from '../known-service.ts';
import { answered } from '../refusal.ts';

export interface LiveRouteParts {
  readonly services: readonly ServiceName[];
  readonly book: Pick<LiveBook, 'samplesOf'>;
}

/** Samples of a service in the last 15 minutes, one per two seconds. */
export function registerLiveRoutes(app: FastifyInstance, { services, book }: LiveRouteParts): void {
  app.get<{ Params: { service: string } }>('/v1/services/:service/live', ({ params }, reply) =>
    answered(reply, async () => {
      const service = knownService(params.service, services);
      return { service, samples: book.samplesOf(service) ?? [] };
    }),
  );
}
