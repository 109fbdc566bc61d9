import type { FastifyInstance } from 'fastify';
import { Type, type Static } from 'typebox';
import { laneKeyOf, type ServiceName } from '../../domain/ids.ts';
import type { AuditStore } from '../../engine/guard/guard-ports.ts';
import type { LaneDesk, NoCopy } from '../../engine/runs/lane-desk.ts';
import { ByPersonSchema, checkBySchemas, LIMIT, OFFSET } from './checked-routes.ts';
import { knownService } from '../known-service.ts';
import { answered, Refusal } from '../refusal.ts';
import { ownerOf } from '../run-wishes.ts';

/** Which lanes are listed. `unwell`: not clean, with exceptions, or different. */
export const LANE_STATES = [
  'all',
  'unwell',
  'seeded',
  'dirty',
  'copying',
  'stopped',
  'excepted',
  'differs',
] as const;

/** `activity`: the newest write first. */
export const LANE_ORDERS = ['activity', 'owner', 'writes', 'behind'] as const;

export interface LaneRouteParts {
  readonly services: readonly ServiceName[];
  /** @throws StorageError */
  list(query: {
    readonly service: ServiceName;
    readonly owner?: string;
    readonly state: (typeof LANE_STATES)[number];
    readonly order: (typeof LANE_ORDERS)[number];
    readonly offset: number;
    readonly limit: number;
  }): Promise<readonly object[]>;
  readonly desk: Pick<LaneDesk, 'whyNotCopied' | 'copy'>;
  readonly audit: Pick<AuditStore, 'add'>;
}

/** Why a lane cannot be copied. */
const NO_COPY: Readonly<Record<NoCopy, string>> = {
  unreadable: 'its store is not configured',
  uncovered: 'dual writes of the service are off',
  unknown_lane: 'its owner is unknown to the journal and to legacy: see crossfade lanes list',
  undone:
    'its repair was undone: compare and repair it again (crossfade reconcile --owner OWNER --repair apply)',
  stopped: 'legacy lost items of it: decide about each of them first (crossfade lost list)',
};

const DEFAULT_LIMIT = 50;

const OfService = Type.Object({ service: Type.String() });
const LanesQuerystring = Type.Object(
  {
    /** The prefix of the owner. */
    owner: Type.Optional(Type.String({ maxLength: 512 })),
    unwell: Type.Optional(Type.Union([Type.Literal('true'), Type.Literal('false')])),
    state: Type.Optional(Type.Union(LANE_STATES.map((state) => Type.Literal(state)))),
    order: Type.Optional(Type.Union(LANE_ORDERS.map((order) => Type.Literal(order)))),
    limit: Type.Optional(Type.String({ pattern: LIMIT })),
    offset: Type.Optional(Type.String({ pattern: OFFSET })),
  },
  { additionalProperties: false },
);
const CopyBody = Type.Object({ ...ByPersonSchema, owner: Type.String({ minLength: 1, maxLength: 512 }) });

interface LanesRoute {
  Params: Static<typeof OfService>;
  Querystring: Static<typeof LanesQuerystring>;
}

interface CopyRoute {
  Params: Static<typeof OfService>;
  Body: Static<typeof CopyBody>;
}

/** Lists lanes by the prefix of their owner, and copies one on request. */
export function registerLaneRoutes(app: FastifyInstance, parts: LaneRouteParts): void {
  const routes = new LaneRoutes(parts);
  void app.register(async (scope) => {
    checkBySchemas(scope);
    const list = { schema: { params: OfService, querystring: LanesQuerystring } };
    scope.get<LanesRoute>('/v1/services/:service/lanes', list, ({ params, query }, reply) =>
      answered(reply, () => routes.list(params.service, query)),
    );
    const copy = { schema: { params: OfService, body: CopyBody } };
    scope.post<CopyRoute>('/v1/services/:service/lanes/copy', copy, ({ params, body }, reply) =>
      answered(reply, () => routes.copy(params.service, body)),
    );
  });
}

class LaneRoutes {
  readonly #parts: LaneRouteParts;

  constructor(parts: LaneRouteParts) {
    this.#parts = parts;
  }

  async list(name: string, query: LanesRoute['Querystring']): Promise<object> {
    const { owner, unwell, state, order = 'activity', limit, offset = '0' } = query;
    const service = this.#known(name);
    const lanes = await this.#parts.list({
      service,
      state: state ?? (unwell === 'true' ? 'unwell' : 'all'),
      order,
      offset: Number(offset),
      limit: Number(limit ?? DEFAULT_LIMIT),
      ...(owner !== undefined && { owner }),
    });
    return { service, lanes };
  }

  async copy(name: string, body: CopyRoute['Body']): Promise<object> {
    const { desk, audit } = this.#parts;
    const service = this.#known(name);
    const lane = laneKeyOf(service, ownerOf(body.owner));
    const why = await desk.whyNotCopied(lane);
    if (why !== undefined)
      throw new Refusal(why === 'unknown_lane' ? 404 : 409, why, `${lane} cannot be copied: ${NO_COPY[why]}`);
    const by = { person: body.person.trim(), reason: body.reason.trim() };
    await audit.add({ ...by, command: 'lanes copy', service, details: { lane } });
    await desk.copy(lane);
    return { lane, state: 'copying' };
  }

  #known(name: string): ServiceName {
    return knownService(name, this.#parts.services);
  }
}
