import type { FastifyInstance } from 'fastify';
import type { ServiceName } from '../../domain/ids.ts';
import type { ItemFinding } from '../../engine/runs/attribute.ts';
import type { Divergence } from '../../engine/runs/divergence-ports.ts';
import type { RepairCommands, RepairPlan } from '../../engine/runs/repair-commands.ts';
import type { RepairLimits } from '../../engine/ports/run.ts';
import { type Answered, type Asked, ENDPOINTS } from '../api/endpoints.ts';
import type { Divergence as PrintedDivergence, PrintedFinding } from '../api/repairs.ts';
import type { Run } from '../api/runs.ts';
import { knownService } from '../known-service.ts';
import { Refusal } from '../refusal.ts';
import { printedRun } from './run-routes.ts';
import { memberOf, numberOf, ownerIn, requiredText, responsibleOf, said } from '../run-wishes.ts';
import { serve } from './serve.ts';

export interface RepairRouteParts {
  readonly services: readonly ServiceName[];
  readonly desk: RepairCommands;
}

/** Findings of reconciliations, their repair and its undo, and lost items that wait for a decision. */
export function registerRepairRoutes(app: FastifyInstance, parts: RepairRouteParts): void {
  const routes = new RepairRoutes(parts);
  serve(app, ENDPOINTS.listDivergences, ({ params }) => routes.divergences(params));
  serve(app, ENDPOINTS.planRepair, ({ params }) => routes.plan(params));
  serve(app, ENDPOINTS.applyRepair, (asked) => routes.apply(asked));
  serve(app, ENDPOINTS.undoRepair, (asked) => routes.undo(asked));
  serve(app, ENDPOINTS.acceptLane, (asked) => routes.accept(asked));
  serve(app, ENDPOINTS.listLost, () => routes.lost());
  serve(app, ENDPOINTS.decideLost, ({ body }) => routes.decide(body));
}

class RepairRoutes {
  readonly #services: readonly ServiceName[];
  readonly #desk: RepairCommands;

  constructor({ services, desk }: RepairRouteParts) {
    this.#services = services;
    this.#desk = desk;
  }

  divergences({ run }: Asked<'listDivergences'>['params']): Promise<Answered<'listDivergences'>> {
    return said(async () => ({
      divergences: (await this.#desk.divergences(numberOf(run, 'run'))).map(printed),
    }));
  }

  plan({ run }: Asked<'planRepair'>['params']): Promise<Answered<'planRepair'>> {
    return said(async () => printedPlan(await this.#desk.plan(numberOf(run, 'run'))));
  }

  apply({ params, body }: Asked<'applyRepair'>): Promise<Run> {
    return said(async () =>
      printedRun(await this.#desk.apply(numberOf(params.run, 'run'), limitsOf(body), responsibleOf(body))),
    );
  }

  undo({ params, body }: Asked<'undoRepair'>): Promise<Answered<'undoRepair'>> {
    return said(() => this.#desk.undo(numberOf(params.run, 'run'), responsibleOf(body)));
  }

  async accept({ params, body }: Asked<'acceptLane'>): Promise<Answered<'acceptLane'>> {
    const service = knownService(params.service, this.#services);
    const owner = ownerIn(body);
    if (owner === undefined) throw new Refusal(400, 'invalid_request', 'owner is required');
    return said(async () => ({
      accepted: true as const,
      ...(await this.#desk.accept(service, owner, responsibleOf(body))),
    }));
  }

  async lost(): Promise<Answered<'listLost'>> {
    const items = await this.#desk.lost();
    return {
      items: items.map(({ service, owner, memoryId, digest, position, storedAt, shape, foundAtMs }) => ({
        service,
        owner,
        memory_id: memoryId,
        position,
        stored_at: storedAt,
        shape,
        digest,
        found_at: new Date(foundAtMs).toISOString(),
      })),
    };
  }

  async decide(body: unknown): Promise<Answered<'decideLost'>> {
    const decision = requiredText(body, 'decision');
    if (decision !== 'accept' && decision !== 'restore')
      throw new Refusal(400, 'invalid_request', 'decision must be one of accept, restore');
    const owner = ownerIn(body);
    if (owner === undefined) throw new Refusal(400, 'invalid_request', 'owner is required');
    const lane = { service: knownService(requiredText(body, 'service'), this.#services), owner };
    const by = responsibleOf(body);
    // Only a restore may mean all items of a lane. Each accepted loss is named.
    if (decision === 'restore' && memberOf(body, 'memory_id') === undefined)
      return said(() => this.#desk.restore(lane, undefined, by));
    const memoryId = requiredText(body, 'memory_id');
    return said(() =>
      decision === 'restore'
        ? this.#desk.restore(lane, memoryId, by)
        : this.#desk.giveUp({ ...lane, memoryId }, by),
    );
  }
}

function limitsOf(body: unknown): Partial<RepairLimits> {
  const items = memberOf(body, 'limit_items');
  const share = memberOf(body, 'limit_share');
  if (share !== undefined && !(typeof share === 'number' && share > 0 && share <= 1))
    throw new Refusal(400, 'invalid_request', 'limit_share must be above 0 and at most 1');
  return {
    ...(items !== undefined && { items: numberOf(items, 'limit_items') }),
    ...(typeof share === 'number' && { share }),
  };
}

function printed(found: Divergence): PrintedDivergence {
  const { id, run, service, owner, foundAtMs, findings, before, after, state, foundAgainBy = null } = found;
  return {
    id,
    run,
    service,
    owner,
    state,
    ...(foundAgainBy !== null && { found_again_by: foundAgainBy }),
    found_at: new Date(foundAtMs).toISOString(),
    findings: findings.map(printedFinding),
    before,
    after,
  };
}

function printedFinding({ memoryId, beforeFields, afterFields, ...finding }: ItemFinding): PrintedFinding {
  return {
    ...finding,
    ...(memoryId !== undefined && { memory_id: memoryId }),
    ...(beforeFields !== undefined && { before_fields: beforeFields }),
    ...(afterFields !== undefined && { after_fields: afterFields }),
  };
}

function printedPlan({
  run,
  lanes,
  findings,
  share,
  limits,
  refusal,
  untouched,
}: RepairPlan): Answered<'planRepair'> {
  return { run, findings, share, limits, refusal: refusal ?? null, untouched, lanes: lanes.map(printed) };
}
