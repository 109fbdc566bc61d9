import { expect, test } from 'vitest';
import { differencesPage } from '../../../src/operator/desk/pages/differences.ts';
import { shell } from '../../../src/operator/desk/pages/layout.ts';
import type { Visit } from '../../../src/operator/desk/visit.ts';
import { answeringApi } from '../../support/desk/answering-api.ts';
import { statusWith } from '../../support/desk/status.ts';

const SERVICE = 'session-memory';
const SEEN = { action: 'get_context', class: 'value', shape: '', count: 1, lanes: 1, hint: null };
const [whole, answer] = ['whole_lane[]', 'context[].content'].map((path) => ({
  ...SEEN,
  path,
  last_at: '2026-01-01T00:00:00Z',
}));

const TODAY = { from: '2026-01-01T00:00:00Z', compared: 1_284, differ: 0 };

async function pageOf(
  query: Readonly<Record<string, string>>,
  differences: readonly object[] = [],
  asked: string[] = [],
  signatures: readonly unknown[] = [whole, answer],
): Promise<string> {
  const service = {
    service: SERVICE,
    lanes: null,
    actions: {},
    flags: { 'shadow-read': { asked: 100 } },
    guard: { held_by: null },
    unknown_outcomes: { open: 0 },
  };
  const proxy = { version: '1', started_at: '2026-01-01T00:00', journal: 'postgres', flags: { source: '' } };
  const get = async (path: string): Promise<unknown> => {
    asked.push(path);
    if (path === '/v1/consistency') return { services: { [SERVICE]: { today: TODAY } } };
    return { signatures, differences, rules: [] };
  };
  const visit: Visit = {
    api: answeringApi(get),
    visitor: { role: 'approver' },
    person: '',
    csrf: '',
    path: '/',
    status: statusWith({ services: [service], proxy, replicas: { live: 1 } }),
  };
  return shell(visit, await differencesPage(visit, { params: { service: SERVICE }, query }));
}

test('a rule is offered for answers, and never for whole lanes', async () => {
  const page = await pageOf({});
  expect(page).toContain('whole_lane[]');
  expect(page).not.toContain('rule=0#try');
  expect(page).toContain('rule=1#try');
  expect(/<textarea.*<\/textarea>/s.exec(page)?.[0]).toContain('context[].content');
});

const FOUND = {
  action: 'get_context',
  lane: `${SERVICE}/chat-1`,
  primary: 'legacy',
  verdict: 'mismatch',
  differences: [{ path: 'a', class: 'value', legacy: 'x#1', orchestrator: 'x#2' }],
  suppressed: 0,
};
const found = (id: number, more: object = {}) => ({
  ...FOUND,
  id,
  operation_id: `o-${id}`,
  at: new Date(Date.UTC(2026, 10, 22, 19, 0, id)).toISOString(),
  ...more,
});

test('equal differences of a lane are shown once, with count and first time', async () => {
  const page = await pageOf({}, [found(9), found(8), found(7, { lane: `${SERVICE}/chat-2` }), found(6)]);
  expect(page.match(/<article class="found">/g)).toHaveLength(2);
  expect(page).toMatch(/, 3 times since\s*<time datetime="2026-11-22T19:00:06.000Z"/);
});

test('differences are filtered by action, lane, cause and time, and paged', async () => {
  const asked: string[] = [];
  const many = Array.from({ length: 26 }, (_, index) => found(50 - index, { lane: `${SERVICE}/${index}` }));
  const query = { action: 'get_context', owner: 'chat-1', path: '', class: 'value', hours: '24' };
  const page = await pageOf(query, many, asked);
  const search = new URLSearchParams(asked.find((path) => path.includes('/differences?'))?.split('?')[1]);
  expect(Object.fromEntries(search)).toEqual({ ...query, limit: '26' });
  // Twenty-five of them are shown; the last one of these ends the page.
  expect(page).toMatch(/href="[^"]*before=26[^"]*#found">Older/);
  expect(page).toContain('Cause: value at <code>(whole answer)</code>');
});

test('a filter without matches shows that and stays', async () => {
  const page = await pageOf({ owner: 'nobody' });
  expect(page).toContain('No stored difference matches this filter');
  expect(page).toContain('value="nobody"');
});

test('an empty list shows what was compared today on all replicas', async () => {
  const page = await pageOf({}, [], [], []);
  expect(page).toContain('1,284 comparisons today on all replicas');
});
