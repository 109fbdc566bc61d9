import type { FastifyInstance } from 'fastify';
import { Type, type Static } from 'typebox';
import { printableName } from '../../domain/agent-name.ts';
import type { ServiceName } from '../../domain/ids.ts';
import type { Clock } from '../../shared/clock.ts';
import { MOST_AGENTS, type AgentBook } from '../agents.ts';
import { knownService } from '../known-service.ts';
import { answered } from '../refusal.ts';
import { checkBySchemas } from './checked-routes.ts';

const AgentsQuerystring = Type.Object(
  { service: Type.Optional(Type.String({ maxLength: 64 })) },
  { additionalProperties: false },
);

interface AgentsRoute {
  Querystring: Static<typeof AgentsQuerystring>;
}

export interface AgentRouteParts {
  readonly services: readonly ServiceName[];
  readonly book: Pick<AgentBook, 'list'>;
  readonly clock: Clock;
}

/** The answer of `GET /v1/agents`. */
export interface ShownAgents {
  readonly agents: readonly {
    readonly service: string;
    readonly agent: string;
    readonly dialect: string;
    readonly requests: number;
    readonly first_seen: string;
    readonly last_seen: string;
    readonly seconds_ago: number;
  }[];
  /** Of the last 7 days, as reconciliations found them. */
  readonly writers_past_proxy: readonly {
    readonly service: string;
    /** Null if the service does not record the writer. */
    readonly writer: string | null;
    readonly lanes: number;
    readonly last_found: string;
    readonly seen_through_proxy: boolean;
  }[];
}

/** The agents seen through the proxies, and the writers that bypass them. */
export function registerAgentRoutes(app: FastifyInstance, parts: AgentRouteParts): void {
  void app.register(async (scope) => {
    checkBySchemas(scope);
    const list = { schema: { querystring: AgentsQuerystring } };
    scope.get<AgentsRoute>('/v1/agents', list, ({ query }, reply) =>
      answered(reply, () => shown(parts, query.service)),
    );
  });
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
