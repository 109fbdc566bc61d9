import type { FastifyInstance } from 'fastify';
import { SERVICE_FLAGS } from '../../domain/flags.ts';
import type { ServiceName } from '../../domain/ids.ts';
import type { InterlockFacts } from '../../engine/guard/interlock-facts.ts';
import type { Judged } from '../../engine/guard/interlock-keeper.ts';
import { ENDPOINTS } from '../api/endpoints.ts';
import type { RaiseCheck } from '../api/history.ts';
import { raiseCriteria } from '../report/criteria.ts';
import { knownService } from '../known-service.ts';
import { Refusal } from '../refusal.ts';
import { operationsOf, type HistoryRouteParts } from './history-routes.ts';
import { serve } from './serve.ts';

export interface RaiseRouteParts extends HistoryRouteParts {
  /** Undefined before the first judgement. */
  judged(service: ServiceName): Judged | undefined;
  /** Probes both backends, end to end. */
  probe(service: ServiceName): Promise<InterlockFacts['answers']>;
}

const MINUTE_MS = 60_000;
const HOUR_SECONDS = 3_600;

/** The criteria for raising a flag, and what the change would affect. */
export function registerRaiseRoutes(app: FastifyInstance, parts: RaiseRouteParts): void {
  serve(app, ENDPOINTS.checkRaise, ({ params }) =>
    raiseCheck(knownService(params.service, parts.services.keys()), params.flag, parts),
  );
}

async function raiseCheck(service: ServiceName, name: string, parts: RaiseRouteParts): Promise<RaiseCheck> {
  const flag = SERVICE_FLAGS.find((one) => one === name);
  if (flag === undefined)
    throw new Refusal(404, 'flag_not_found', `unknown flag "${name}": use ${SERVICE_FLAGS.join(', ')}`);
  const judged = parts.judged(service);
  if (judged === undefined)
    throw new Refusal(
      503,
      'not_ready',
      `the flags of ${service} have not been judged yet: retry in a few seconds`,
    );
  // Only dual-write needs probes, because a probe is a request to legacy.
  const answers = flag === 'dual-write' ? await parts.probe(service) : judged.facts.answers;
  const fromMs = Math.floor(parts.nowMs() / MINUTE_MS) * MINUTE_MS - HOUR_SECONDS * 1_000;
  const summed = await parts.summed(service, { fromMs, stepSeconds: 2 * HOUR_SECONDS });
  const actions = parts.services.get(service)?.definition.actions ?? {};
  return {
    service,
    flag,
    mode: judged.facts.mode,
    criteria: raiseCriteria(flag, { judged, answers }),
    lanes: judged.facts.lanes.total,
    reads_last_hour: operationsOf(summed, actions, 'read'),
  };
}
