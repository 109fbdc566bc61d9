import type { FastifyInstance } from 'fastify';
import { laneKeyOf, type ServiceName } from '../../domain/ids.ts';
import type { TimedPlan } from '../../engine/flips/way-back.ts';
import type { Migration } from '../../engine/migration.ts';
import type { ReturnChoice, Rollback } from '../../engine/ports/way-back-ports.ts';
import { type Answered, type Asked, ENDPOINTS } from '../api/endpoints.ts';
import type { Rollback as PrintedRollback, RollbackPlan } from '../api/rollbacks.ts';
import { knownOwner, knownService } from '../known-service.ts';
import { Refusal } from '../refusal.ts';
import { serve } from './serve.ts';

export interface RollbackRouteParts {
  readonly services: readonly ServiceName[];
  readonly wayBack: NonNullable<Migration['wayBack']>;
}

const DEFAULT_LIMIT = 20;
const OWN_SHOWN = 50;

/** The return of lanes to legacy: its list, its begin and its progress. */
export function registerRollbackRoutes(app: FastifyInstance, parts: RollbackRouteParts): void {
  const routes = new RollbackRoutes(parts);
  serve(app, ENDPOINTS.planRollback, ({ query }) => routes.plan(query));
  serve(app, ENDPOINTS.beginRollback, ({ body }) => routes.begin(body));
  serve(app, ENDPOINTS.listRollbacks, ({ query }) => routes.list(query));
  serve(app, ENDPOINTS.showRollback, ({ params }) => routes.show(params));
  serve(app, ENDPOINTS.stopRollback, ({ params, body }) => routes.stop(params, body));
}

class RollbackRoutes {
  readonly #parts: RollbackRouteParts;

  constructor(parts: RollbackRouteParts) {
    this.#parts = parts;
  }

  async plan({
    service: name,
    owner,
    percent,
  }: Asked<'planRollback'>['query']): Promise<Answered<'planRollback'>> {
    const service = this.#known(name);
    const choice = choiceOf({
      owner,
      percent: percent === undefined ? undefined : Number(percent),
      all: owner === undefined && percent === undefined,
    });
    return printedPlan(service, await this.#parts.wayBack.plan(service, choice));
  }

  async begin(body: Asked<'beginRollback'>['body']): Promise<Answered<'beginRollback'>> {
    const { wayBack } = this.#parts;
    const service = this.#known(body.service);
    const choice = choiceOf(body);
    const acceptsLoss = body.accept === true;
    const plan = await wayBack.plan(service, choice);
    refuseUnlessAccepted(service, plan, acceptsLoss);
    const by = { person: body.person.trim(), reason: body.reason.trim(), acceptsLoss };
    const begun = await wayBack.begin(service, choice, by);
    if (begun === undefined)
      throw new Refusal(
        409,
        'running',
        `lanes of ${service} are returning already: GET /v1/rollbacks shows them. Stop that rollback first`,
      );
    return printed(begun);
  }

  async list({ limit }: Asked<'listRollbacks'>['query']): Promise<Answered<'listRollbacks'>> {
    const found = await this.#parts.wayBack.list(Number(limit ?? DEFAULT_LIMIT));
    return { rollbacks: found.map(printed) };
  }

  async show({ rollback }: Asked<'showRollback'>['params']): Promise<Answered<'showRollback'>> {
    const found = await this.#parts.wayBack.find(Number(rollback));
    if (found === undefined)
      throw new Refusal(
        404,
        'rollback_not_found',
        `unknown rollback ${rollback}: GET /v1/rollbacks lists them`,
      );
    return printed(found);
  }

  async stop(
    params: Asked<'stopRollback'>['params'],
    { person, reason }: Asked<'stopRollback'>['body'],
  ): Promise<Answered<'stopRollback'>> {
    const before = await this.show(params);
    const isStopped = await this.#parts.wayBack.halt(before.rollback, {
      person: person.trim(),
      reason: reason.trim(),
    });
    if (!isStopped) throw new Refusal(409, 'ended', `rollback ${before.rollback} has ended already`);
    return this.show(params);
  }

  #known(name: string): ServiceName {
    return knownService(name, this.#parts.services);
  }
}

/** I9: no lane returns to a backend that lacks an acknowledged write, unless a person accepts the list. */
function refuseUnlessAccepted(service: ServiceName, plan: TimedPlan, acceptsLoss: boolean): void {
  if (plan.lanes === 0)
    throw new Refusal(409, 'nothing_moved', `${service} has no such lane whose writes have moved`);
  if (acceptsLoss) return;
  if (plan.lostWrites > 0)
    throw new Refusal(
      409,
      'would_be_lost',
      `legacy would lack ${plan.lostWrites} acknowledged writes of ${service}: read the list (crossfade rollback ${service} --dry-run), then accept it with --accept`,
    );
  if (plan.forgottenWrites > 0 && !plan.isForgettingAccepted)
    throw new Refusal(
      409,
      'forgotten',
      `the retention of ${service} has forgotten ${plan.forgottenWrites} writes on legacy: accept that once with --accept`,
    );
}

interface Chosen {
  readonly owner?: string | undefined;
  readonly percent?: number | undefined;
  readonly all?: boolean | undefined;
}

function choiceOf({ owner, percent, all }: Chosen): ReturnChoice {
  const given = [owner, percent, all === true ? true : undefined].filter((one) => one !== undefined);
  if (given.length !== 1)
    throw new Refusal(400, 'invalid_request', 'choose lanes by exactly one of owner, percent and all');
  if (owner !== undefined) return { owner: knownOwner(owner) };
  return percent === undefined ? 'all' : { beyondPercentage: percent };
}

export function printedPlan(service: ServiceName, plan: TimedPlan): RollbackPlan {
  return {
    service,
    lanes: plan.lanes,
    waiting_writes: plan.waitingWrites,
    open_writes: plan.openWrites,
    seconds: plan.seconds,
    would_be_lost: plan.lostWrites,
    lost: plan.lost.map(({ operationId, ...write }) => ({ ...write, operation_id: operationId })),
    lost_ways_back: plan.lostWaysBack.map(({ lane, writes, sinceMs }) => ({
      lane,
      writes,
      since: new Date(sinceMs).toISOString(),
    })),
    forgotten_by_retention: plan.forgottenWrites,
    forgetting_accepted: plan.isForgettingAccepted,
    own_items: plan.ownItems === undefined ? null : plan.ownItems.reduce((sum, { items }) => sum + items, 0),
    own_items_of: (plan.ownItems ?? [])
      .slice(0, OWN_SHOWN)
      .map(({ owner, items }) => ({ lane: laneKeyOf(service, owner), items })),
    largest_shift_seconds: plan.largestShiftMs === null ? null : Math.round(plan.largestShiftMs / 100) / 10,
  };
}

function printed(rollback: Rollback): PrintedRollback {
  const { id, service, lanes, returned, acceptsLoss, person, reason, beganAtMs, endedAtMs, waiting } =
    rollback;
  return {
    rollback: id,
    service,
    state: endedAtMs === undefined ? 'running' : 'ended',
    lanes,
    returned,
    accepts_loss: acceptsLoss,
    person,
    reason,
    began_at: new Date(beganAtMs).toISOString(),
    ended_at: endedAtMs === undefined ? null : new Date(endedAtMs).toISOString(),
    waiting: waiting.map((one) => ({ ...one })),
  };
}
