import { fastify, type FastifyInstance } from 'fastify';
import { request } from 'undici';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { OperatorAccess, type OperatorToken } from '../../../src/operator/operator-access.ts';
import { runCommand } from '../../support/command.ts';
import { freePort } from '../../support/ports.ts';

const TOKENS: readonly OperatorToken[] = [
  { name: 'grafana', role: 'viewer', token: 'the-token-of-grafana' },
  { name: 'on-call', role: 'operator', token: 'the-token-of-who-is-on-call' },
  { name: 'lead', role: 'approver', token: 'the-token-of-the-lead' },
];
const [VIEWER, OPERATOR, APPROVER] = TOKENS.map(({ token }) => token);

/** Routes as the proxy has them, which answer with the body they got. */
const ROUTES = [
  'GET /health/live',
  'GET /metrics',
  'GET /v1/status',
  'POST /v1/guard/release',
  'POST /v1/guard/accept',
  'POST /v1/guard/signal',
  'POST /v1/runs',
  'POST /v1/lost',
  'POST /v1/rules',
  'POST /v1/rules/try',
  'POST /v1/rules/:rule/remove',
  'POST /v1/dead-letters/:operation/redrive',
  'POST /v1/dead-letters/:operation/skip',
  'POST /v1/unknown-outcomes/:operation/assume',
] as const;

const apps: FastifyInstance[] = [];
let [open, closed] = ['', ''];

async function listen(tokens: readonly OperatorToken[]): Promise<string> {
  const app = fastify();
  apps.push(app);
  await app.register(async (scope) => {
    new OperatorAccess(tokens).guard(scope);
    for (const route of ROUTES) {
      const [method = '', url = ''] = route.split(' ');
      scope.route({ method, url, handler: async ({ body }) => ({ body }) });
    }
  });
  app.post('/v1/services/session-memory', async () => ({ status: 'success' }));
  return app.listen({ port: await freePort(), host: '127.0.0.1' });
}

beforeAll(async () => {
  open = await listen([]);
  closed = await listen(TOKENS);
});
afterAll(async () => {
  for (const app of apps) await app.close();
});

async function ask(
  route: string,
  more: { token?: string; at?: string; headers?: object; body?: object } = {},
) {
  const [method = '', path = ''] = route.replace(':operation', 'x').split(' ');
  const isPost = method === 'POST';
  const response = await request(`${more.at ?? closed}${path}`, {
    method: isPost ? 'POST' : 'GET',
    headers: {
      ...(more.token !== undefined && { authorization: `Bearer ${more.token}` }),
      ...(isPost && { 'content-type': 'application/json' }),
      ...more.headers,
    },
    ...(isPost && { body: JSON.stringify(more.body ?? {}) }),
  });
  return {
    status: response.statusCode,
    headers: response.headers,
    body: (await response.body.json()) as object,
  };
}

/** What each route answers to nobody, a viewer, an operator and an approver. */
const ANSWERS = {
  'GET /health/live': [200, 200, 200, 200],
  'GET /metrics': [401, 200, 200, 200],
  'GET /v1/status': [401, 200, 200, 200],
  'POST /v1/guard/release': [401, 403, 403, 200],
  'POST /v1/guard/accept': [401, 403, 403, 200],
  // It has a token of its own, which the route itself looks at.
  'POST /v1/guard/signal': [200, 200, 200, 200],
  'POST /v1/runs': [401, 403, 200, 200],
  'POST /v1/lost': [401, 403, 403, 200],
  'POST /v1/rules': [401, 403, 403, 200],
  'POST /v1/rules/try': [401, 200, 200, 200],
  'POST /v1/rules/:rule/remove': [401, 403, 200, 200],
  'POST /v1/dead-letters/:operation/redrive': [401, 403, 200, 200],
  'POST /v1/dead-letters/:operation/skip': [401, 403, 403, 200],
  'POST /v1/unknown-outcomes/:operation/assume': [401, 403, 403, 200],
} as const satisfies Record<(typeof ROUTES)[number], readonly number[]>;

test.each(Object.entries(ANSWERS))('%s asks for its role', async (route, expected) => {
  const asked = [undefined, VIEWER, OPERATOR, APPROVER].map((token) =>
    ask(route, token === undefined ? {} : { token }),
  );
  expect((await Promise.all(asked)).map(({ status }) => status)).toEqual(expected);
});

test('a wrong token is refused, and the answer says what to do', async () => {
  for (const token of ['wrong', `${VIEWER ?? ''}x`, '']) {
    const { status, headers, body } = await ask('GET /v1/status', { token });
    expect(status).toBe(401);
    expect(headers['www-authenticate']).toBe('Bearer');
    expect(body).toMatchObject({
      error: 'permission_denied',
      message: expect.stringContaining('operator.tokens'),
    });
  }
});

test('a change is audited under the token’s name, with the given name added', async () => {
  const personOf = async (person?: unknown) =>
    (await ask('POST /v1/guard/release', { token: APPROVER ?? '', body: { person } })).body;
  expect(await personOf()).toEqual({ body: { person: 'lead' } });
  expect(await personOf('lead')).toEqual({ body: { person: 'lead' } });
  expect(await personOf('ann')).toEqual({ body: { person: 'ann (token lead)' } });
  expect(await personOf(7)).toEqual({ body: { person: 'lead' } });
});

test('without tokens this machine may do everything, but no page in a browser', async () => {
  for (const route of ROUTES) expect((await ask(route, { at: open })).status).toBe(200);
  for (const host of ['localhost:5580', '127.0.0.1', '[::1]:5580'])
    expect((await ask('POST /v1/guard/release', { at: open, headers: { host } })).status).toBe(200);
  for (const host of ['evil.example.org', '127.0.0.1.example.org', 'localhost.example.org:5580'])
    expect((await ask('POST /v1/guard/release', { at: open, headers: { host } })).status).toBe(403);
});

test('agents need no token: their protocols have none', async () => {
  expect((await ask('POST /v1/services/session-memory')).status).toBe(200);
});

test('the command line says how to send a token, and whether one was sent', async () => {
  const without = await runCommand(['status', '--url', closed]);
  const wrong = await runCommand(['status', '--url', closed, '--token', 'some-other-token']);
  const nowhere = await runCommand(['runs', 'list', '--url', closed, '--token', VIEWER ?? '']);
  expect([without, wrong, nowhere].map(({ code, stderr }) => [code, stderr])).toEqual([
    [1, expect.stringContaining('requires a token: set --token or CROSSFADE_TOKEN')],
    [1, expect.stringContaining('does not know this token: set --token or CROSSFADE_TOKEN')],
    [1, expect.stringContaining(`the server at ${closed} is not the HTTP port of a proxy`)],
  ]);
});
