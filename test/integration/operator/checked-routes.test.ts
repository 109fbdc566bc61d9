import { fastify } from 'fastify';
import { expect, test } from 'vitest';
import {
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
