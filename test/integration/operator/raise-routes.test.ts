import { answeringApi } from '../../support/desk/answering-api.ts';
import type { History, RaiseCheck } from '../../../src/operator/api/history.ts';
import { fastify } from 'fastify';
import { expect, test } from 'vitest';
import { serviceName } from '../../../src/domain/ids.ts';
import { noCounts } from '../../../src/engine/guard/guard-counts.ts';
import { raisePanels } from '../../../src/operator/desk/pages/flags.ts';
import type { Visit } from '../../../src/operator/desk/visit.ts';
import { registerHistoryRoutes } from '../../../src/operator/routes/history-routes.ts';
import { registerRaiseRoutes, type RaiseRouteParts } from '../../../src/operator/routes/raise-routes.ts';
import { sessionMemory } from '../../../src/services/session-memory/session-memory.ts';
import { actionWith } from '../../unit/engine/guard/facts.ts';
import { judgedBy } from '../../unit/operator/report/facts.ts';

const SERVICE = serviceName('session-memory');
const NOW_MS = Date.UTC(2026, 10, 22, 20, 0, 30);
const { get_context = expect.fail(), add_interaction = expect.fail() } = sessionMemory.actions;
const READS = {
  ...noCounts(),
  operations: 100,
  orchestratorReads: 30,
  orchestratorFailures: 5,
  comparable: 9,
  mismatches: 2,
};
const WRITES = { ...noCounts(), operations: 50 };

interface World {
  readonly judged?: ReturnType<typeof judgedBy> | undefined;
}

function serve({ judged }: World) {
  const app = fastify();
  const asked: { fromMs: number; stepSeconds: number }[] = [];
  const parts: RaiseRouteParts = {
    services: new Map([[SERVICE, { definition: { actions: { get_context, add_interaction } } }]]),
    summed: async (_service, of) => {
      asked.push(of);
      return [
        { action: 'get_context', step: 3, counts: READS },
        { action: 'add_interaction', step: 3, counts: WRITES },
      ];
    },
    judged: () => judged,
    probe: async () => ({ legacy: false, orchestrator: true }),
    nowMs: () => NOW_MS,
  };
  registerRaiseRoutes(app, parts);
  registerHistoryRoutes(app, parts);
  return { app, asked };
}

const FEW = judgedBy({
  mode: 'warn',
  actions: { get_context: actionWith(487) },
  lanes: { total: 40, unseeded: 0, isBackfillListed: true, unwell: 0, flipped: 0 },
});

async function checkOf(flag: string, world: World = { judged: FEW }): Promise<RaiseCheck> {
  return (await serve(world).app.inject(`/v1/services/${SERVICE}/raise/${flag}`)).json<RaiseCheck>();
}

test('each criterion has its present and required value, also under warn', async () => {
  const { mode, criteria } = await checkOf('read-cutover');
  expect(mode).toBe('warn');
  expect(criteria.find(({ name }) => name === 'too_few_comparisons')).toMatchObject({
    action: 'get_context',
    have: 487,
    limit: 3_000,
    verdict: 'fail',
  });
  expect(criteria.filter(({ verdict }) => verdict === 'pass').length).toBeGreaterThan(5);
});

test('reads that have moved do not replace missing evidence for an increase', async () => {
  const { criteria } = await checkOf('read-cutover');
  expect(criteria.filter(({ action }) => action !== null).some(({ verdict }) => verdict === 'fail')).toBe(
    true,
  );
});

test('dual-write probes both backends at that moment', async () => {
  const { criteria } = await checkOf('dual-write');
  expect(criteria.map(({ name, verdict }) => [name, verdict])).toEqual([
    ['legacy_does_not_answer', 'fail'],
    ['orchestrator_does_not_answer', 'pass'],
  ]);
});

test('before the first judgement, and for unknown flags, there is an error', async () => {
  const status = async (path: string, world: World = { judged: FEW }): Promise<number> =>
    (await serve(world).app.inject(path)).statusCode;
  expect(await status(`/v1/services/${SERVICE}/raise/read-cutover`, { judged: undefined })).toBe(503);
  expect(await status(`/v1/services/${SERVICE}/raise/banana`)).toBe(404);
  expect(await status('/v1/services/banana/raise/read-cutover')).toBe(404);
  expect(await status(`/v1/services/${SERVICE}/history?hours=7`)).toBe(400);
});

test('the page of a flag at 0 % shows criteria, and the lanes and reads affected', async () => {
  const check = await checkOf('read-cutover');
  const visit: Visit = {
    api: answeringApi(() => check),
    visitor: { role: 'approver' },
    person: '',
    csrf: '',
    path: '/',
    status: undefined,
  };
  const flag = { name: 'f', service: SERVICE, flag: 'read-cutover', kind: 'share', asked: 0 } as const;
  const page = String(await raisePanels(visit, flag, 15));
  expect(page).toContain('about 6 lanes of 40');
  expect(page).toContain('15 reads an hour');
  expect(page).toMatch(/Comparisons.*get_context.*487.*≥ 3,000.*fail/s);
  expect(page).toContain('only warns');
  expect(page).toContain('name="subject" value="action:get_context"');
});

test('the history of an hour has whole minutes, by backend', async () => {
  const { app, asked } = serve({ judged: FEW });
  const { samples } = (await app.inject(`/v1/services/${SERVICE}/history?hours=1`)).json<History>();
  expect(asked[0]).toEqual({ fromMs: Date.UTC(2026, 10, 22, 19, 1), stepSeconds: 60 });
  expect(samples).toEqual([
    {
      at: '2026-11-22T19:04:00.000Z',
      reads: { legacy: 75, orchestrator: 25 },
      writes: 50,
      match: 7,
      mismatch: 2,
      added_p95_ms: null,
    },
  ]);
});
