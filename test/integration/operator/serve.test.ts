import { fastify } from 'fastify';
import { expect, test } from 'vitest';
import { ENDPOINTS } from '../../../src/operator/api/endpoints.ts';
import { serve } from '../../../src/operator/routes/serve.ts';

const OPERATION = '0d9b0c9e-0000-7000-8000-000000000001';
const SETTLED = { operation_id: OPERATION, lane: 'session-memory/ana', state: 'redriven' };

test.each([
  {
    url: '/v1/dead-letters/x/redrive',
    body: { person: 'ann', reason: 'why' },
    says: 'operation must be an operation id as shown in the list',
  },
  {
    url: `/v1/dead-letters/${OPERATION}/redrive`,
    body: { reason: 'why' },
    says: 'person is missing: give your name (--person on the command line), or send a token',
  },
  {
    url: `/v1/dead-letters/${OPERATION}/redrive`,
    body: { person: 'ann' },
    says: 'reason is missing: every change needs a reason (--reason on the command line)',
  },
])('a value that the schemas refuse is named in one sentence: $says', async ({ url, body, says }) => {
  const app = fastify();
  serve(app, ENDPOINTS.redriveDeadLetter, async () => SETTLED);
  const answer = await app.inject({ method: 'POST', url, body });
  expect(answer.statusCode).toBe(400);
  expect(JSON.parse(answer.body)).toEqual({ error: 'invalid_request', message: says });
  await app.close();
});

test('a query that a pattern refuses is named in one sentence', async () => {
  const app = fastify();
  serve(app, ENDPOINTS.listDeadLetters, async () => ({ dead_letters: [] }));
  const { statusCode, body } = await app.inject('/v1/dead-letters?limit=1001');
  expect(statusCode).toBe(400);
  expect(JSON.parse(body)).toEqual({
    error: 'invalid_request',
    message: 'limit must be a whole number from 1 to 1000',
  });
  await app.close();
});

test('no schema strips a member of an answer', async () => {
  const app = fastify();
  const answer = { ...SETTLED, more: { than: 'declared' } };
  serve(app, ENDPOINTS.redriveDeadLetter, async () => answer);
  const { body } = await app.inject({
    method: 'POST',
    url: `/v1/dead-letters/${OPERATION}/redrive`,
    body: { person: 'ann', reason: 'why' },
  });
  expect(JSON.parse(body)).toEqual(answer);
  await app.close();
});
