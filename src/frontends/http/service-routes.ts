import type { FastifyInstance } from 'fastify';
import { foreignCaller } from '../../domain/http-caller.ts';
import type { ServiceName } from '../../domain/ids.ts';
import type { Dialect } from '../../domain/service-definition.ts';
import { receiveRequest, type ReceiveSettings } from './receive-request.ts';
import { sendReply } from './send-reply.ts';

export interface ServiceRouteSettings extends ReceiveSettings {
  readonly services: readonly { readonly service: ServiceName; readonly dialect: Dialect }[];
  /** Host names that agents may use in addition to addresses. @defaultValue localhost */
  readonly names?: ReadonlySet<string>;
}

const NO_NAMES: ReadonlySet<string> = new Set();

type ServiceRoute = { Params: { service: string } };

/** `POST /v1/services/<service>`: takes the same request as ZMQ, and gives the same reply. */
export async function registerServiceRoutes(
  app: FastifyInstance,
  settings: ServiceRouteSettings,
): Promise<void> {
  const known = new Map<string, ServiceRouteSettings['services'][number]>(
    settings.services.map((each) => [each.service, each]),
  );
  app.removeAllContentTypeParsers();
  // The body is read only when there is room for it.
  app.addContentTypeParser('*', (_request, _body, done) => done(null));
  const { names = NO_NAMES } = settings;
  app.post<ServiceRoute>('/v1/services/:service', async ({ params, raw }, reply) => {
    const foreign = foreignCaller(raw.headers, names);
    if (foreign !== undefined) return reply.code(403).send({ status: 'error', error: foreign });
    const to = known.get(params.service);
    if (to === undefined) {
      // The body for an unknown service is not received.
      const error = `unknown service: ${params.service.slice(0, 64)}`;
      return reply.code(404).send({ status: 'error', error, services: [...known.keys()] });
    }
    reply.hijack();
    const exchange = { request: raw, response: reply.raw };
    const received = await receiveRequest(exchange, to, settings);
    if (received === undefined) return;
    try {
      sendReply(reply.raw, await settings.handler.handle(received.request), 200);
    } catch {
      // The handler must never throw. If it does, the agent sees a broken connection, but the proxy continues.
      reply.raw.destroy();
    } finally {
      received.release();
    }
  });
}
