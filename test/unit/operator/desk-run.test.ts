import { expect, test } from 'vitest';
import { runPage } from '../../../src/operator/desk/pages/run.ts';
import { shell } from '../../../src/operator/desk/pages/layout.ts';
import type { Visit } from '../../../src/operator/desk/visit.ts';
import { answeringApi } from '../../support/desk/answering-api.ts';

const SIDE = { items: 1, digest: '0'.repeat(32) };
const LANE = { service: 'session-memory', findings: [], before: SIDE, after: SIDE };

async function pageOf(run: object, divergences: readonly object[] = []): Promise<string> {
  const shown = {
    run: 7,
    kind: 'reconcile',
    state: 'finished',
    reason: '',
    began_at: '2026-11-22T12:00:00.000Z',
    finished_at: '2026-11-22T12:00:01.000Z',
    result: null,
    lanes: 0,
    lanes_done: 0,
    brake: null,
    services: {},
    survey: {},
    request: { services: ['session-memory'], scope: 'full' },
    ...run,
  };
  const get = async (path: string): Promise<unknown> => {
    if (path.endsWith('/divergences')) return { divergences };
    return path.endsWith('/repair-plan') ? { findings: 0, share: 0, refusal: null, lanes: [] } : shown;
  };
  const visit: Visit = {
    api: answeringApi(get),
    visitor: { role: 'approver' },
    person: '',
    csrf: '',
    path: '/',
    status: undefined,
  };
  return shell(visit, await runPage(visit, { params: { run: '7' }, query: {} }));
}

test('a reconciliation of changed lanes without any shows that', async () => {
  const changed = { request: { services: ['session-memory'], scope: 'changed' } };
  expect(await pageOf(changed)).toContain('Nothing to compare');
  expect(await pageOf({ ...changed, lanes: 1 })).not.toContain('Nothing to compare');
  expect(await pageOf({ request: { ...changed.request, scope: 'full' } })).not.toContain(
    'Nothing to compare',
  );
  const unread = { ...changed, survey: { 'session-memory': { not_listed: 'no such file' } } };
  expect(await pageOf(unread)).not.toContain('Nothing to compare');
});

test('a lane that differed shows its state: found again, or equal again', async () => {
  const page = await pageOf({ lanes: 2 }, [
    { ...LANE, owner: 'a', state: 'gone', found_again_by: 9 },
    { ...LANE, owner: 'b', state: 'gone' },
  ]);
  expect(page).toMatch(/found again by <a href="\/runs\/9">run 9<\/a>/);
  expect(page).toContain('equal again');
  expect(page).not.toContain('>gone<');
});

test('findings of a lane are shown by item, with time, side, before and after', async () => {
  const finding = {
    side: 'unknown',
    kind: 'removed',
    at: '2026-11-22T19:30:01.000Z',
    place: 3,
    after_fields: { text: 'string(9)#bb' },
  };
  const page = await pageOf({ lanes: 1 }, [
    { ...LANE, owner: 'a', state: 'open', findings: [finding, finding] },
  ]);
  expect(page).toMatch(/2 × (<!--.*?-->)?Missing on the orchestrator \(cause unknown/);
  expect(page.match(/item 3 of legacy/g)).toHaveLength(2);
  expect(page).toContain('2026-11-22T19:30:01.000Z');
  expect(page).toContain('text string(9)#bb');
});
