import { fastify } from 'fastify';
import { afterAll, expect, test } from 'vitest';
import { serviceName } from '../../../src/domain/ids.ts';
import { registerAuditRoutes } from '../../../src/operator/routes/audit-routes.ts';
import { registerGuardRoutes } from '../../../src/operator/routes/guard-routes.ts';
import { registerLaneRoutes } from '../../../src/operator/routes/lane-routes.ts';

const SERVICE = serviceName('session-memory');
const REMOVED = 'retired-memory';
const ENTRY = { id: 1, atMs: 0, person: 'ann', command: 'lanes copy', reason: 'why', details: {} };

const app = fastify();
const unused = () => Promise.reject(new Error('not called'));
let askedFromMs: number | undefined;
registerGuardRoutes(app, {
  services: [SERVICE],
  guarding: {
    judged: () => undefined,
    holdOf: () => undefined,
    findingsOf: () => [],
    shadowDroppedFor: () => [],
    flagsOffOf: () => undefined,
  },
  movableActions: () => [],
  levelsOf: () => [],
  release: unused,
  accept: unused,
  signal: unused,
  minutes: async (fromMs) => {
    // The database refuses a time that JavaScript cannot print.
    askedFromMs = new Date(fromMs).getTime();
    return [];
  },
  explain: unused,
  nowMs: () => Date.UTC(2026, 10, 22),
});
registerAuditRoutes(app, {
  services: [SERVICE],
  audit: {
    recent: async ({ service }) => (service === REMOVED ? [{ ...ENTRY, service }] : []),
  },
});
registerLaneRoutes(app, {
  services: [SERVICE],
  list: async () => [],
  flipper: undefined,
  desk: { whyNotCopied: unused, copy: unused },
  audit: { add: unused },
});
afterAll(() => app.close());

async function ask(path: string) {
  const { statusCode, body } = await app.inject(path);
  return { status: statusCode, message: (JSON.parse(body || '{}') as { message?: string }).message };
}

const HOURS = 'hours must be a number above 0 and at most 9999';
const LIMIT = 'limit must be a whole number from 1 to 1000';
const OFFSET = 'offset must be a whole number from 0 to 999999';
const LANES = `/v1/services/${SERVICE}/lanes`;

test.each([
  ['/v1/guard/minutes?hours=1e9', `${HOURS}, got "1e9"`],
  ['/v1/guard/minutes?hours=10000', `${HOURS}, got "10000"`],
  ['/v1/guard/minutes?hours=-1', `${HOURS}, got "-1"`],
  ['/v1/guard/minutes?hours=Infinity', `${HOURS}, got "Infinity"`],
  ['/v1/guard/minutes?hours=1&hours=2', `${HOURS}, got ["1","2"]`],
  ['/v1/audit?limit=1e9', LIMIT],
  ['/v1/audit?limit=-1', LIMIT],
  ['/v1/audit?before=1e9', 'before must be a number as shown in the list'],
  [`${LANES}?limit=1e9`, LIMIT],
  [`${LANES}?offset=-1`, OFFSET],
  [`${LANES}?offset=1e9`, OFFSET],
])('a number out of range is refused with its limit: %s', async (path, message) => {
  expect(await ask(path)).toEqual({ status: 400, message });
});

test('the largest number of hours is taken', async () => {
  expect(await ask('/v1/guard/minutes?hours=9999')).toMatchObject({ status: 200 });
  expect(askedFromMs).toBe(Date.UTC(2026, 10, 22) - 9_999 * 3_600_000);
});

test('the audit log of an unknown service is refused with the known ones', async () => {
  expect(await ask('/v1/audit?service=nope')).toEqual({
    status: 404,
    message: 'unknown service "nope": use session-memory',
  });
});

test.each([SERVICE, REMOVED, 'all'])('the audit log of %s can be listed', async (service) => {
  expect(await ask(`/v1/audit?service=${service}`)).toMatchObject({ status: 200 });
});
