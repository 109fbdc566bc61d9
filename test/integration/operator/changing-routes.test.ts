import { readdirSync } from 'node:fs';
import { fastify, type FastifyInstance } from 'fastify';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { ENDPOINTS } from '../../../src/operator/api/endpoints.ts';
import { boundBodies, POSTED_MEMBERS } from '../../../src/operator/posted-bodies.ts';
import { OperatorAccess } from '../../../src/operator/operator-access.ts';
import { type OperatorRole } from '../../../src/operator/api/endpoint.ts';

/** What a route asks for, and what it is asked with here beside who and why. `own`: it has a token of its own. */
type Asked = readonly [role: OperatorRole | 'own', body?: Readonly<Record<string, unknown>>];

const SERVICE = 'session-memory';

/** Every route that changes something: one that is not here fails the test, so that its role is thought of. */
const CHANGES: Readonly<Record<string, Asked>> = {
  '/v1/dead-letters/:operation/copy': ['operator'],
  '/v1/dead-letters/:operation/redrive': ['operator'],
  '/v1/dead-letters/:operation/skip': ['approver'],
  '/v1/ends/:service/accept': ['approver', { subject: 'differences' }],
  '/v1/ends/:service/approve': ['approver', { facts: '0'.repeat(64) }],
  '/v1/ends/:service/backup': [
    'operator',
    { folder: '/b', made_at: '2026-01-01T00:00:00Z', manifest_sha256: '0'.repeat(64), lanes: 0, items: 0 },
  ],
  '/v1/ends/:service/certificate': ['approver', { public_key: 'k', signature: 's' }],
  '/v1/ends/:service/complete': ['approver', { facts: '0'.repeat(64) }],
  '/v1/ends/:service/read-only': ['approver'],
  '/v1/ends/:service/read-only/end': ['approver'],
  '/v1/flags/:flag': ['operator', { share: 1, was: 0 }],
  '/v1/guard/accept': ['approver', { service: SERVICE, subject: 'unclassified' }],
  '/v1/guard/release': ['approver', { service: SERVICE }],
  '/v1/guard/signal': ['own'],
  '/v1/lost': ['approver', { decision: 'accept', service: SERVICE, owner: 'o', memory_id: 'm' }],
  '/v1/restored/accept': ['approver', { service: SERVICE, owners: ['o'] }],
  '/v1/restored/backups': ['operator', { until: '2026-01-01T00:00:00Z' }],
  '/v1/reverse/:operation/assume-applied': ['approver'],
  '/v1/reverse/:operation/retry': ['approver'],
  '/v1/reverse/:operation/skip': ['approver'],
  '/v1/rollbacks': ['approver', { service: SERVICE, all: true }],
  '/v1/rollbacks/:rollback/stop': ['operator'],
  '/v1/rules': ['approver', { service: SERVICE, rules: [] }],
  '/v1/rules/:rule/remove': ['operator'],
  '/v1/runs': ['operator', { kind: 'backfill' }],
  '/v1/runs/:run/repair': ['approver'],
  '/v1/runs/:run/stop': ['operator'],
  '/v1/runs/:run/undo': ['approver'],
  '/v1/runs/resume': ['operator', { kind: 'backfill' }],
  '/v1/services/:service/flips/first': ['approver', { owner: 'o' }],
  '/v1/services/:service/flips/hold': ['operator'],
  '/v1/services/:service/flips/lift': ['approver'],
  '/v1/services/:service/lanes/accept': ['approver', { owner: 'o' }],
  '/v1/services/:service/lanes/copy': ['operator', { owner: 'o' }],
  '/v1/unknown-outcomes/:operation/assume': ['approver', { outcome: 'applied' }],
};

/** What is posted because it is long, and changes nothing. */
const LOOKS: Readonly<Record<string, Asked>> = {
  '/v1/rules/try': ['viewer', { service: SERVICE, rules: [] }],
  '/v1/runs/rehearse': ['operator', { kind: 'backfill' }],
};

const ROLES = ['viewer', 'operator', 'approver'] as const;
const tokenOf = (role: OperatorRole): string => `the-token-of-the-${role}`;

const app = fastify();
const posted: string[] = [];
const registered = new Set<string>();

/** Registers all that the folders hold, whatever it is called: nothing that is added later is forgotten here. */
async function registerAll(scope: FastifyInstance): Promise<void> {
  new OperatorAccess(ROLES.map((role) => ({ name: role, role, token: tokenOf(role) }))).guard(scope);
  boundBodies(scope);
  for (const folder of ['routes', 'report']) {
    const at = new URL(`../../../src/operator/${folder}/`, import.meta.url);
    for (const file of readdirSync(at).filter((name) => name.endsWith('routes.ts'))) {
      const exported = (await import(new URL(file, at).href)) as Record<string, unknown>;
      for (const [name, register] of Object.entries(exported))
        if (name.startsWith('register') && typeof register === 'function')
          (register as (to: FastifyInstance, parts: object) => void)(scope, {
            services: [SERVICE],
            desk: {},
          });
    }
  }
}

beforeAll(async () => {
  app.addHook('onRoute', ({ method, url }) => {
    const methods = [method].flat();
    for (const one of methods) if (one !== 'HEAD') registered.add(`${one} ${url}`);
    if (!methods.some((one) => one === 'GET' || one === 'HEAD')) posted.push(url);
  });
  await app.register(registerAll);
  await app.ready();
});
afterAll(() => app.close());

function addressOf(route: string): string {
  return route
    .replace(':operation', '0d9b0c9e-0000-7000-8000-000000000001')
    .replace(':flag', 'crossfade.session-memory.read-cutover')
    .replace(':service', SERVICE)
    .replace(/:\w+/, '1');
}

async function post(route: string, role: OperatorRole | undefined, payload: object) {
  const headers = role === undefined ? {} : { authorization: `Bearer ${tokenOf(role)}` };
  const { statusCode, payload: text } = await app.inject({
    method: 'POST',
    url: addressOf(route),
    headers,
    payload,
  });
  return { status: statusCode, text };
}

test('every POST route is listed here', () => {
  expect(posted.toSorted()).toEqual([...Object.keys(CHANGES), ...Object.keys(LOOKS)].toSorted());
});

test('the table of endpoints lists exactly the registered routes', () => {
  const declared = Object.values(ENDPOINTS).map(({ method, path }) => `${method} ${path}`);
  expect([...registered].toSorted()).toEqual(declared.toSorted());
});

test('the OpenAPI document describes every registered route', async () => {
  const { payload } = await app.inject({
    url: '/openapi.json',
    headers: { authorization: `Bearer ${tokenOf('viewer')}` },
  });
  const { openapi, paths } = JSON.parse(payload) as {
    openapi: string;
    paths: Record<string, Record<string, { responses: object }>>;
  };
  expect(openapi).toMatch(/^3\.1/);
  const described = Object.entries(paths).flatMap(([path, operations]) =>
    Object.keys(operations).map(
      (method) => `${method.toUpperCase()} ${path.replaceAll(/\{(\w+)\}/g, ':$1')}`,
    ),
  );
  expect(described.toSorted()).toEqual([...registered].toSorted());
});

test('every POST route has a list of its body’s members', () => {
  expect(Object.keys(POSTED_MEMBERS).toSorted()).toEqual(posted.toSorted());
});

describe.each(Object.entries({ ...CHANGES, ...LOOKS }))('%s', (route, [, body = {}]) => {
  test('refuses an unknown member of its body by its name', async () => {
    const by = { person: 'ann', reason: 'a test' };
    const { status, text } = await post(route, 'approver', { ...body, ...by, services: ['session-memory'] });
    expect([status, JSON.parse(text)]).toMatchObject([400, { error: 'invalid_request' }]);
    expect(text).toContain(String.raw`unknown member \"services\": the body of`);
  });

  test('refuses a body of more than 64 KiB', async () => {
    const { status } = await post(route, 'approver', { ...body, rules: Array(2_000_000).fill(1) });
    expect(status).toBe(413);
  });
});

const guarded = Object.entries({ ...CHANGES, ...LOOKS }).filter(([, [role]]) => role !== 'own');

describe.each(guarded)('%s', (route, [asked, body = {}]) => {
  test(`admits ${asked} and higher roles only`, async () => {
    expect((await post(route, undefined, body)).status).toBe(401);
    for (const role of ROLES) {
      const { status, text } = await post(route, role, body);
      const isLetIn = ROLES.indexOf(role) >= ROLES.indexOf(asked as OperatorRole);
      expect({ role, isRefused: status === 401 || status === 403, text }).toMatchObject({
        role,
        isRefused: !isLetIn,
      });
    }
  });
});

describe.each(Object.entries(CHANGES).filter(([, [role]]) => role !== 'own'))(
  '%s',
  (route, [, body = {}]) => {
    test.each([
      ['no reason', {}],
      ['a blank one', { reason: '  ' }],
    ])('is refused with %s', async (_name, reason) => {
      const { status, text } = await post(route, 'approver', { ...body, ...reason });
      expect({ status, text }).toMatchObject({
        status: 400,
        text: expect.stringContaining('reason') as string,
      });
    });
  },
);

test.each(['/v1/runs', '/v1/runs/resume', '/v1/runs/rehearse'])(
  'no operator starts or resumes a repair through %s',
  async (route) => {
    const by = { person: 'ann', reason: 'a test' };
    const { status, text } = await post(route, 'operator', { ...by, kind: 'repair' });
    expect({ status, text }).toMatchObject({
      status: 400,
      text: expect.stringContaining('crossfade repair apply RUN') as string,
    });
  },
);
