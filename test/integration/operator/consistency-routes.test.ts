import type { ShownConsistency } from '../../../src/operator/api/history.ts';
import { fastify } from 'fastify';
import { expect, test } from 'vitest';
import { StorageError } from '../../../src/domain/errors.ts';
import { serviceName } from '../../../src/domain/ids.ts';
import { registerConsistencyRoutes } from '../../../src/operator/routes/consistency-routes.ts';

const SERVICE = serviceName('session-memory');
/** 00:30 in Berlin: the day began half an hour ago. */
const NOW_MS = Date.UTC(2026, 6, 1, 22, 30, 30);

function serve(comparedSince: Parameters<typeof registerConsistencyRoutes>[1]['comparedSince']) {
  const app = fastify();
  const clock = { nowMs: NOW_MS };
  const parts = { services: [SERVICE], zone: 'Europe/Berlin', comparedSince, nowMs: () => clock.nowMs };
  registerConsistencyRoutes(app, parts);
  const ask = async () => app.inject('/v1/consistency');
  return { clock, ask };
}

test('consistency is counted over the last hour and since local midnight', async () => {
  const asked: string[] = [];
  const { ask } = serve(async (fromMs) => {
    asked.push(new Date(fromMs).toISOString());
    return [{ service: SERVICE, compared: 40, differ: asked.length }];
  });
  const { services } = (await ask()).json<ShownConsistency>();
  expect(asked).toEqual(['2026-07-01T21:30:00.000Z', '2026-07-01T22:00:00.000Z']);
  expect(services[SERVICE]).toEqual({
    last_hour: { from: asked[0], compared: 40, differ: 1 },
    today: { from: asked[1], compared: 40, differ: 2 },
  });
});

test('a service without comparisons has zeros', async () => {
  const { ask } = serve(async () => []);
  const { services } = (await ask()).json<ShownConsistency>();
  expect(services[SERVICE]?.today).toMatchObject({ compared: 0, differ: 0 });
});

test('many pages at once read the journal once, and again after a while', async () => {
  let reads = 0;
  const { ask, clock } = serve(async () => {
    reads += 1;
    return [];
  });
  await Promise.all([ask(), ask(), ask()]);
  expect(reads).toBe(2);
  clock.nowMs += 6_000;
  await ask();
  expect(reads).toBe(3);
  clock.nowMs += 60_000;
  await ask();
  expect(reads).toBe(5);
});

test('while the journal does not answer, the route does not either, then it does', async () => {
  let isAway = true;
  const { ask } = serve(async () => {
    if (isAway) throw new StorageError('the database does not answer', { effect: 'not_applied' });
    return [];
  });
  expect((await ask()).statusCode).toBe(503);
  isAway = false;
  expect((await ask()).statusCode).toBe(200);
});
