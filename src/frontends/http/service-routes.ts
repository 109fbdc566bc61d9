import type { FastifyError, FastifyInstance } from 'fastify';
import type { ServiceName } from '../../domain/ids.ts';
import type { MessageLimits } from '../../domain/request.ts';
import type { Clock } from '../../migration/ports.ts';
import type { RequestHandler } from '../../migration/request-handler.ts';
import { tooLarge } from './reverse-proxy.ts';
import { sendReply } from './send-reply.ts';

export interface ServiceRouteSettings {
  readonly services: readonly ServiceName[];
  readonly handler: RequestHandler;
  readonly clock: Clock;
  readonly limits: MessageLimits;
}

type ServiceRoute = { Params: { service: string }; Body: Buffer | undefined };

const TOO_LARGE = 'FST_ERR_CTP_BODY_TOO_LARGE';
const NOTHING = Buffer.alloc(0);

/** `POST /v1/services/<service>`: what an agent would send over ZMQ, with the same reply. */
export async function registerServiceRoutes(
  app: FastifyInstance,
  settings: ServiceRouteSettings,
): Promise<void> {
  const { handler, clock, limits } = settings;
  const names = new Map<string, ServiceName>(settings.services.map((name) => [name, name]));
  app.removeAllContentTypeParsers();
  app.addContentTypeParser('*', { parseAs: 'buffer' }, (_request, body, done) => done(null, body));
  app.post<ServiceRoute>('/v1/services/:service', {
    bodyLimit: limits.messageBytes,
    // Before the body is read: nobody needs to send four megabytes to a service that does not exist.
    onRequest: async (request, reply) => {
      const { service } = request.params;
      if (names.has(service)) return;
      const error = `no such service: ${service.slice(0, 64)}`;
      return reply.code(404).send({ status: 'error', error, services: settings.services });
    },
    errorHandler: async (error: FastifyError, request, reply) => {
      if (error.code !== TOO_LARGE) throw error;
      const service = names.get((request.params as { service: string }).service) as ServiceName;
      const refusal = await handler.handle({ service, receivedAtMs: clock.now(), ...tooLarge(limits) });
      return reply.code(413).header('connection', 'close').type('application/json').send(refusal.body);
    },
    handler: async (request, reply) => {
      const receivedAtMs = clock.now();
      const service = names.get(request.params.service) as ServiceName;
      const answer = await handler.handle({ service, body: request.body ?? NOTHING, receivedAtMs });
      reply.hijack();
      sendReply(reply.raw, answer, 200);
    },
  });
}
