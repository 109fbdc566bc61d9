import { fastify } from 'fastify';
import { afterAll, expect, test } from 'vitest';
import { serviceName } from '../../../src/domain/ids.ts';
import type { Finding, Latch } from '../../../src/engine/ports/finding.ts';
import { registerGuardRoutes } from '../../../src/operator/routes/guard-routes.ts';

const SERVICE = serviceName('session-memory');
const NOW_MS = Date.UTC(2026, 10, 22);

function finding(detail: string, trigger: Finding['trigger'] = 'inconsistency'): Finding {
  const numbers = { hits: 21, of: 25, lower_bound: 0.452, limit: 0.001 };
  return { service: SERVICE, trigger, steps: ['reads_to_legacy'], detail, numbers };
}

const LATCH = {
  id: 1,
  finding: finding('1m'),
  trippedAtMs: NOW_MS - 60_000,
  coolDownUntilMs: NOW_MS - 1_000,
} as Latch;

const app = fastify();
let found: readonly Finding[] = [];
let released = 0;
registerGuardRoutes(app, {
  services: [SERVICE],
  guarding: {
    judged: () => undefined,
    holdOf: () => ({ cause: 'inconsistency', latch: LATCH }),
    findingsOf: () => found,
    shadowDroppedFor: () => [],
    flagsOffOf: () => undefined,
  },
  movableActions: () => [],
  levelsOf: () => [],
  release: async () => {
    released += 1;
    return { result: 'released', latch: LATCH };
  },
  accept: async () => undefined,
  signal: async () => undefined,
  minutes: async () => [],
  explain: () => Promise.reject(new Error('not used')),
  nowMs: () => NOW_MS,
});
afterAll(() => app.close());

async function release(more: object = {}) {
  const payload = { service: SERVICE, person: 'ann', reason: 'seen', ...more };
  const { statusCode, body } = await app.inject({ method: 'POST', url: '/v1/guard/release', payload });
  return { status: statusCode, ...(JSON.parse(body) as { code?: string; message?: string }) };
}

test('a release is refused while a trigger is found, with its numbers and options', async () => {
  found = [finding('1m')];
  const refused = await release();
  expect(refused).toMatchObject({ status: 409 });
  expect(refused.message).toContain(
    'the guard still finds a cause for session-memory (inconsistency: 21 of 25 differ (84 %; lower bound 45.2 %, limit 0.1 %))',
  );
  expect(refused.message).toContain('--even-so');
  expect(released).toBe(0);
  expect(await release({ even_so: true })).toMatchObject({ status: 200 });
  expect(released).toBe(1);
});

test('older counts and events do not refuse a release', async () => {
  found = [finding('15m'), finding('orchestrator, 6h', 'errors'), finding('agents repeat', 'external')];
  expect(await release()).toMatchObject({ status: 200 });
});
