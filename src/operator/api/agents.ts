import { Type } from 'typebox';
import type { Endpoint, Of } from './endpoint.ts';
import { Count, orNull, Time } from './schemas.ts';

const ShownAgents = Type.Object({
  agents: Type.Array(
    Type.Object({
      service: Type.String(),
      agent: Type.String(),
      dialect: Type.String(),
      requests: Count,
      first_seen: Time,
      last_seen: Time,
      seconds_ago: Count,
    }),
  ),
  /** Of the last 7 days, as reconciliations found them. */
  writers_past_proxy: Type.Array(
    Type.Object({
      service: Type.String(),
      /** Null if the service does not record the writer. */
      writer: orNull(Type.String()),
      lanes: Count,
      last_found: Time,
      seen_through_proxy: Type.Boolean(),
    }),
  ),
});

export type ShownAgents = Of<typeof ShownAgents>;

export const AGENTS = {
  listAgents: {
    method: 'GET',
    path: '/v1/agents',
    summary: 'Lists the agents seen through the proxies, and the writers that bypass them.',
    caller: 'viewer',
    query: Type.Object(
      { service: Type.Optional(Type.String({ maxLength: 64 })) },
      { additionalProperties: false },
    ),
    answer: { json: ShownAgents },
  },
} satisfies Record<string, Endpoint>;
