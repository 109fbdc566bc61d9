import type { Status } from '../../../src/operator/api/status.ts';
import { expect, test } from 'vitest';
import { ApiRefusal } from '../../../src/operator/desk/operator-api.ts';
import { bundlePage } from '../../../src/operator/desk/pages/bundle.ts';
import { guardPage } from '../../../src/operator/desk/pages/guard.ts';
import type { Visit } from '../../../src/operator/desk/visit.ts';
import { answeringApi } from '../../support/desk/answering-api.ts';
import { statusWith } from '../../support/desk/status.ts';

const SERVICE = 'session-memory';
const at = (second: number): number => Date.UTC(2026, 10, 22, 19, 31, second);
const FINDING = { trigger: 'inconsistency', detail: '1m', numbers: { hits: 5, of: 44, limit: 0.001 } };
const entry = (second: number, more: object) => ({
  person: 'ann',
  service: SERVICE,
  reason: 'to try it',
  atMs: at(second),
  at: new Date(at(second)).toISOString(),
  details: {},
  ...more,
});
const FLAG_SET = { command: 'flags set', details: { flag: 'crossfade.x.read-cutover', from: 0, to: 15 } };

const BUNDLE = {
  bundle: 1,
  service: SERVICE,
  latch: { trippedAtMs: at(10), coolDownUntilMs: at(20), finding: FINDING },
  status: { service: { flags: { 'read-cutover': { asked: 15, in_effect: 0 } } } },
  minutes: [{ minute: new Date(at(0)).toISOString(), counts: { comparable: 44, mismatches: 5 } }],
  signatures: [
    {
      action: 'get_context',
      path: 'context[]',
      class: 'missing_in_orchestrator',
      shape: 'object → absent',
      count: 5,
      lanes: 1,
      hint: null,
      first_at: new Date(at(5)).toISOString(),
      last_at: new Date(at(9)).toISOString(),
    },
  ],
  differences: [{ operation_id: 'o-1' }, { operation_id: 'o-1' }, { operation_id: 'forgotten' }],
  audit: [entry(1, FLAG_SET)],
  versions: { crossfade: '0.1.0' },
  settings: {},
};

function visitOf(bundle: object | undefined, status?: Status): Visit {
  const answers: Readonly<Record<string, object>> = {
    [`/v1/audit?service=${SERVICE}&limit=200`]: {
      entries: [entry(30, { command: 'guard release', reason: 'equal again' }), entry(1, FLAG_SET)],
    },
    [`/v1/services/${SERVICE}/differences?limit=1000`]: {
      differences: [{ operation_id: 'o-1', lane: `${SERVICE}/chat-1` }],
    },
    '/v1/guard': { services: {} },
    '/v1/guard/bundles': {
      bundles: [
        { bundle: 1, service: SERVICE, at: BUNDLE.signatures[0]?.first_at, trigger: 'latency', bytes: 9 },
      ],
    },
  };
  const get = async (path: string): Promise<unknown> => {
    const found = path === '/v1/guard/bundles/1' ? bundle : answers[path];
    if (found === undefined) throw new ApiRefusal(404, 'bundle_not_found', 'there is no such bundle');
    return found;
  };
  return {
    api: answeringApi(get),
    visitor: { role: 'approver' },
    person: '',
    csrf: '',
    path: '/',
    status,
  };
}

async function pageOf(visit: Visit): Promise<string> {
  const { title, lead, body } = await bundlePage(visit, { params: { bundle: '1' }, query: {} });
  return `${title} ${String(lead)} ${String(body)}`;
}

test('a trip is a page: trigger, time line, signatures, lanes and earlier changes', async () => {
  const page = await pageOf(visitOf(BUNDLE));
  expect(page).toContain('Trip 1 of session-memory');
  expect(page).toContain('inconsistency, 5 of 44 differ (11.4 %)');
  expect(page).toMatch(/id="timeline".*from 0 % to 15 %.*first seen.*the guard tripped.*guard release/s);
  expect(page).toMatch(/id="signatures".*context\[\].*missing in orchestrator/s);
  expect(page).toMatch(/href="\/lanes\/session-memory\/chat-1".*<div>2<\/div>/s);
  expect(page).toMatch(/id="changes".*crossfade\.x\.read-cutover/s);
  expect(page).toContain('href="/guard/bundles/1/json" download');
});

test('sections that could not be gathered leave a page without them', async () => {
  const missing = { missing: 'not gathered within 5000 ms' };
  const page = await pageOf(
    visitOf({
      ...BUNDLE,
      status: null,
      minutes: null,
      signatures: missing,
      differences: missing,
      audit: missing,
    }),
  );
  expect(page).toContain('the guard tripped');
  expect(page).toContain('No signatures');
});

test('a trip without a stored bundle is shown from its latch', async () => {
  const times = {
    tripped_at: new Date(at(10)).toISOString(),
    cool_down_until: new Date(at(20)).toISOString(),
  };
  const guard = { held_by: 'inconsistency', findings: [], latch: { id: 1, ...times, finding: FINDING } };
  const status = statusWith({ services: [{ service: SERVICE, guard }] });
  const page = await pageOf(visitOf(undefined, status));
  expect(page).toContain('The bundle of this trip is not stored');
  expect(page).not.toContain('/json');
  await expect(pageOf(visitOf(undefined))).rejects.toThrow('there is no such bundle');
});

test('the guard page links each trip to its page and its JSON', async () => {
  const page = String((await guardPage(visitOf(BUNDLE), { params: {}, query: {} })).body);
  expect(page).toContain('<a href="/guard/bundles/1">trip 1</a>');
  expect(page).toContain('href="/guard/bundles/1/json" download');
});
