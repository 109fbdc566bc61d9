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
  { url: '/x', says: 'operation must be the id of an operation, as the lists show it' },
  {
    url: '/0d9b0c9e-0000-7000-8000-000000000001?limit=1001',
    says: 'limit must be a whole number from 1 to 1000',
  },
])('what a pattern refuses is told in words: $url', async ({ url, says }) => {
  const app = fastify();
  checkBySchemas(app);
  app.get('/:operation', { schema: { params: OfOperation, querystring: LedgerQuerystring } }, () => 'taken');
  const { statusCode, body } = await app.inject(url);
  expect(statusCode).toBe(400);
  expect(JSON.parse(body)).toEqual({ error: 'invalid_request', message: says });
  await app.close();
});

test.each([
  { body: { reason: 'why' }, says: 'person is missing: say who answers for it (--person' },
  { body: { person: 'ann' }, says: 'reason is missing: every change says why (--reason' },
])('who or why is missing: it is said how to give it: $says', async ({ body, says }) => {
  const app = fastify();
  checkBySchemas(app);
  app.post('/', { schema: { body: Type.Object(ByPersonSchema) } }, () => 'taken');
  const answer = await app.inject({ method: 'POST', url: '/', body });
  expect(answer.statusCode).toBe(400);
  expect(answer.body).toContain(says);
  await app.close();
});
