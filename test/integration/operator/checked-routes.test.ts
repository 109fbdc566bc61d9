import { fastify } from 'fastify';
import { Type } from 'typebox';
import { expect, test } from 'vitest';
import {
  ByPersonSchema,
  checkBySchemas,
  LedgerQuerystring,
  OfOperation,
} from '../../../src/operator/routes/checked-routes.ts';

test.each([
  { url: '/x', says: 'operation must be an operation id as shown in the list' },
  {
    url: '/0d9b0c9e-0000-7000-8000-000000000001?limit=1001',
    says: 'limit must be a whole number from 1 to 1000',
  },
])('a value that a pattern refuses is named in one sentence: $url', async ({ url, says }) => {
  const app = fastify();
  checkBySchemas(app);
  app.get('/:operation', { schema: { params: OfOperation, querystring: LedgerQuerystring } }, () => 'taken');
  const { statusCode, body } = await app.inject(url);
  expect(statusCode).toBe(400);
  expect(JSON.parse(body)).toEqual({ error: 'invalid_request', message: says });
  await app.close();
});

test.each([
  { body: { reason: 'why' }, says: 'person is missing: give your name (--person' },
  { body: { person: 'ann' }, says: 'reason is missing: every change needs a reason (--reason' },
])('a missing person or reason is named with its option: $says', async ({ body, says }) => {
  const app = fastify();
  checkBySchemas(app);
  app.post('/', { schema: { body: Type.Object(ByPersonSchema) } }, () => 'taken');
  const answer = await app.inject({ method: 'POST', url: '/', body });
  expect(answer.statusCode).toBe(400);
  expect(answer.body).toContain(says);
  await app.close();
});
