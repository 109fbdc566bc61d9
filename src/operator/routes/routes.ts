import type { FastifyInstance, FastifyReply } from 'fastify';
import type { LaneKey, ServiceName } from '../../domain/ids.ts';
import type { DifferenceQuery, StoredDifference } from '../../engine/compare/comparison-stores.ts';
import { type Answered, type Asked, ENDPOINTS } from '../api/endpoints.ts';
import { openApiOf } from '../api/openapi.ts';
import type { FoundDifference } from '../api/comparisons.ts';
import { printedComparison } from '../printed-comparison.ts';
import { knownService } from '../known-service.ts';
import { Refusal } from '../refusal.ts';
import type { Readiness, Status } from '../api/status.ts';
import { serve } from './serve.ts';

export interface OperatorParts {
  /** Of Crossfade. */
  readonly version: string;
  /** @throws StorageError */
  status(): Promise<Status>;
  /** Prometheus text. */
  metrics(): Promise<string>;
  readiness(): Promise<Readiness>;
  readonly services: readonly ServiceName[];
  /** Newest first. @throws StorageError */
  differences(service: ServiceName, query: DifferenceQuery): Promise<readonly StoredDifference[]>;
}

const DEFAULT_LIMIT = 50;
const MOST_DIFFERENCES = 1_000;

/** `owner`: of the lane. `hours`: maximum age. `before`: an id, for the next page. */
const FILTERS = ['action', 'owner', 'path', 'class', 'hours', 'before'] as const;

/** The API for an operator and a scraper: health, metrics, status and differences. */
export function registerOperatorRoutes(app: FastifyInstance, parts: OperatorParts): void {
  const routes = new OperatorRoutes(parts);
  serve(app, ENDPOINTS.showLiveness, () => ({ status: 'live' as const }));
  serve(app, ENDPOINTS.showReadiness, (_asked, { reply }) => routes.ready(reply));
  serve(app, ENDPOINTS.showMetrics, (_asked, { reply }) => routes.metrics(reply));
  serve(app, ENDPOINTS.showOpenApi, () => openApiOf(ENDPOINTS, parts.version));
  serve(app, ENDPOINTS.showStatus, () => parts.status());
  serve(app, ENDPOINTS.listDifferences, (asked) => routes.differences(asked));
}

class OperatorRoutes {
  readonly #parts: OperatorParts;

  constructor(parts: OperatorParts) {
    this.#parts = parts;
  }

  async ready(reply: FastifyReply): Promise<Answered<'showReadiness'>> {
    const parts = await this.#parts.readiness();
    const ready = Object.values(parts).every(({ ok }) => ok);
    reply.code(ready ? 200 : 503);
    return { ready, parts };
  }

  async metrics(reply: FastifyReply): Promise<string> {
    const text = await this.#parts.metrics();
    reply.type(ENDPOINTS.showMetrics.answer.document);
    return text;
  }

  async differences({
    params,
    query: given,
  }: Asked<'listDifferences'>): Promise<Answered<'listDifferences'>> {
    const service = knownService(params.service, this.#parts.services);
    const limit = parseLimit(given.limit);
    if (limit === undefined) throw new Refusal(400, 'invalid_request', limitProblem(given.limit));
    const query = queryOf(service, given);
    if (query === undefined) throw new Refusal(400, 'invalid_request', FILTER_PROBLEM);
    const found = await this.#parts.differences(service, { ...query, limit });
    return { service, limit, differences: found.map(printed) };
  }
}

function parseLimit(value: Asked<'listDifferences'>['query']['limit']): number | undefined {
  if (value === undefined) return DEFAULT_LIMIT;
  if (typeof value !== 'string' || !/^\d{1,4}$/.test(value)) return undefined;
  const limit = Number(value);
  return limit >= 1 && limit <= MOST_DIFFERENCES ? limit : undefined;
}

const FILTER_PROBLEM =
  'give each filter at most once; hours must be a whole number from 1 to 9999, before an id from the list';

const WHOLE: Readonly<Partial<Record<string, RegExp>>> = { hours: /^[1-9]\d{0,3}$/, before: /^\d{1,15}$/ };

/** Undefined if a filter is not valid. */
function queryOf(
  service: string,
  query: Asked<'listDifferences'>['query'],
): Omit<DifferenceQuery, 'limit'> | undefined {
  const given = FILTERS.flatMap((name) => (query[name] === undefined ? [] : [[name, query[name]] as const]));
  if (!given.every(([name, value]) => typeof value === 'string' && (WHOLE[name]?.test(value) ?? true)))
    return undefined;
  const { hours, before, owner, ...texts } = Object.fromEntries(given) as Readonly<Record<string, string>>;
  return {
    ...texts,
    ...(owner !== undefined && { lane: `${service}/${owner}` as LaneKey }),
    ...(hours !== undefined && { sinceMs: Date.now() - Number(hours) * 3_600_000 }),
    ...(before !== undefined && { before: Number(before) }),
  };
}

function limitProblem(value: unknown): string {
  return `limit must be a whole number from 1 to ${MOST_DIFFERENCES}, got ${JSON.stringify(value)}`;
}

function printed({ id, operationId, comparison, atMs, ...rest }: StoredDifference): FoundDifference {
  return {
    ...(id !== undefined && { id }),
    at: new Date(atMs).toISOString(),
    operation_id: operationId,
    service: rest.service,
    action: rest.action,
    lane: rest.lane,
    primary: rest.primary,
    ...printedComparison(comparison),
  };
}
