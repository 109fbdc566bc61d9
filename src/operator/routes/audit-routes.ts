import type { FastifyInstance } from 'fastify';
import type { ServiceName } from '../../domain/ids.ts';
import type { AuditStore } from '../../engine/guard/guard-ports.ts';
import { type Answered, type Asked, ENDPOINTS } from '../api/endpoints.ts';
import { unknownService } from '../known-service.ts';
import { serve } from './serve.ts';

const DEFAULT_LIMIT = 100;
/** The kill switch is recorded under this name. */
const ALL_SERVICES = 'all';

export interface AuditRouteParts {
  readonly services: readonly ServiceName[];
  readonly audit: Pick<AuditStore, 'recent'>;
}

/** Who changed what, and why. One page at a time, newest first. Pass `next` as `before` to get the next page. */
export function registerAuditRoutes(app: FastifyInstance, parts: AuditRouteParts): void {
  serve(app, ENDPOINTS.listAudit, ({ query }) => pageOf(parts, query));
}

async function pageOf(
  parts: AuditRouteParts,
  { service, person, command, limit, before }: Asked<'listAudit'>['query'],
): Promise<Answered<'listAudit'>> {
  const most = Number(limit ?? DEFAULT_LIMIT);
  // One entry more than a page shows whether there is a next page.
  const found = await parts.audit.recent({
    limit: most + 1,
    ...(service !== undefined && { service }),
    ...(person !== undefined && { person }),
    ...(command !== undefined && { command }),
    ...(before !== undefined && { before: Number(before) }),
  });
  if (found.length === 0) await refuseUnknown(service, parts);
  const shown = found.slice(0, most);
  return {
    entries: shown.map(({ id, atMs, ...entry }) => ({ id, at: new Date(atMs).toISOString(), ...entry })),
    next: found.length > most ? (shown.at(-1)?.id ?? null) : null,
  };
}

/** A service that is no longer configured is known as long as it has entries. @throws Refusal */
async function refuseUnknown(name: string | undefined, { services, audit }: AuditRouteParts): Promise<void> {
  if (name === undefined || name === ALL_SERVICES || services.some((service) => service === name)) return;
  if ((await audit.recent({ service: name, limit: 1 })).length === 0) throw unknownService(name, services);
}
