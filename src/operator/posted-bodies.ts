import type { FastifyInstance } from 'fastify';

/**
 * Room for a reason, a few names, and some hundred rules. Without this limit, two million numbers in 4 MiB would fill the heap.
 */
export const BODY_LIMIT_BYTES = 64 * 1024;

const SHOWN_NAME_LENGTH = 64;

const BY = ['person', 'reason'];
const OF_RUN = [...BY, 'kind', 'service', 'owner', 'rate', 'scope'];

/** The members that the body of each route may have. With a token, `person` is added to every body. */
export const POSTED_MEMBERS: Readonly<Record<string, readonly string[]>> = {
  '/v1/dead-letters/:operation/copy': BY,
  '/v1/dead-letters/:operation/redrive': BY,
  '/v1/dead-letters/:operation/skip': BY,
  '/v1/flags/:flag': [...BY, 'share', 'was'],
  '/v1/guard/accept': [...BY, 'service', 'subject'],
  '/v1/guard/release': [...BY, 'service', 'even_so'],
  '/v1/guard/signal': [...BY, 'service'],
  '/v1/lost': [...BY, 'decision', 'service', 'owner', 'memory_id'],
  '/v1/rules': [...BY, 'service', 'rules'],
  '/v1/rules/:rule/remove': [...BY, 'service'],
  '/v1/rules/try': [...BY, 'service', 'rules', 'limit'],
  '/v1/runs': OF_RUN,
  '/v1/runs/:run/repair': [...BY, 'limit_items', 'limit_share'],
  '/v1/runs/:run/stop': BY,
  '/v1/runs/:run/undo': BY,
  '/v1/runs/rehearse': OF_RUN,
  '/v1/runs/resume': OF_RUN,
  '/v1/services/:service/lanes/accept': [...BY, 'owner'],
  '/v1/services/:service/lanes/copy': [...BY, 'owner'],
  '/v1/unknown-outcomes/:operation/assume': [...BY, 'outcome'],
};

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
