import type { FastifyInstance, FastifyReply, FastifyRequest } from 'fastify';
import type { LaneKey } from '../../domain/ids.ts';
import type { DifferenceQuery, StoredDifference } from '../../engine/compare/difference-store.ts';
import { printedComparison } from '../printed-comparison.ts';
import type { Readiness } from '../readiness.ts';
import { answered } from '../refusal.ts';
import type { Status } from '../status.ts';

export interface OperatorParts {
  /** @throws StorageError */
  status(): Promise<Status>;
  /** Prometheus text. */
  metrics(): Promise<string>;
  readiness(): Promise<Readiness>;
  /** Newest first; undefined for an unknown service. @throws StorageError */
  differences(service: string, query: DifferenceQuery): Promise<readonly StoredDifference[] | undefined>;
}

const DEFAULT_LIMIT = 50;
const MOST_DIFFERENCES = 1_000;
const PROMETHEUS_TEXT = 'text/plain; version=0.0.4; charset=utf-8';

/** `owner`: of the lane. `hours`: maximum age. `before`: an id, for the next page. */
const FILTERS = ['action', 'owner', 'path', 'class', 'hours', 'before'] as const;

interface DifferencesRoute {
  Params: { service: string };
  Querystring: Readonly<Partial<Record<(typeof FILTERS)[number] | 'limit', string | string[]>>>;
}

/** The API for an operator and a scraper: health, metrics, status and differences. */
export function registerOperatorRoutes(app: FastifyInstance, parts: OperatorParts): void {
  const routes = new OperatorRoutes(parts);
  app.get('/health/live', () => ({ status: 'live' }));
  app.get('/health/ready', (_request, reply) => answered(reply, () => routes.ready(reply)));
  app.get('/metrics', (_request, reply) => answered(reply, () => routes.metrics(reply)));
  app.get('/v1/status', (_request, reply) => answered(reply, () => parts.status()));
  app.get<DifferencesRoute>('/v1/services/:service/differences', (request, reply) =>
    answered(reply, () => routes.differences(request, reply)),
  );
}

class OperatorRoutes {
  readonly #parts: OperatorParts;

  constructor(parts: OperatorParts) {
    this.#parts = parts;
  }

  async ready(reply: FastifyReply): Promise<object> {
    const parts = await this.#parts.readiness();
    const ready = Object.values(parts).every(({ ok }) => ok);
    reply.code(ready ? 200 : 503);
    return { ready, parts };
  }

  async metrics(reply: FastifyReply): Promise<string> {
    const text = await this.#parts.metrics();
    reply.type(PROMETHEUS_TEXT);
    return text;
  }

  async differences(request: FastifyRequest<DifferencesRoute>, reply: FastifyReply): Promise<object> {
    const { service } = request.params;
    const limit = parseLimit(request.query.limit);
    if (limit === undefined) return refused(reply, 400, limitProblem(request.query.limit));
    const query = queryOf(service, request.query);
    if (query === undefined) return refused(reply, 400, FILTER_PROBLEM);
    const found = await this.#parts.differences(service, { ...query, limit });
    if (found === undefined) return refused(reply, 404, `unknown service "${service}"`);
    return { service, limit, differences: found.map(printed) };
  }
}

const ERROR_NAMES = { 400: 'invalid_request', 404: 'service_not_found' } as const;

function refused(reply: FastifyReply, status: keyof typeof ERROR_NAMES, message: string): object {
  reply.code(status);
  return { error: ERROR_NAMES[status], message };
}

function parseLimit(value: string | string[] | undefined): number | undefined {
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
  query: DifferencesRoute['Querystring'],
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

function printed({ id, operationId, comparison, atMs, ...rest }: StoredDifference): object {
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
