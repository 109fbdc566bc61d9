import type { FastifyInstance } from 'fastify';
import { printableName } from '../../domain/agent-name.ts';
import type { ServiceName } from '../../domain/ids.ts';
import type { Clock } from '../../shared/clock.ts';
import type { ShownAgents } from '../api/agents.ts';
import { ENDPOINTS } from '../api/endpoints.ts';
import { MOST_AGENTS, type AgentBook } from '../agents.ts';
import { knownService } from '../known-service.ts';
import { serve } from './serve.ts';

export interface AgentRouteParts {
  readonly services: readonly ServiceName[];
  readonly book: Pick<AgentBook, 'list'>;
  readonly clock: Clock;
}

/** The agents seen through the proxies, and the writers that bypass them. */
export function registerAgentRoutes(app: FastifyInstance, parts: AgentRouteParts): void {
  serve(app, ENDPOINTS.listAgents, ({ query }) => shown(parts, query.service));
}

async function shown({ services, book, clock }: AgentRouteParts, only?: string): Promise<ShownAgents> {
  const asked = only === undefined ? services : [knownService(only, services)];
  const { agents, writersPastProxy } = await book.list(asked, MOST_AGENTS);
  const nowMs = clock.wallMs();
  return {
    agents: agents.map(({ service, name, dialect, requests, firstAtMs, lastAtMs }) => ({
      service,
      agent: name,
      dialect,
      requests,
      first_seen: new Date(firstAtMs).toISOString(),
      last_seen: new Date(lastAtMs).toISOString(),
      seconds_ago: Math.max(0, Math.round((nowMs - lastAtMs) / 1_000)),
    })),
    writers_past_proxy: writersPastProxy.map(({ service, writer, lanes, lastAtMs, isSeen }) => ({
      service,
      writer: writer === null ? null : printableName(writer),
      lanes,
      last_found: new Date(lastAtMs).toISOString(),
      seen_through_proxy: isSeen,
    })),
  };
}
