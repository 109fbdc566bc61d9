import type { FastifyInstance } from 'fastify';
import type { Endpoint } from './api/endpoint.ts';
import { ENDPOINTS } from './api/endpoints.ts';

/**
 * Room for a reason, a few names, and some hundred rules. Without this limit, two million numbers in 4 MiB would fill the heap.
 */
export const BODY_LIMIT_BYTES = 64 * 1024;

const SHOWN_NAME_LENGTH = 64;

const ALL: readonly Endpoint[] = Object.values(ENDPOINTS);

/** The members that the body of each route may have. With a token, `person` is added to every body. */
export const POSTED_MEMBERS: Readonly<Record<string, readonly string[]>> = Object.fromEntries(
  ALL.flatMap(({ path, body }) => (body === undefined ? [] : [[path, Object.keys(body.properties)]])),
);

/**
 * Applies to all routes of this scope: a body is short, and an unknown member is refused by its name. Ignoring it would be
 * dangerous: a run whose `services` is misspelt would cover all services.
 */
export function boundBodies(app: FastifyInstance): void {
  app.addHook('onRoute', (route) => {
    route.bodyLimit ??= BODY_LIMIT_BYTES;
  });
  app.addHook('preValidation', async ({ body, routeOptions: { url = '' } }, reply) => {
    const members = POSTED_MEMBERS[url];
    if (members === undefined || typeof body !== 'object' || body === null) return;
    const unknown = Object.keys(body).find((name) => !members.includes(name));
    if (unknown === undefined) return;
    const shown = JSON.stringify(unknown.slice(0, SHOWN_NAME_LENGTH));
    const message = `unknown member ${shown}: the body of ${url} may have ${members.join(', ')}`;
    await reply.code(400).send({ error: 'invalid_request', message });
  });
}
