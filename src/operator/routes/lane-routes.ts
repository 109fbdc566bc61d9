import type { FastifyInstance } from 'fastify';
import { type LaneKey, laneKeyOf, type ServiceName } from '../../domain/ids.ts';
import type { Flipper } from '../../engine/flips/flipper.ts';
import type { AuditStore } from '../../engine/guard/guard-ports.ts';
import type { LaneCommands, NoCopy } from '../../engine/runs/lane-commands.ts';
import { type Answered, type Asked, ENDPOINTS } from '../api/endpoints.ts';
import type { LANE_ORDERS, LANE_STATES, ListedLane } from '../api/lanes.ts';
import { knownService } from '../known-service.ts';
import { Refusal } from '../refusal.ts';
import { ownerOf } from '../run-wishes.ts';
import { blockersOf } from '../shown-flips.ts';
import { serve } from './serve.ts';

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
  }): Promise<readonly Omit<ListedLane, 'blocked_by'>[]>;
  /** Absent: no lane is flipped. */
  readonly flipper: Pick<Flipper, 'standing' | 'factsOfLanes'> | undefined;
  readonly desk: Pick<LaneCommands, 'whyNotCopied' | 'copy'>;
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
  flipped: 'the orchestrator is primary for its writes, and nothing is copied over a primary',
};

const DEFAULT_LIMIT = 50;

/** Lists lanes by the prefix of their owner, and copies one on request. */
export function registerLaneRoutes(app: FastifyInstance, parts: LaneRouteParts): void {
  const routes = new LaneRoutes(parts);
  serve(app, ENDPOINTS.listLanes, (asked) => routes.list(asked));
  serve(app, ENDPOINTS.copyLane, (asked) => routes.copy(asked));
}

class LaneRoutes {
  readonly #parts: LaneRouteParts;

  constructor(parts: LaneRouteParts) {
    this.#parts = parts;
  }

  async list({ params, query }: Asked<'listLanes'>): Promise<Answered<'listLanes'>> {
    const { owner, unwell, state, order = 'activity', limit, offset = '0' } = query;
    const service = this.#known(params.service);
    const lanes = await this.#parts.list({
      service,
      state: state ?? (unwell === 'true' ? 'unwell' : 'all'),
      order,
      offset: Number(offset),
      limit: Number(limit ?? DEFAULT_LIMIT),
      ...(owner !== undefined && { owner }),
    });
    return { service, ...(await this.#withEligibility(service, lanes)) };
  }

  /** Each lane with what keeps it from being flipped. */
  async #withEligibility(
    service: ServiceName,
    lanes: Awaited<ReturnType<LaneRouteParts['list']>>,
  ): Promise<Omit<Answered<'listLanes'>, 'service'>> {
    const { flipper } = this.#parts;
    if (flipper === undefined) return { lanes };
    const keyOf = (owner: string): LaneKey => laneKeyOf(service, ownerOf(owner));
    const { judged } = await flipper.standing(service);
    const facts = await flipper.factsOfLanes(
      service,
      lanes.map(({ owner }) => keyOf(owner)),
    );
    return {
      blocked_by: blockersOf(judged),
      lanes: lanes.map((lane) => {
        const own = facts.get(keyOf(lane.owner));
        return own === undefined ? lane : { ...lane, blocked_by: blockersOf(own) };
      }),
    };
  }

  async copy({ params, body }: Asked<'copyLane'>): Promise<Answered<'copyLane'>> {
    const { desk, audit } = this.#parts;
    const service = this.#known(params.service);
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
