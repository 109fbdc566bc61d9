import { fastify } from 'fastify';
import { expect, test } from 'vitest';
import { systemClock } from '../../../src/shared/clock.ts';
import { operationId, serviceName, type LaneKey } from '../../../src/domain/ids.ts';
import { Verdicts } from '../../../src/engine/compare/verdicts.ts';
import { registerComparisonRoutes } from '../../../src/operator/routes/comparison-routes.ts';
import { jarvisMemory } from '../../../src/services/jarvis-memory.ts';

const SERVICE = serviceName('jarvis-memory');
const GIANT = 'jarvis-memory/default' as LaneKey;

test('compared actions, others, and the share of the default user are shown', async () => {
  const services = new Map([[SERVICE, { definition: jarvisMemory, context: { timeZone: 'UTC' } }]]);
  const verdicts = new Verdicts({ services, clock: systemClock, emit: () => undefined });
  const text = '{"status": "ok", "memories": [{"timestamp": 1.5, "memory": "tea"}]}';
  for (let read = 0; read < 10; read += 1) {
    const lane = read < 8 ? GIANT : (`jarvis-memory/u-${read}` as LaneKey);
    const of = { operationId: operationId(`o-${read}`), service: SERVICE, action: 'get_memories', lane };
    const judgement = await verdicts.compare(of, { legacy: text, orchestrator: text });
    verdicts.conclude(of, judgement, { legacyText: text, asked: String(read) });
  }
  const app = fastify();
  registerComparisonRoutes(app, {
    services: [SERVICE],
    report: (service) => verdicts.report(service),
    signatures: async () => [],
  });
  const ask = async (path: string) => {
    const { statusCode, body } = await app.inject(path);
    return { status: statusCode, body: JSON.parse(body) as unknown };
  };
  expect(await ask(`/v1/services/${SERVICE}/comparisons`)).toMatchObject({
    status: 200,
    body: {
      service: SERVICE,
      actions: {
        get_memories: {
          comparable: 10,
          error_pairs: 0,
          paths_never_compared: [],
          error_cases: 0,
          error_cases_never_compared: [],
          lanes: 3,
          giant_lane: { lane: GIANT, share: 0.8 },
        },
      },
      actions_never_compared: [],
    },
  });
  expect(await ask('/v1/services/nobody/comparisons')).toMatchObject({
    status: 404,
    body: { error: 'service_not_found', message: 'unknown service "nobody": use jarvis-memory' },
  });
  await app.close();
});
