import type { FastifyInstance } from 'fastify';
import type { Config } from '../config/schema.ts';
import { ConnectionLimit, connectionsWithin, limitConnections } from '../frontends/connection-limit.ts';
import { takePort } from '../frontends/take-port.ts';
import type { Clock } from '../shared/clock.ts';
import { createDesk } from '../operator/desk/desk.ts';
import type { Part } from '../shared/parts.ts';
import type { Live } from './live.ts';

export interface DeskFacts {
  readonly config: Config;
  readonly clock: Clock;
  /** Routes of the operator's API. */
  readonly registerRoutes: (app: FastifyInstance) => void;
  readonly live: Live | undefined;
  readonly onProblem: (service: string, problem: string, detail: string) => void;
}

/** A browser opens six at a time. */
const CONNECTIONS = 500;

/** The operator's desk, where it is configured. */
export function deskParts({ config, clock, registerRoutes, live, onProblem }: DeskFacts): readonly Part[] {
  const { desk, http, operator, proxy, reports } = config;
  if (desk === undefined || live === undefined) return [];
  let app: FastifyInstance | undefined;
  return [
    live.part,
    {
      name: 'desk',
      start: async () => {
        const tokens = Object.entries(operator.tokens).map(([name, token]) => ({ name, ...token }));
        const made = await createDesk({
          tokens,
          registerApi: registerRoutes,
          live: live.book,
          nowMs: () => clock.now(),
          zone: reports.timeZone,
          trustedProxies: http.trustedProxies ?? [],
          pages: desk.pages,
        });
        app = made;
        const limit = connectionsWithin(CONNECTIONS);
        const onFull = (what: string): void =>
          onProblem(
            'desk',
            `connection_${what}`,
            `browsers have all of the ${limit} connections of the desk`,
          );
        limitConnections(made.server, new ConnectionLimit({ limit, nowMs: () => clock.now(), onFull }));
        await takePort(() => made.listen({ host: desk.host, port: desk.port }), {
          ...desk,
          clock,
          takeOverMs: proxy.takeOverMs,
        });
      },
      stop: async () => app?.close(),
    },
  ];
}
