import { fastify, type FastifyInstance } from 'fastify';
import { afterAll, beforeAll, beforeEach, describe, expect, test } from 'vitest';
import { StorageError } from '../../../src/domain/errors.ts';
import type { ServiceFlag } from '../../../src/domain/flags.ts';
import { operationId, serviceName, type LaneKey, type ServiceName } from '../../../src/domain/ids.ts';
import { defineService } from '../../../src/domain/service-definition.ts';
import { createEvents, type Events } from '../../../src/migration/events.ts';
import type { LaneCounts, StoredDifference } from '../../../src/migration/ports.ts';
import type { ServiceRuntime } from '../../../src/migration/service-runtime.ts';
import { registerOperatorRoutes, type PartReadiness } from '../../../src/operator/routes.ts';
import { createStatistics } from '../../../src/operator/statistics.ts';
import { createStatusReader, type ServiceStatus, type Status } from '../../../src/operator/status.ts';
import { createMetrics } from '../../../src/telemetry/metrics.ts';
import { freePort } from '../../support/ports.ts';

const SERVICE = serviceName('session-memory');
const LANE = 'session-memory/owner-4711' as LaneKey;
const OPERATION = operationId('0d9b0c9e-0000-7000-8000-000000000001');
const OF_OPERATION = { operationId: OPERATION, service: SERVICE, action: 'get_context' };

const definition = defineService({
  name: SERVICE,
  endpoint: { kind: 'zmq', port: 5_555 },
  dialect: { error: () => '{}' },
  actions: {
    get_context: {
      kind: 'read',
      owner: () => undefined,
      onLegacy: () => 'nothing',
      legacyOnly: 'it lives in the process',
    },
    stats: { kind: 'passthrough', reason: 'about the process' },
  },
  lanes: {
    sessionPrefix: '',
    retention: {},
    owners: () => Promise.resolve([]),
    readLegacy: () => Promise.resolve({ exists: false, items: [] }),
    createPayload: () => ({}),
    fieldsOf: () => undefined,
  },
  probe: '{}',
  unmapped: [{ what: 'embeddings', reason: 'made anew' }],
});

const RUNTIME: ServiceRuntime = {
  name: SERVICE,
  definition,
  context: { timeZone: 'UTC' },
  legacy: {
    send: () => Promise.reject(new Error('not called')),
    load: () => ({ inFlight: 0, queued: 0, breaker: 'closed' }),
  },
  access: {},
  deadlineMs: 4_500,
};

const COUNTS: LaneCounts = { lanes: 10, seeded: 7, dirty: 2, copying: 1, stopped: 1, deadLetters: 3 };

/** What the tests change between requests. */
interface World {
  percentages: Partial<Record<ServiceFlag, number>>;
  isKilled: boolean;
  coverage: number;
  isDatabaseAway: boolean;
  readiness: Record<string, PartReadiness>;
}

let world: World;
let events: Events;
let app: FastifyInstance;
let origin: string;
const limits: number[] = [];

function counts(): Promise<LaneCounts> {
  const away = new StorageError('the database does not answer', { effect: 'not_applied' });
  return world.isDatabaseAway ? Promise.reject(away) : Promise.resolve(COUNTS);
}

const difference: StoredDifference = {
  ...OF_OPERATION,
  lane: LANE,
  primary: 'legacy',
  comparison: {
    verdict: 'mismatch',
    suppressed: 2,
    differences: [
      { path: 'context[].content', class: 'value', legacy: 'string(3)#a', orchestrator: 'string(4)#b' },
    ],
  },
  atMs: Date.UTC(2026, 0, 2),
};

function statusReader() {
  const statistics = createStatistics([SERVICE]);
  events.subscribe(statistics.listener);
  return createStatusReader({
    statistics,
    flags: {
      isEnabled: () => ({ enabled: false, reason: 'off' }),
      killSwitch: () => world.isKilled,
      percentage: (flag) => world.percentages[flag] ?? 0,
      version: () => 1,
      onChange: () => undefined,
      describe: () => ({ source: 'file', fresh: false, lastError: 'unleash answered 401' }),
    },
    journal: { counts },
    migration: {
      backlog: () => ({ deliveries: 4, copies: 5, shadowReads: 6 }),
      coverageOf: () => world.coverage,
    },
    services: new Map([[SERVICE, RUNTIME]]),
    clock: { now: () => performance.now(), wallMs: () => Date.now(), sleep: () => Promise.resolve() },
    facts: { version: '0.1.0', journal: 'pglite', encrypted: true },
    interlocks: new Map([[SERVICE, 'enforce']]),
  });
}

beforeAll(async () => {
  const port = await freePort();
  app = fastify();
  events = createEvents();
  const status = statusReader();
  const metrics = createMetrics({
    gauges: async () => ({
      pendingDeliveries: 4,
      copiesWaiting: 5,
      shadowReadsWaiting: 6,
      lanes: new Map([[SERVICE, await counts()]]),
    }),
  });
  events.subscribe(metrics.listener);
  registerOperatorRoutes(app, {
    status: () => status.read(),
    metrics: () => metrics.render(),
    readiness: () => Promise.resolve(world.readiness),
    differences: async (service, limit) => {
      limits.push(limit);
      return service === SERVICE ? [difference] : undefined;
    },
  });
  app.addHook('onClose', () => metrics.stop());
  origin = await app.listen({ port, host: '127.0.0.1' });
});

afterAll(() => app.close());

beforeEach(() => {
  limits.length = 0;
  world = {
    percentages: {},
    isKilled: false,
    coverage: 0,
    isDatabaseAway: false,
    readiness: { journal: { ok: true }, flags: { ok: true } },
  };
});

async function ask(path: string): Promise<{ status: number; type: string | null; body: string }> {
  const response = await fetch(`${origin}${path}`);
  return {
    status: response.status,
    type: response.headers.get('content-type'),
    body: await response.text(),
  };
}

async function status(): Promise<Status> {
  return JSON.parse((await ask('/v1/status')).body) as Status;
}

async function service(): Promise<ServiceStatus> {
  const [found] = (await status()).services;
  if (found === undefined) throw new Error('the status shows no service');
  return found;
}

describe('health', () => {
  test('a live process says so', async () => {
    const answer = await ask('/health/live');
    expect(answer.status).toBe(200);
    expect(JSON.parse(answer.body)).toEqual({ status: 'live' });
  });

  test('ready while every part is', async () => {
    const answer = await ask('/health/ready');
    expect(answer.status).toBe(200);
    expect(JSON.parse(answer.body)).toEqual({
      ready: true,
      parts: { journal: { ok: true }, flags: { ok: true } },
    });
  });

  test('one part that cannot work makes it unready, with the reason', async () => {
    world.readiness = { journal: { ok: false, reason: 'no connection' }, flags: { ok: true } };
    const answer = await ask('/health/ready');
    expect(answer.status).toBe(503);
    expect(JSON.parse(answer.body)).toEqual({ ready: false, parts: world.readiness });
  });
});

describe('GET /v1/status', () => {
  test('shows the proxy, the backlog and the lanes', async () => {
    const { proxy, backlog, services } = await status();
    expect(proxy).toMatchObject({
      version: '0.1.0',
      journal: 'pglite',
      encrypted: true,
      flags: { source: 'file', fresh: false, last_error: 'unleash answered 401' },
    });
    expect(proxy.memory_rss_mb).toBeGreaterThan(10);
    expect(Math.abs(Date.parse(proxy.started_at) - Date.now())).toBeLessThan(60_000);
    expect(backlog).toEqual({ deliveries: 4, copies: 5, shadow_reads: 6 });
    expect(services[0]).toMatchObject({
      service: SERVICE,
      interlocks: 'enforce',
      lanes: { total: 10, seeded: 7, dirty: 2, copying: 1, stopped: 1 },
      dead_letters: 3,
      pending: null,
      legacy_only: [{ action: 'get_context', reason: 'it lives in the process' }],
      passthrough: [{ action: 'stats', reason: 'about the process' }],
      unmapped: [{ what: 'embeddings', reason: 'made anew' }],
    });
  });

  test('before anything was compared or answered, a rate and a quantile are null and not 0', async () => {
    const { mismatch_rate, latency_ms } = await service();
    expect(mismatch_rate).toBeNull();
    expect(latency_ms.orchestrator).toEqual({ p50: null, p95: null, p99: null, count: 0 });
  });

  test.each<[string, Partial<World>, ServiceFlag, { in_effect: number; reason: string }]>([
    ['nothing asked', {}, 'dual-write', { in_effect: 0, reason: 'off' }],
    [
      'asked, not begun',
      { percentages: { 'dual-write': 100 } },
      'dual-write',
      { in_effect: 0, reason: 'beginning' },
    ],
    [
      'begun',
      { percentages: { 'dual-write': 100 }, coverage: 2 },
      'dual-write',
      { in_effect: 100, reason: 'on' },
    ],
    ['not ended yet', { coverage: 2 }, 'dual-write', { in_effect: 100, reason: 'ending' }],
    [
      'not covered',
      { percentages: { 'shadow-read': 30 } },
      'shadow-read',
      { in_effect: 0, reason: 'not_covered' },
    ],
    [
      'covered',
      { percentages: { 'shadow-read': 30 }, coverage: 2 },
      'shadow-read',
      { in_effect: 30, reason: 'on' },
    ],
    [
      'reads moved',
      { percentages: { 'read-cutover': 20 }, coverage: 2 },
      'read-cutover',
      { in_effect: 20, reason: 'on' },
    ],
    [
      'killed',
      { percentages: { 'read-cutover': 20 }, coverage: 2, isKilled: true },
      'read-cutover',
      { in_effect: 0, reason: 'kill_switch' },
    ],
    [
      'killed spares shadow reads',
      { percentages: { 'shadow-read': 30 }, coverage: 2, isKilled: true },
      'shadow-read',
      { in_effect: 30, reason: 'on' },
    ],
    [
      'not built',
      { percentages: { 'write-cutover': 50 }, coverage: 2 },
      'write-cutover',
      { in_effect: 0, reason: 'not_available' },
    ],
    [
      'not built',
      { percentages: { 'legacy-read-only': 100 }, coverage: 2 },
      'legacy-read-only',
      { in_effect: 0, reason: 'not_available' },
    ],
  ])('%s: %j shows %s as %j', async (_name, changes, flag, expected) => {
    Object.assign(world, changes);
    const { flags } = await service();
    expect(flags[flag]).toEqual({ asked: changes.percentages?.[flag] ?? 0, ...expected });
  });

  test('the stage is what the flags ask for', async () => {
    world.percentages = { 'dual-write': 100, 'shadow-read': 10 };
    expect((await service()).stage).toBe('shadow_read');
  });

  test('a database that is away is said, and not shown as zeros', async () => {
    world.isDatabaseAway = true;
    const answer = await ask('/v1/status');
    expect(answer.status).toBe(503);
    expect(JSON.parse(answer.body)).toEqual({
      error: 'storage_error',
      message: 'the database does not answer',
    });
  });
});

describe('what events say', () => {
  beforeAll(() => {
    const { emit } = events;
    for (let ms = 1; ms <= 1_000; ms += 1) {
      emit('backend:called', {
        ...OF_OPERATION,
        backend: 'legacy',
        purpose: 'live',
        startedAtMs: 0,
        durationMs: ms,
        result: 'answered',
      });
    }
    emit('backend:called', {
      ...OF_OPERATION,
      backend: 'legacy',
      purpose: 'probe',
      startedAtMs: 0,
      durationMs: 9_999,
      result: 'answered',
    });
    emit('backend:called', {
      ...OF_OPERATION,
      backend: 'legacy',
      purpose: 'live',
      startedAtMs: 0,
      durationMs: 4_500,
      result: 'timeout',
    });
    emit('operation:replied', {
      ...OF_OPERATION,
      kind: 'read',
      backend: 'legacy',
      status: 'answered',
      durationMs: 5.5,
      primaryMs: 5,
    });
    emit('operation:replied', {
      ...OF_OPERATION,
      kind: 'read',
      status: 'timeout',
      durationMs: 4_500,
      primaryMs: 0,
    });
    emit('operation:refused', { service: SERVICE, problem: 'lone_surrogate' });
    emit('read:fell_back', { ...OF_OPERATION, reason: 'behind' });
    emit('shadow:dropped', { ...OF_OPERATION, reason: 'queue_full' });
    for (const outcome of ['applied', 'applied', 'unknown'] as const) {
      emit('write:answered', { ...OF_OPERATION, lane: LANE, sequence: 1, outcome });
    }
    emit('write:journaled', { ...OF_OPERATION, lane: LANE, sequence: 1, durationMs: 2 });
    emit('delivery:applied', { ...OF_OPERATION, lane: LANE, sequence: 1, result: 'applied', lagMs: 40 });
    emit('delivery:dead_letter', {
      ...OF_OPERATION,
      lane: LANE,
      sequence: 2,
      code: 'validation_error',
      reason: 'x',
    });
    emit('lane:copied', {
      service: SERVICE,
      lane: LANE,
      items: 9,
      written: 7,
      deleted: 1,
      forgotten: 3,
      durationMs: 1,
      heldMs: 1,
    });
    emit('lane:stopped', { service: SERVICE, lane: LANE, reason: 'lost_items', lost: 2 });
    emit('coverage:began', { service: SERVICE, number: 8 });
    const compared = { ...OF_OPERATION, lane: LANE, primary: 'legacy', durationMs: 3 } as const;
    for (let time = 0; time < 3; time += 1) {
      emit('shadow:compared', {
        ...compared,
        comparison: { verdict: 'match', differences: [], suppressed: 0 },
      });
    }
    emit('shadow:compared', { ...compared, comparison: difference.comparison });
    emit('shadow:compared', {
      ...compared,
      comparison: { verdict: 'not_comparable', differences: [], suppressed: 0, reason: 'racy' },
    });
  });

  test('is in the status', async () => {
    expect(await service()).toMatchObject({
      comparisons: { match: 3, mismatch: 1, not_comparable: 1 },
      not_comparable_by: { racy: 1 },
      mismatch_rate: 0.25,
      reads_by: { legacy: 1, orchestrator: 0 },
      writes: { applied: 2, refused: 0, unknown: 1, not_applied: 0 },
      fallbacks: { behind: 1 },
      shadow_dropped: { queue_full: 1 },
      bad_input: { lone_surrogate: 1 },
      forgotten: 3,
      lost: 2,
      copied_lanes: 1,
      added_ms: { count: 1 },
    });
  });

  test('quantiles of 1 to 1000 ms are within 10 %, and probes and timeouts are not in them', async () => {
    const { legacy } = (await service()).latency_ms;
    expect(legacy.count).toBe(1_000);
    const isWithin = (value: number | null, exact: number): boolean =>
      value !== null && Math.abs(value - exact) <= exact * 0.1;
    expect(isWithin(legacy.p50, 500)).toBe(true);
    expect(isWithin(legacy.p95, 950)).toBe(true);
    expect(isWithin(legacy.p99, 990)).toBe(true);
    expect(isWithin(legacy.p50, 600), 'the check can fail').toBe(false);
  });

  test.each([
    'crossfade_operations_total{service="session-memory",action="get_context",kind="read",status="answered"} 1',
    'crossfade_operations_total{service="session-memory",action="get_context",kind="read",status="timeout"} 1',
    'crossfade_operation_duration_seconds_count{service="session-memory",action="get_context",kind="read"} 2',
    'crossfade_added_duration_seconds_bucket{service="session-memory",kind="read",le="0.00025"} 0',
    'crossfade_added_duration_seconds_bucket{service="session-memory",kind="read",le="0.0005"} 1',
    'crossfade_backend_calls_total{service="session-memory",backend="legacy",purpose="live",result="timeout"} 1',
    'crossfade_journal_commit_duration_seconds_sum{service="session-memory"} 0.002',
    'crossfade_writes_total{service="session-memory",outcome="applied"} 2',
    'crossfade_deliveries_total{service="session-memory",result="applied"} 1',
    'crossfade_delivery_lag_seconds_sum{service="session-memory"} 0.04',
    'crossfade_dead_letters_total{service="session-memory",code="validation_error"} 1',
    'crossfade_lanes_copied_total{service="session-memory"} 1',
    'crossfade_items_written_total{service="session-memory"} 7',
    'crossfade_items_forgotten_total{service="session-memory"} 3',
    'crossfade_items_lost_total{service="session-memory"} 2',
    'crossfade_comparisons_total{service="session-memory",action="get_context",verdict="match"} 3',
    'crossfade_differences_total{service="session-memory",action="get_context",class="value"} 1',
    'crossfade_not_comparable_total{service="session-memory",reason="racy"} 1',
    'crossfade_shadow_reads_dropped_total{service="session-memory",reason="queue_full"} 1',
    'crossfade_reads_fell_back_total{service="session-memory",reason="behind"} 1',
    'crossfade_bad_input_total{service="session-memory",problem="lone_surrogate"} 1',
    'crossfade_coverage_number{service="session-memory"} 8',
    'crossfade_pending_deliveries 4',
    'crossfade_copies_waiting 5',
    'crossfade_shadow_reads_waiting 6',
    'crossfade_lanes{service="session-memory",condition="clean"} 6',
    'crossfade_lanes{service="session-memory",condition="dirty"} 2',
    'crossfade_seeded_lanes{service="session-memory"} 7',
  ])('is in the metrics: %s', async (line) => {
    const { status: code, type, body } = await ask('/metrics');
    expect(code).toBe(200);
    expect(type).toContain('text/plain');
    expect(body.split('\n')).toContain(line);
  });

  test('scraping twice counts nothing twice', async () => {
    const [first, second] = [(await ask('/metrics')).body, (await ask('/metrics')).body];
    const counters = (text: string): string[] => text.split('\n').filter((line) => line.includes('_total'));
    expect(counters(first).length).toBeGreaterThan(15);
    expect(counters(second)).toEqual(counters(first));
  });

  test('no metric names an owner, and nothing of the machine is published', async () => {
    const { body } = await ask('/metrics');
    expect(body).not.toContain('owner-4711');
    expect(body).not.toContain(OPERATION);
    expect(body).not.toContain('target_info');
    expect(body).toContain('session-memory');
  });

  test('a database that is away leaves the counters to be seen', async () => {
    world.isDatabaseAway = true;
    const { status: code, body } = await ask('/metrics');
    expect(code).toBe(200);
    expect(body).toContain('crossfade_operations_total');
    expect(body).toContain('crossfade_resident_memory_bytes');
    expect(body).not.toContain('crossfade_pending_deliveries 4');
  });
});

describe('GET /v1/services/:service/differences', () => {
  test('shows the newest, 50 unless told', async () => {
    const answer = await ask(`/v1/services/${SERVICE}/differences`);
    expect(answer.status).toBe(200);
    expect(JSON.parse(answer.body)).toEqual({
      service: SERVICE,
      limit: 50,
      differences: [
        {
          at: '2026-01-02T00:00:00.000Z',
          operation_id: OPERATION,
          service: SERVICE,
          action: 'get_context',
          lane: LANE,
          primary: 'legacy',
          verdict: 'mismatch',
          differences: difference.comparison.differences,
          suppressed: 2,
        },
      ],
    });
    expect(limits).toEqual([50]);
  });

  test.each(['1', '1000'])('takes limit=%s', async (limit) => {
    expect((await ask(`/v1/services/${SERVICE}/differences?limit=${limit}`)).status).toBe(200);
    expect(limits).toEqual([Number(limit)]);
  });

  test.each(['0', '1001', '-1', 'abc', '', '1.5', '1&limit=2'])('refuses limit=%s', async (limit) => {
    const answer = await ask(`/v1/services/${SERVICE}/differences?limit=${limit}`);
    expect(answer.status).toBe(400);
    expect(JSON.parse(answer.body)).toMatchObject({
      error: 'invalid_request',
      message: expect.stringMatching(/^limit must be a whole number from 1 to 1000, got /) as string,
    });
    expect(limits).toEqual([]);
  });

  test('says which service it does not know', async () => {
    const answer = await ask('/v1/services/nobody/differences');
    expect(answer.status).toBe(404);
    expect(JSON.parse(answer.body)).toEqual({
      error: 'service_not_found',
      message: 'no service is called "nobody"',
    });
  });
});

test('events of a service nobody declared are ignored', () => {
  const statistics = createStatistics([]);
  const unknown: ServiceName = serviceName('unknown');
  statistics.listener('operation:refused', { service: unknown, problem: 'empty' });
  expect(statistics.of(unknown).badInput).toEqual({});
});
