import type { FastifyInstance } from 'fastify';
import type { ServiceName } from '../../domain/ids.ts';
import type { ServiceDefinition } from '../../domain/service-definition.ts';
import { addCounts, addedQuantile, type GuardCounts, noCounts } from '../../engine/guard/guard-counts.ts';
import { ENDPOINTS } from '../api/endpoints.ts';
import type { History } from '../api/history.ts';
import { knownService } from '../known-service.ts';
import { Refusal } from '../refusal.ts';
import type { LiveBook } from '../live-book.ts';
import { serve } from './serve.ts';

interface Summed {
  readonly action: string;
  readonly step: number;
  readonly counts: GuardCounts;
}

export interface HistoryRouteParts {
  readonly services: ReadonlyMap<ServiceName, { readonly definition: Pick<ServiceDefinition, 'actions'> }>;
  /** Over all replicas, from the journal. @throws StorageError */
  summed(
    service: ServiceName,
    of: { readonly fromMs: number; readonly stepSeconds: number },
  ): Promise<readonly Summed[]>;
  readonly nowMs: () => number;
}

const HOUR_SECONDS = 3_600;
/** Windows in hours, with the length of a step. */
const STEP_SECONDS: Readonly<Record<string, number>> = { 1: 60, 24: 600 };

/** The history of a service in the last hour or day. */
export function registerHistoryRoutes(app: FastifyInstance, parts: HistoryRouteParts): void {
  serve(app, ENDPOINTS.showHistory, ({ params, query }) =>
    historyOf(knownService(params.service, parts.services.keys()), query.hours, parts),
  );
}

async function historyOf(
  service: ServiceName,
  hours: string | readonly string[] | undefined,
  parts: HistoryRouteParts,
): Promise<History> {
  const asked = typeof hours === 'string' ? hours : '1';
  const stepSeconds = STEP_SECONDS[asked];
  if (stepSeconds === undefined)
    throw new Refusal(400, 'invalid_request', `hours must be 1 or 24, got ${JSON.stringify(asked)}`);
  const stepMs = stepSeconds * 1_000;
  const fromMs = Math.ceil((parts.nowMs() - Number(asked) * HOUR_SECONDS * 1_000) / stepMs) * stepMs;
  const rows = Map.groupBy(await parts.summed(service, { fromMs, stepSeconds }), ({ step }) => step);
  const actions = parts.services.get(service)?.definition.actions ?? {};
  const samples = [...rows].map(([step, summed]) => ({
    at: new Date(fromMs + step * stepMs).toISOString(),
    ...sampleOf(summed, actions),
  }));
  return { service, step_seconds: stepSeconds, samples };
}

function sampleOf(
  summed: readonly Summed[],
  actions: ServiceDefinition['actions'],
): Omit<History['samples'][number], 'at'> {
  const all = noCounts();
  for (const { counts } of summed) addCounts(all, counts);
  const orchestrator = all.orchestratorReads - all.orchestratorFailures;
  const added = addedQuantile(all, 0.95);
  return {
    reads: { legacy: Math.max(0, operationsOf(summed, actions, 'read') - orchestrator), orchestrator },
    writes: operationsOf(summed, actions, 'write'),
    match: all.comparable - all.mismatches,
    mismatch: all.mismatches,
    added_p95_ms: added !== null && Number.isFinite(added) ? added : null,
  };
}

/** Requests of agents. */
export function operationsOf(
  summed: readonly Summed[],
  actions: ServiceDefinition['actions'],
  kind: 'read' | 'write',
): number {
  return summed
    .filter(({ action }) => actions[action]?.kind === kind)
    .reduce((sum, { counts }) => sum + counts.operations, 0);
}

interface LiveRouteParts {
  readonly services: readonly ServiceName[];
  readonly book: Pick<LiveBook, 'samplesOf'>;
}

/** Samples of a service in the last 15 minutes, one per two seconds. */
export function registerLiveRoutes(app: FastifyInstance, { services, book }: LiveRouteParts): void {
  serve(app, ENDPOINTS.showLive, ({ params }) => {
    const service = knownService(params.service, services);
    return { service, samples: book.samplesOf(service) ?? [] };
  });
}
