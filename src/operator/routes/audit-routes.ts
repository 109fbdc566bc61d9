import type { FastifyInstance } from 'fastify';
import type { Static } from 'typebox';
import type { AuditStore } from '../../engine/guard/guard-ports.ts';
import { answered } from '../refusal.ts';
import { AuditQuerystring, checkBySchemas } from './checked-routes.ts';

const DEFAULT_LIMIT = 100;

interface AuditRoute {
  Querystring: Static<typeof AuditQuerystring>;
}

/** Who changed what, and why. One page at a time, newest first. Pass `next` as `before` to get the next page. */
export function registerAuditRoutes(app: FastifyInstance, audit: Pick<AuditStore, 'recent'>): void {
  void app.register(async (scope) => {
    checkBySchemas(scope);
    const list = { schema: { querystring: AuditQuerystring } };
    scope.get<AuditRoute>('/v1/audit', list, ({ query }, reply) =>
      answered(reply, () => pageOf(audit, query)),
    );
  });
}

async function pageOf(
  audit: Pick<AuditStore, 'recent'>,
  { service, person, command, limit, before }: AuditRoute['Querystring'],
): Promise<object> {
  const most = Number(limit ?? DEFAULT_LIMIT);
  // One entry more than a page shows whether there is a next page.
  const found = await audit.recent({
    limit: most + 1,
    ...(service !== undefined && { service }),
    ...(person !== undefined && { person }),
    ...(command !== undefined && { command }),
    ...(before !== undefined && { before: Number(before) }),
  });
  const shown = found.slice(0, most);
  return {
    entries: shown.map(({ id, atMs, ...entry }) => ({ id, at: new Date(atMs).toISOString(), ...entry })),
    next: found.length > most ? (shown.at(-1)?.id ?? null) : null,
  };
}
