import type { FastifyInstance } from 'fastify';
import { laneKeyOf, parseOwner, type LaneKey, type ServiceName } from '../../domain/ids.ts';
import type { Migration } from '../../engine/migration.ts';
import type { RestoredLane } from '../../engine/ports/restored-ports.ts';
import { type Answered, type Asked, ENDPOINTS } from '../api/endpoints.ts';
import type { RestoredLane as PrintedLane } from '../api/restored.ts';
import { knownService } from '../known-service.ts';
import { Refusal } from '../refusal.ts';
import { serve } from './serve.ts';

export interface RestoredRouteParts {
  readonly services: readonly ServiceName[];
  readonly restored: NonNullable<Migration['restored']>;
  readonly nowMs: () => number;
}

const DEFAULT_LIMIT = 50;

/** Lanes that a restored database has only in part, and the decisions about them. */
export function registerRestoredRoutes(app: FastifyInstance, parts: RestoredRouteParts): void {
  const routes = new RestoredRoutes(parts);
  serve(app, ENDPOINTS.listRestored, ({ query }) => routes.list(query));
  serve(app, ENDPOINTS.acceptRestored, ({ body }) => routes.accept(body));
  serve(app, ENDPOINTS.recordBackup, ({ body }) => routes.backedUp(body));
}

class RestoredRoutes {
  readonly #parts: RestoredRouteParts;

  constructor(parts: RestoredRouteParts) {
    this.#parts = parts;
  }

  async list({
    service,
    state = 'open',
    limit,
  }: Asked<'listRestored'>['query']): Promise<Answered<'listRestored'>> {
    const { restored, services } = this.#parts;
    const lanes = await restored.list({
      limit: Number(limit ?? DEFAULT_LIMIT),
      ...(service !== undefined && { service: knownService(service, services) }),
      ...(state !== 'all' && { isOpen: state === 'open' }),
    });
    return { lanes: lanes.map(printed) };
  }

  async accept({
    service: name,
    owners,
    person,
    reason,
  }: Asked<'acceptRestored'>['body']): Promise<Answered<'acceptRestored'>> {
    const { restored, services } = this.#parts;
    const service = knownService(name, services);
    const lanes = owners === undefined ? 'all' : owners.map((owner) => laneOf(service, owner));
    const by = { person: person.trim(), reason: reason.trim() };
    const accepted = await restored.accept(service, lanes, by);
    const waiting = (await restored.counts()).get(service) ?? 0;
    if (accepted.length === 0)
      throw new Refusal(
        409,
        waiting === 0 ? 'nothing_waits' : 'too_early',
        waiting === 0
          ? `no lane of ${service} waits for a decision`
          : `none of these lanes can be accepted yet: they are not listed, or the orchestrator is still being given their writes (crossfade restored list --service ${service})`,
      );
    return { accepted: accepted.length, waiting };
  }

  async backedUp({
    until,
    person,
    reason,
  }: Asked<'recordBackup'>['body']): Promise<Answered<'recordBackup'>> {
    const { restored, nowMs } = this.#parts;
    const untilMs = Date.parse(until);
    if (Number.isNaN(untilMs) || untilMs > nowMs())
      throw new Refusal(
        400,
        'invalid_request',
        `until must be a past time such as 2026-01-31T12:00:00Z, got ${JSON.stringify(until)}`,
      );
    await restored.backedUp(untilMs, { person: person.trim(), reason: reason.trim() });
    return { until: new Date(untilMs).toISOString() };
  }
}

function laneOf(service: ServiceName, text: string): LaneKey {
  const owner = parseOwner(text);
  if (owner === undefined)
    throw new Refusal(
      400,
      'invalid_request',
      `invalid owner ${JSON.stringify(text)}: see crossfade restored list`,
    );
  return laneKeyOf(service, owner);
}

function printed(lane: RestoredLane): PrintedLane {
  const { epoch, generation, sequence } = lane.journal;
  const held = lane.orchestrator;
  return {
    lane: lane.lane,
    service: lane.service,
    older: lane.older,
    journal: { epoch, generation, sequence },
    orchestrator: { epoch: held.epoch, generation: held.generation, sequence: held.sequence },
    found_at: new Date(lane.foundAtMs).toISOString(),
    state: stateOf(lane),
    redelivered: lane.redelivered ?? null,
    decided_at: lane.decidedAtMs === undefined ? null : new Date(lane.decidedAtMs).toISOString(),
    decided_by: lane.decidedBy?.person ?? null,
    decided_reason: lane.decidedBy?.reason ?? null,
  };
}

function stateOf({ decidedAtMs, older, redelivered, isIncomplete }: RestoredLane): PrintedLane['state'] {
  if (decidedAtMs !== undefined) return 'accepted';
  if (older === 'journal' || redelivered === undefined) return 'waits';
  return isIncomplete ? 'incomplete' : 'redelivered';
}
