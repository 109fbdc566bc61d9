import type { FastifyInstance, FastifyRequest } from 'fastify';
import type { ServiceName } from '../../domain/ids.ts';
import type { ItemFinding } from '../../engine/runs/attribute.ts';
import type { Divergence } from '../../engine/runs/divergence-ports.ts';
import type { RepairDesk, RepairPlan } from '../../engine/runs/repair-desk.ts';
import type { RepairLimits } from '../../engine/ports/run.ts';
import { knownService } from '../known-service.ts';
import { answered, Refusal } from '../refusal.ts';
import { printedRun } from './run-routes.ts';
import { memberOf, numberOf, ownerIn, requiredText, responsibleOf, said } from '../run-wishes.ts';

interface OfRun {
  Params: { run: string };
}

interface OfService {
  Params: { service: string };
}

export interface RepairRouteParts {
  readonly services: readonly ServiceName[];
  readonly desk: RepairDesk;
}

/** Findings of reconciliations, their repair and its undo, and lost items that wait for a decision. */
export function registerRepairRoutes(app: FastifyInstance, parts: RepairRouteParts): void {
  const routes = new RepairRoutes(parts);
  app.get<OfRun>('/v1/runs/:run/divergences', (request, reply) =>
    answered(reply, () => routes.divergences(request.params)),
  );
  app.get<OfRun>('/v1/runs/:run/repair-plan', (request, reply) =>
    answered(reply, () => routes.plan(request.params)),
  );
  app.post<OfRun>('/v1/runs/:run/repair', (request, reply) => answered(reply, () => routes.apply(request)));
  app.post<OfRun>('/v1/runs/:run/undo', (request, reply) => answered(reply, () => routes.undo(request)));
  app.post<OfService>('/v1/services/:service/lanes/accept', (request, reply) =>
    answered(reply, () => routes.accept(request)),
  );
  app.get('/v1/lost', (_request, reply) => answered(reply, () => routes.lost()));
  app.post('/v1/lost', (request, reply) => answered(reply, () => routes.decide(request)));
}

class RepairRoutes {
  readonly #services: readonly ServiceName[];
  readonly #desk: RepairDesk;

  constructor({ services, desk }: RepairRouteParts) {
    this.#services = services;
    this.#desk = desk;
  }

  divergences({ run }: OfRun['Params']): Promise<object> {
    return said(async () => ({
      divergences: (await this.#desk.divergences(numberOf(run, 'run'))).map(printed),
    }));
  }

  plan({ run }: OfRun['Params']): Promise<object> {
    return said(async () => printedPlan(await this.#desk.plan(numberOf(run, 'run'))));
  }

  apply({ params, body }: FastifyRequest<OfRun>): Promise<object> {
    return said(async () =>
      printedRun(await this.#desk.apply(numberOf(params.run, 'run'), limitsOf(body), responsibleOf(body))),
    );
  }

  undo({ params, body }: FastifyRequest<OfRun>): Promise<object> {
    return said(() => this.#desk.undo(numberOf(params.run, 'run'), responsibleOf(body)));
  }

  accept({ params, body }: FastifyRequest<OfService>): Promise<object> {
    const service = knownService(params.service, this.#services);
    const owner = ownerIn(body);
    if (owner === undefined) throw new Refusal(400, 'invalid_request', 'owner is required');
    return said(async () => ({
      accepted: true,
      ...(await this.#desk.accept(service, owner, responsibleOf(body))),
    }));
  }

  async lost(): Promise<object> {
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

  decide({ body }: FastifyRequest): Promise<object> {
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

function printed(found: Divergence): object {
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

function printedFinding({ memoryId, beforeFields, afterFields, ...finding }: ItemFinding): object {
  return {
    ...finding,
    ...(memoryId !== undefined && { memory_id: memoryId }),
    ...(beforeFields !== undefined && { before_fields: beforeFields }),
    ...(afterFields !== undefined && { after_fields: afterFields }),
  };
}

function printedPlan({ run, lanes, findings, share, limits, refusal, untouched }: RepairPlan): object {
  return { run, findings, share, limits, refusal: refusal ?? null, untouched, lanes: lanes.map(printed) };
}
