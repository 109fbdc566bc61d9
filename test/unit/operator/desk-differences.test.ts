import { expect, test } from 'vitest';
import { differencesPage } from '../../../src/operator/desk/pages/differences.ts';
import { shell } from '../../../src/operator/desk/pages/layout.ts';
import type { Visit } from '../../../src/operator/desk/visit.ts';
import type { Status } from '../../../src/operator/status.ts';

const SERVICE = 'session-memory';
const SEEN = { action: 'get_context', class: 'value', shape: '', count: 1, lanes: 1, hint: null };
const [whole, answer] = ['whole_lane[]', 'context[].content'].map((path) => ({
  ...SEEN,
  path,
  last_at: '2026-01-01T00:00:00Z',
}));

async function pageOf(query: Readonly<Record<string, string>>): Promise<string> {
  const service = { service: SERVICE, actions: {}, guard: { held_by: null }, unknown_outcomes: { open: 0 } };
  const proxy = { version: '1', started_at: '2026-01-01T00:00', journal: 'postgres', flags: { source: '' } };
  const get = async (): Promise<unknown> => ({ signatures: [whole, answer], differences: [], rules: [] });
  const visit: Visit = {
    api: { get } as unknown as Visit['api'],
    visitor: { role: 'approver' },
    person: '',
    csrf: '',
    path: '/',
    status: { services: [service], proxy, replicas: { live: 1 }, readiness: {} } as unknown as Status,
  };
  return shell(visit, await differencesPage(visit, { params: { service: SERVICE }, query }));
}

test('a rule is offered for answers, and never for whole lanes, to which none applies', async () => {
  const page = await pageOf({});
  expect(page).toContain('whole_lane[]');
  expect(page).not.toContain('rule=0#try');
  expect(page).toContain('rule=1#try');
  expect(/<textarea.*<\/textarea>/s.exec(page)?.[0]).toContain('context[].content');
});
