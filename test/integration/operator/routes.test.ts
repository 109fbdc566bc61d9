import { afterAll, beforeAll, beforeEach, describe, expect, test } from 'vitest';
import { DIFFERENCE, LANE, OPERATION, OperatorServer, QUIET_WORLD, SERVICE } from './operator-server.ts';

const server = new OperatorServer();

beforeAll(() => server.start());
afterAll(() => server.stop());
beforeEach(() => server.reset());

describe('health', () => {
  test('a live process reports so', async () => {
    const answer = await server.ask('/health/live');
    expect(answer.status).toBe(200);
    expect(JSON.parse(answer.body)).toEqual({ status: 'live' });
  });

  test('ready while every part is', async () => {
    const answer = await server.ask('/health/ready');
    expect(answer.status).toBe(200);
    expect(JSON.parse(answer.body)).toEqual({
      ready: true,
      parts: { journal: { ok: true }, flags: { ok: true } },
    });
  });

  test('one part that cannot work makes it unready, with the reason', async () => {
    server.world = {
      ...QUIET_WORLD,
      readiness: { journal: { ok: false, reason: 'no connection' }, flags: { ok: true } },
    };
    const answer = await server.ask('/health/ready');
    expect(answer.status).toBe(503);
    expect(JSON.parse(answer.body)).toEqual({ ready: false, parts: server.world.readiness });
  });
});

describe('GET /v1/services/:service/differences', () => {
  test.each(['hours=0', 'hours=x', 'before=-1', 'action=a&action=b'])(
    'refuses the filter %s',
    async (filter) => {
      const answer = await server.ask(`/v1/services/${SERVICE}/differences?${filter}`);
      expect(answer.status).toBe(400);
    },
  );

  test('shows the newest 50 by default', async () => {
    const answer = await server.ask(`/v1/services/${SERVICE}/differences`);
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
          differences: DIFFERENCE.comparison.differences,
          suppressed: 2,
        },
      ],
    });
    expect(server.limits).toEqual([50]);
  });

  test.each(['1', '1000'])('takes limit=%s', async (limit) => {
    expect((await server.ask(`/v1/services/${SERVICE}/differences?limit=${limit}`)).status).toBe(200);
    expect(server.limits).toEqual([Number(limit)]);
  });

  test.each(['0', '1001', '-1', 'abc', '', '1.5', '1&limit=2'])('refuses limit=%s', async (limit) => {
    const answer = await server.ask(`/v1/services/${SERVICE}/differences?limit=${limit}`);
    expect(answer.status).toBe(400);
    expect(JSON.parse(answer.body)).toMatchObject({
      error: 'invalid_request',
      message: expect.stringMatching(/^limit must be a whole number from 1 to 1000, got /) as string,
    });
    expect(server.limits).toEqual([]);
  });

  test('names the unknown service', async () => {
    const answer = await server.ask('/v1/services/nobody/differences');
    expect(answer.status).toBe(404);
    expect(JSON.parse(answer.body)).toEqual({
      error: 'service_not_found',
      message: 'unknown service "nobody": use session-memory',
    });
  });
});
