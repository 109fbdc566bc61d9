import { createServer, type Server } from 'node:http';
import pino from 'pino';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { createOrchestrator } from '../../../src/orchestrator/orchestrator.ts';
import { COUNTERS, GAUGES, HISTOGRAMS } from '../../../src/orchestrator/observability/metric-definitions.ts';
import { eventually } from '../../support/eventually.ts';
import {
  connectOrchestrator,
  type Differing,
  type OrchestratorClient,
  settingsWith,
} from '../../support/orchestrator.ts';
import { freePort, freePorts } from '../../support/ports.ts';
import { startPostgres, type TestPostgres } from '../../support/postgres.ts';
import { lockTable } from '../../support/table-lock.ts';

let postgres: TestPostgres;
beforeAll(async () => {
  postgres = await startPostgres();
});
afterAll(() => postgres.stop());

interface Watched {
  readonly client: OrchestratorClient;
  readonly httpPort: number;
  readonly databaseUrl: string;
  /** Everything it logged. */
  log(): string;
  /** The scrape, each series with its value. */
  series(): Promise<Map<string, number>>;
  stop(): Promise<void>;
}

async function start(settings: Differing = {}): Promise<Watched> {
  const [port = 0, httpPort = 0] = await freePorts(2);
  const databaseUrl = await postgres.createDatabase();
  let said = '';
  const orchestrator = createOrchestrator({
    settings: settingsWith(
      {
        listen: { port, httpPort },
        storage: { databaseUrl },
        embeddings: { provider: 'off' },
      },
      settings,
    ),
    version: 'test',
    log: pino({ level: 'info' }, { write: (line) => void (said += line) }),
  });
  await orchestrator.start();
  const client = connectOrchestrator(port);
  return {
    client,
    httpPort,
    databaseUrl,
    log: () => said,
    async series() {
      const response = await fetch(`http://127.0.0.1:${httpPort}/metrics`);
      expect(response.headers.get('content-type')).toContain('text/plain; version=0.0.4');
      const lines = (await response.text()).matchAll(/^(\w+(?:\{[^}]*\})?) ([\d.e+-]+)/gm);
      return new Map([...lines].map(([, name = '', value]) => [name, Number(value)]));
    },
    async stop() {
      client.close();
      await orchestrator.stop();
    },
  };
}

const memory = {
  memory_id: 'm',
  memory_type: 'context',
  content: { text: 'a private matter' },
  create_session: true,
};
const session = { session_id: 's' };

test('requests are counted and measured by action and outcome', async () => {
  const watched = await start();
  const { ask, send } = watched.client;
  await ask('create', memory, session);
  await ask('read', { memory_id: 'm' }, session);
  await ask('read', { memory_id: 'm' }, session);
  await ask('read', { memory_id: 'absent' }, session);
  await ask('no_such_action');
  await send('no JSON');
  const series = await watched.series();
  const counted = (action: string, outcome: string) =>
    series.get(`crossfade_orchestrator_requests_total{action="${action}",outcome="${outcome}"}`);
  expect(counted('create', 'success')).toBe(1);
  expect(counted('read', 'success')).toBe(2);
  expect(counted('read', 'memory_not_found')).toBe(1);
  expect(counted('unknown', 'invalid_request')).toBe(2);
  expect([...series.keys()].join()).not.toContain('no_such_action');
  const labels = '{action="read",outcome="success"';
  const name = 'crossfade_orchestrator_request_duration_seconds';
  expect(series.get(`${name}_count${labels}}`)).toBe(2);
  expect(series.get(`${name}_sum${labels}}`)).toBeGreaterThan(0);
  expect(series.get(`${name}_bucket${labels},le="10"}`)).toBe(2);
  await watched.stop();
});

test('pool, cache and statements are in the scrape, with descriptions', async () => {
  const watched = await start();
  const { ask } = watched.client;
  await ask('create', memory, session);
  await ask('batch_read', {}, session);
  await ask('batch_read', {}, session);
  const series = await watched.series();
  const busy = series.get('crossfade_orchestrator_database_connections{state="busy"}');
  const idle = series.get('crossfade_orchestrator_database_connections{state="idle"}') ?? 0;
  expect(busy).toBeGreaterThanOrEqual(0);
  expect(idle).toBeGreaterThan(0);
  expect(series.get('crossfade_orchestrator_database_waiting')).toBe(0);
  expect(series.get('crossfade_orchestrator_database_circuit_open')).toBe(0);
  expect(series.get('crossfade_orchestrator_cache_lookups_total{result="hit"}')).toBe(1);
  expect(series.get('crossfade_orchestrator_cache_lookups_total{result="miss"}')).toBe(1);
  expect(series.get('crossfade_orchestrator_statements_total{result="done"}')).toBeGreaterThan(3);
  expect(series.get('crossfade_orchestrator_open_requests')).toBe(0);
  expect(series.get('crossfade_orchestrator_embedding_queue')).toBe(0);
  const text = await (await fetch(`http://127.0.0.1:${watched.httpPort}/metrics`)).text();
  for (const { name, description } of Object.values({ ...COUNTERS, ...GAUGES, ...HISTOGRAMS })) {
    expect(name).toMatch(/^crossfade_orchestrator_/);
    expect(text).toMatch(new RegExp(`^# HELP ${name}(_total)? `, 'm'));
    expect(text).toContain(description);
  }
  await watched.stop();
});

test('a slow statement is logged with its text, without its values', async () => {
  const watched = await start({ telemetry: { slowQueryMs: 1_000 }, access: { log: false } });
  const { ask } = watched.client;
  await ask('create', memory, session);
  expect(watched.log()).not.toContain('slow statement');
  const lock = await lockTable(watched.databaseUrl, 'memory_entries');
  const updated = ask('update', { memory_id: 'm', content: { text: 'another private matter' } }, session);
  await eventually('the update waits', async () => (await lock.waiting()) > 0);
  await new Promise((resolve) => setTimeout(resolve, 1_200));
  await lock.release();
  expect((await updated).status).toBe('success');
  const [line = ''] = watched.log().match(/.*slow statement.*/g) ?? [];
  expect(JSON.parse(line)).toMatchObject({ level: 40, failed: false });
  expect(line).toContain('update memory_entries');
  expect(watched.log()).not.toContain('private');
  expect((await watched.series()).get('crossfade_orchestrator_slow_statements_total')).toBe(1);
  await watched.stop();
});

interface Exported {
  readonly resourceSpans: readonly {
    readonly scopeSpans: readonly { readonly spans: readonly Record<string, unknown>[] }[];
  }[];
}

describe('traces', () => {
  let collector: Server;
  let port: number;
  const received: string[] = [];
  beforeAll(async () => {
    port = await freePort();
    collector = createServer((request, response) => {
      let body = '';
      request.on('data', (chunk: Buffer) => (body += chunk.toString()));
      request.on('end', () => {
        received.push(body);
        response.setHeader('content-type', 'application/json').end('{}');
      });
    });
    await new Promise<void>((resolve) => collector.listen(port, '127.0.0.1', resolve));
  });
  afterAll(() => new Promise((resolve) => collector.close(resolve)));

  test("continue the caller's trace, only if it is sampled", async () => {
    const watched = await start({ telemetry: { otlpEndpoint: `http://127.0.0.1:${port}` } });
    const ask = (traceparent: string | undefined, id: string) =>
      watched.client.send(
        JSON.stringify({ action: 'read', session_id: 's', traceparent, payload: { memory_id: id } }),
      );
    const sampled = '00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01';
    await ask(sampled, 'absent');
    await ask('00-11111111111111111111111111111111-b7ad6b7169203331-00', 'unsampled');
    await ask('nonsense', 'nonsense');
    await ask(undefined, 'untraced');
    await watched.stop();
    await eventually('the span is exported', () => received.join().includes('orchestrator read'));
    const spans = received
      .map((body) => JSON.parse(body) as Exported)
      .flatMap(({ resourceSpans }) => resourceSpans)
      .flatMap(({ scopeSpans }) => scopeSpans.flatMap((scope) => scope.spans));
    expect(spans).toHaveLength(1);
    expect(spans[0]).toMatchObject({
      traceId: '0af7651916cd43dd8448eb211c80319c',
      parentSpanId: 'b7ad6b7169203331',
      name: 'orchestrator read',
      status: { message: 'memory_not_found' },
    });
  });

  test('to an unreachable collector do not delay the end', async () => {
    const watched = await start({ telemetry: { otlpEndpoint: 'http://127.0.0.1:1' } });
    await watched.client.send(
      JSON.stringify({
        action: 'ping',
        traceparent: '00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01',
      }),
    );
    const started = performance.now();
    await watched.stop();
    // The exporter itself would go on for 10 s.
    expect(performance.now() - started).toBeLessThan(8_000);
  });
});

describe('health', () => {
  test('lists the last five own failures without content, and counts all', async () => {
    const watched = await start();
    const { ask } = watched.client;
    await ask('create', memory, session);
    const name = new URL(watched.databaseUrl).pathname.slice(1);
    await postgres.execute('alter table memory_entries rename to elsewhere', name);
    for (let times = 0; times < 7; times += 1)
      expect((await ask('read', { memory_id: `m${times}` }, session)).status).toBe('error');
    await postgres.execute('alter table elsewhere rename to memory_entries', name);
    await ask('read', { memory_id: 'absent' }, session);
    const { data } = await ask('health');
    expect(data).toMatchObject({ postgres: true, error_count: 7 });
    const details = data['details'] as { recent_errors: { code: string; message: string }[] };
    expect(details.recent_errors).toHaveLength(5);
    expect(details.recent_errors[0]).toMatchObject({ code: 'storage_error' });
    expect(data['last_error']).toBe(details.recent_errors.at(-1)?.message);
    await watched.stop();
  });

  test('has the same answer over both transports, and readiness follows the database', async () => {
    const watched = await start();
    const { ask } = watched.client;
    const ready = () => fetch(`http://127.0.0.1:${watched.httpPort}/health/ready`);
    const { data } = await ask('health');
    const response = await ready();
    expect(response.status).toBe(200);
    const body = (await response.json()) as Record<string, unknown>;
    expect(Object.keys(body).sort()).toEqual(Object.keys(data).sort());
    expect(body).toMatchObject({
      status: 'degraded',
      postgres: true,
      cache: true,
      vector: false,
      error_count: 0,
    });
    expect(body['details']).toMatchObject({
      connection_pool_size: 10,
      version: 'test',
      item_count: 0,
      recent_errors: [],
      reason: expect.stringContaining('pgvector') as string,
      postgres_latency_ms: expect.any(Number) as number,
      cache_latency_ms: expect.any(Number) as number,
    });
    const name = new URL(watched.databaseUrl).pathname.slice(1);
    await postgres.execute(`alter database ${name} allow_connections false`);
    await postgres.execute(
      `select pg_terminate_backend(pid, 20000) from pg_stat_activity where datname = '${name}'`,
    );
    expect((await ready()).status).toBe(503);
    expect((await fetch(`http://127.0.0.1:${watched.httpPort}/health/live`)).status).toBe(200);
    await postgres.execute(`alter database ${name} allow_connections true`);
    await eventually('it is ready again', async () => (await ready()).status === 200);
    await watched.stop();
  });
});
