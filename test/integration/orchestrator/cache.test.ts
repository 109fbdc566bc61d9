import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { createPostgresDatabase } from '../../../src/storage/database.ts';
import { eventually } from '../../support/eventually.ts';
import { type Differing, startOrchestrator, type TestOrchestrator } from '../../support/orchestrator.ts';
import { startPostgres, type TestPostgres } from '../../support/postgres.ts';
import { startRedis, type TestRedis } from '../../support/redis.ts';
import { casesOfTier } from '../../support/tier.ts';

let postgres: TestPostgres;
let redis: TestRedis;

beforeAll(async () => {
  [postgres, redis] = await Promise.all([startPostgres(), startRedis()]);
});
afterAll(async () => {
  await redis.stop();
  await postgres.stop();
});

/** What the metrics say of reads that looked for a kept answer. */
async function lookups({ httpPort }: TestOrchestrator): Promise<Record<string, number>> {
  const text = await (await fetch(`http://127.0.0.1:${httpPort}/metrics`)).text();
  const lines = text.matchAll(/^crossfade_orchestrator_cache_lookups_total\{result="(\w+)"\} (\d+)/gm);
  return Object.fromEntries([...lines].map(([, result, count]) => [result, Number(count)]));
}

const memory = (id: string, text: string, rest: object = {}) => ({
  memory_id: id,
  memory_type: 'conversation',
  content: { text },
  create_session: true,
  ...rest,
});

const withoutTime = (text: string) => text.replace(/,"timestamp":"[^"]*"\}$/, '');

const PLACES: Record<string, () => Promise<TestOrchestrator>> = {
  'in the process, on pglite': () => startOrchestrator({ database: { kind: 'pglite' }, settings: QUIET }),
  'in the process, on postgres': async () =>
    startOrchestrator({
      database: { kind: 'postgres', url: await postgres.createDatabase() },
      settings: QUIET,
    }),
  'in redis, on postgres': async () =>
    startOrchestrator({
      database: { kind: 'postgres', url: await postgres.createDatabase() },
      settings: { ...QUIET, cache: { redisUrl: redis.url, redisTimeoutMs: 5_000 } },
    }),
};

// Nothing else may write to a session behind a test's back.
const QUIET: Differing = { embeddings: { provider: 'off' } };

// The shared PostgreSQL makes a database in no time: the quick tier keeps its answers there and in Redis.
const CASES = casesOfTier(Object.entries(PLACES), ([place]) => !place.endsWith('pglite'));

describe.each(CASES)('answers kept %s', (place, start) => {
  let orchestrator: TestOrchestrator;
  const at = (session_id: string) => ({ session_id });
  beforeAll(async () => {
    orchestrator = await start();
    await eventually(
      'the cache is up',
      async () => (await orchestrator.ask('health')).data['cache'] === true,
    );
  });
  afterAll(() => orchestrator.stop());

  test('are identical to read answers', async () => {
    const { ask, send } = orchestrator;
    await send(
      `{"action":"create","session_id":"same","payload":{"memory_id":"m1","memory_type":"context","create_session":true,"content":{"text":"ünï","big":12345678901234567890,"float":1000.0,"nested":{"b":1,"a":[]}}}}`,
    );
    await ask('create', memory('m2', 'second', { tags: ['x'], position: 4 }), at('same'));
    const before = await lookups(orchestrator);
    for (const [action, payload] of [
      ['read', { memory_id: 'm1' }],
      ['batch_read', { filter: { limit: 1 }, memory_ids: ['m1', 'm2', 'm3'] }],
      ['batch_read', {}],
    ] as const) {
      const cold = await ask(action, payload, at('same'));
      const warm = await ask(action, payload, at('same'));
      expect(cold.status).toBe('success');
      expect(withoutTime(warm.text)).toBe(withoutTime(cold.text));
    }
    // In the process only histories are kept: a single memory is read faster than looked up.
    const kept = place.startsWith('in redis') ? 3 : 2;
    expect(change(before, await lookups(orchestrator))).toEqual({ hit: kept, miss: kept });
  });

  const WRITES: Record<string, (ask: TestOrchestrator['ask'], session: string) => Promise<unknown>> = {
    create: (ask, session) => ask('create', memory(`${session}-new`, 'new'), at(session)),
    update: (ask, session) =>
      ask('update', { memory_id: `${session}-a`, content: { text: 'changed' } }, at(session)),
    delete: (ask, session) => ask('delete', { memory_id: `${session}-a` }, at(session)),
    bulk_delete: (ask, session) => ask('bulk_delete', { filter: { tags: ['t'] } }, at(session)),
    'a fenced write': (ask, session) =>
      ask('create', memory(`${session}-f`, 'fenced'), {
        ...at(session),
        lane: { key: `l/${session}`, generation: 1, sequence: 1 },
      }),
    'a batch of another session': (ask, session) =>
      ask(
        'batch_write',
        { operations: [{ action: 'create', session_id: session, payload: memory(`${session}-b`, 'batch') }] },
        at('elsewhere'),
      ),
  };

  test.each(Object.keys(WRITES))('are not given after %s', async (name) => {
    const { ask } = orchestrator;
    const session = `after-${name.replaceAll(' ', '-')}`;
    await ask('create', memory(`${session}-a`, 'first', { tags: ['t'] }), at(session));
    const payload = { filter: { limit: 10 } };
    const first = await ask('batch_read', payload, at(session));
    await ask('batch_read', payload, at(session));
    const before = await lookups(orchestrator);
    expect(await WRITES[name]?.(ask, session)).toMatchObject({ status: 'success' });
    const after = await ask('batch_read', payload, at(session));
    expect(after.data.memories).not.toEqual(first.data.memories);
    expect(change(before, await lookups(orchestrator))).toEqual({ stale: 1 });
  });

  test.each(['upsert_session', 'end_session'])('are read again after %s', async (action) => {
    const { ask } = orchestrator;
    const session = `renewed-by-${action}`;
    await ask('create_session', { user_id: 'u', session_id: session });
    await ask('create', memory(`${session}-a`, 'first'), at(session));
    await ask('batch_read', {}, at(session));
    const before = await lookups(orchestrator);
    expect((await ask(action, { summary: 'done' }, at(session))).status).toBe('success');
    await ask('batch_read', {}, at(session));
    expect(change(before, await lookups(orchestrator))).toEqual({ stale: 1 });
  });

  test('end when any memory of the session expires', async () => {
    const { ask } = orchestrator;
    await ask('create', memory('stays', 'stays', { position: 1 }), at('expiring'));
    await ask(
      'create',
      memory('goes', 'goes', { position: 2, expires_at: new Date(Date.now() + 3_000).toISOString() }),
      at('expiring'),
    );
    const payload = { filter: { limit: 1 }, sort: { field: 'position', order: 'asc' } };
    const counted = async () => (await ask('batch_read', payload, at('expiring'))).data['total_count'];
    expect(await counted()).toBe(2);
    const before = await lookups(orchestrator);
    expect(await counted()).toBe(2);
    expect(change(before, await lookups(orchestrator))).toEqual({ hit: 1 });
    await eventually('it expires', async () => (await counted()) === 1);
    expect((await ask('read', { memory_id: 'goes' }, at('expiring'))).error.code).toBe('memory_not_found');
  });

  test('are not cached if they depend on the time or on other sessions', async () => {
    const { ask } = orchestrator;
    await ask('create', memory('moving', 'text', { user_id: 'mover' }), at('moving'));
    const before = await lookups(orchestrator);
    for (let times = 0; times < 2; times += 1) {
      await ask('batch_read', { filter: { older_than: 0 } }, at('moving'));
      await ask('batch_read', { filter: { user_id: 'mover' } });
      await ask('search', { query: 'text' }, at('moving'));
      await ask('scan', {}, at('moving'));
    }
    expect(change(before, await lookups(orchestrator))).toEqual({});
  });
});

/** What was counted in between. */
function change(before: Record<string, number>, after: Record<string, number>): Record<string, number> {
  const changes = Object.entries(after).map(([key, value]) => [key, value - (before[key] ?? 0)] as const);
  return Object.fromEntries(changes.filter(([, change]) => change !== 0));
}

test('rows that another program changes are noticed', async () => {
  const url = await postgres.createDatabase();
  const orchestrator = await startOrchestrator({ database: { kind: 'postgres', url }, settings: QUIET });
  const { ask } = orchestrator;
  await ask('create', memory('m', 'before'), { session_id: 's' });
  await ask('batch_read', {}, { session_id: 's' });
  const behind = createPostgresDatabase({ url, poolSize: 1 });
  await behind.query(`update memory_entries set content = '{"text": "after"}'`);
  expect((await ask('batch_read', {}, { session_id: 's' })).data.memories[0]?.content).toEqual({
    text: 'after',
  });
  await behind.script('truncate memory_entries cascade');
  expect((await ask('batch_read', {}, { session_id: 's' })).data.memories).toEqual([]);
  await behind.close();
  await orchestrator.stop();
});

test('the purge of invisible rows keeps cached answers', async () => {
  const orchestrator = await startOrchestrator({
    database: { kind: 'postgres', url: await postgres.createDatabase() },
    settings: { ...QUIET, storage: { folder: ':memory:', purgeEveryMs: 20, keepTombstonesSeconds: 0 } },
  });
  const { ask } = orchestrator;
  await ask('create', memory('m', 'stays'), { session_id: 's' });
  await ask('create', memory('n', 'goes'), { session_id: 's' });
  await ask('delete', { memory_id: 'n' }, { session_id: 's' });
  await ask('batch_read', {}, { session_id: 's' });
  await eventually('the tombstone is gone', async () => {
    const { data } = await ask('scan', { include_deleted: true }, { session_id: 's' });
    return data.items.length === 1;
  });
  const before = await lookups(orchestrator);
  await ask('batch_read', {}, { session_id: 's' });
  expect(change(before, await lookups(orchestrator))).toEqual({ hit: 1 });
  await orchestrator.stop();
});

test('an outage of Redis costs little, and its old answers are not used afterwards', async () => {
  const orchestrator = await startOrchestrator({
    database: { kind: 'postgres', url: await postgres.createDatabase() },
    settings: { ...QUIET, cache: { redisUrl: redis.url, redisTimeoutMs: 250, redisRestMs: 2_000 } },
  });
  const { ask } = orchestrator;
  const session = { session_id: 'frozen' };
  const healthy = async () => (await ask('health')).data['cache'] === true;
  await eventually('Redis is connected', healthy);
  await ask('create', memory('m', 'old'), session);
  await ask('batch_read', {}, session);
  redis.freeze();
  await ask('update', { memory_id: 'm', content: { text: 'new' } }, session);
  const started = performance.now();
  for (let times = 0; times < 20; times += 1) {
    const { data } = await ask('batch_read', {}, session);
    expect(data.memories[0]?.content).toEqual({ text: 'new' });
  }
  // Three timeouts open the breaker; a trial every 2 s costs one more. Without the breaker it would be 5 s for the gets alone.
  expect(performance.now() - started).toBeLessThan(4_000);
  expect((await ask('health')).data).toMatchObject({ status: 'degraded', cache: false, postgres: true });
  expect((await lookups(orchestrator))['off']).toBeGreaterThan(10);
  redis.thaw();
  await eventually('Redis is back', healthy);
  expect((await ask('batch_read', {}, session)).data.memories[0]?.content).toEqual({ text: 'new' });
  await orchestrator.stop();
});

test('the orchestrator starts without Redis, and uses it when it comes', async () => {
  await redis.kill();
  const orchestrator = await startOrchestrator({
    database: { kind: 'postgres', url: await postgres.createDatabase() },
    settings: { ...QUIET, cache: { redisUrl: redis.url, redisRestMs: 100 } },
  });
  expect((await orchestrator.ask('create', memory('m', 'x'), { session_id: 's' })).status).toBe('success');
  expect((await orchestrator.ask('batch_read', {}, { session_id: 's' })).data.memories).toHaveLength(1);
  expect((await orchestrator.ask('health')).data).toMatchObject({ status: 'degraded', cache: false });
  await redis.restart();
  await eventually('the cache is up', async () => {
    const { data } = await orchestrator.ask('health');
    return data['cache'] === true && data['status'] !== 'unhealthy';
  });
  await orchestrator.stop();
});

test('keys have the prefix, and expire', async () => {
  const orchestrator = await startOrchestrator({
    database: { kind: 'postgres', url: await postgres.createDatabase() },
    settings: { ...QUIET, cache: { redisUrl: redis.url, redisPrefix: 'mine:', historyTtlSeconds: 60 } },
  });
  await eventually('the cache is up', async () => (await orchestrator.ask('health')).data['cache'] === true);
  await orchestrator.ask('create', memory('m', 'x', { ttl: 20 }), { session_id: 's' });
  await orchestrator.ask('batch_read', {}, { session_id: 's' });
  const keys = await eventually(
    'the answer is kept',
    async () => (await redis.command('KEYS', '*')).match(/mine:[\w-]+/g) ?? undefined,
  );
  expect(keys).toHaveLength(1);
  const [left = 0] = (await redis.command('PTTL', keys[0] ?? '')).match(/\d+/)?.map(Number) ?? [];
  expect(left).toBeGreaterThan(0);
  expect(left).toBeLessThanOrEqual(20_000);
  await orchestrator.stop();
});

test('a disabled cache is not a problem', async () => {
  const orchestrator = await startOrchestrator({
    database: { kind: 'postgres', url: await postgres.createDatabase() },
    settings: { ...QUIET, cache: { enabled: false } },
  });
  await orchestrator.ask('create', memory('m', 'x'), { session_id: 's' });
  await orchestrator.ask('batch_read', {}, { session_id: 's' });
  expect(await lookups(orchestrator)).toEqual({});
  const { data } = await orchestrator.ask('health');
  expect(data).toMatchObject({ cache: false });
  expect(data['details']).not.toMatchObject({ reason: 'the cache does not answer' });
  await orchestrator.stop();
});
