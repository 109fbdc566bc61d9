import type { FastifyInstance } from 'fastify';
import type { ServiceName } from '../../domain/ids.ts';
import type { ServiceDefinition } from '../../domain/service-definition.ts';
import { addCounts, addedQuantile, type GuardCounts, noCounts } from '../../engine/guard/guard-counts.ts';
import { knownService } from '../known-service.ts';
import { answered, Refusal } from '../refusal.ts';
import type { LiveBook } from '../live-book.ts';

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

/** What happened within one step, over all replicas. */
interface HistorySample {
  /** ISO-8601 UTC, when the step began. */
  readonly at: string;
  readonly reads: { readonly legacy: number; readonly orchestrator: number };
  readonly writes: number;
  readonly match: number;
  readonly mismatch: number;
  /** Upper end of its bucket, milliseconds; null without a measurement. */
  readonly added_p95_ms: number | null;
}

/** The answer of `GET /v1/services/<service>/history?hours=`. */
export interface History {
  readonly service: string;
  readonly step_seconds: number;
  readonly samples: readonly HistorySample[];
}

const HOUR_SECONDS = 3_600;
/** Windows in hours, with the length of a step. */
const STEP_SECONDS: Readonly<Record<string, number>> = { 1: 60, 24: 600 };

/** The history of a service in the last hour or day. */
export function registerHistoryRoutes(app: FastifyInstance, parts: HistoryRouteParts): void {
  app.get<{ Params: { service: string }; Querystring: { hours?: string | string[] } }>(
    '/v1/services/:service/history',
    ({ params, query }, reply) =>
      answered(reply, () =>
        historyOf(knownService(params.service, parts.services.keys()), query.hours, parts),
      ),
  );
}

async function historyOf(
  service: ServiceName,
  hours: string | string[] | undefined,
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
): Omit<HistorySample, 'at'> {
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
  app.get<{ Params: { service: string } }>('/v1/services/:service/live', ({ params }, reply) =>
    answered(reply, async () => {
      const service = knownService(params.service, services);
      return { service, samples: book.samplesOf(service) ?? [] };
    }),
  );
}
