import { expect, test } from 'vitest';
import { lanesPage } from '../../../src/operator/desk/pages/lanes.ts';
import type { Visit } from '../../../src/operator/desk/visit.ts';
import { answeringApi } from '../../support/desk/answering-api.ts';
import { statusWith } from '../../support/desk/status.ts';

const SERVICE = 'session-memory';
const LANE = {
  condition: 'clean',
  reason: '',
  sequence: 3,
  delivered_sequence: 3,
  seeded_coverage: 1,
  generation: 0,
  exceptions: 0,
  differences: 0,
  found_by_run: null,
  last_write_at: '2026-11-22T19:31:09.000Z',
};
const LANES = {
  total: 240,
  flipped: 0,
  seeded: 238,
  dirty: 2,
  copying: 0,
  stopped: 0,
  excepted: 0,
  differs: 7,
  legacy_differs: 0,
};

async function pageOf(query: Readonly<Record<string, string>>, listed = 101) {
  const asked: string[] = [];
  const visit: Visit = {
    api: answeringApi((path) => {
      asked.push(path);
      return { lanes: Array.from({ length: listed }, (_, index) => ({ ...LANE, owner: `chat-${index}` })) };
    }),
    visitor: { role: 'viewer' },
    person: '',
    csrf: '',
    path: '/lanes',
    status: statusWith({ services: [{ service: SERVICE, lanes: LANES }] }),
  };
  const { body } = await lanesPage(visit, { params: {}, query });
  return { page: String(body), asked: new URLSearchParams(asked[0]?.split('?')[1]) };
}

test('lanes are listed by activity, each with its last write', async () => {
  const { page, asked } = await pageOf({});
  expect(asked.get('order')).toBe('activity');
  expect(page).toContain('<time datetime="2026-11-22T19:31:09.000Z">');
});

test('every state is a filter with the number of its lanes', async () => {
  const { page } = await pageOf({ order: 'owner' });
  expect(page).toMatch(/href="[^"]*state=differs[^"]*order=owner[^"]*"[^>]*>differs <span class="of">7</);
  expect(page).toMatch(/state=dirty[^>]*>dirty <span class="of">2</);
  expect((await pageOf({ state: 'dirty' })).asked.get('state')).toBe('dirty');
  expect((await pageOf({ unwell: 'true' })).asked.get('state')).toBe('unwell');
});

test('a list shows its position, and links to the rest', async () => {
  const { page, asked } = await pageOf({ page: '2' });
  expect(asked.get('offset')).toBe('100');
  expect(page).toContain('Lanes 101 to 200');
  expect(page).toContain('page=3');
  expect((await pageOf({ page: '2' }, 3)).page).not.toContain('page=3');
});

test.each([{ state: 'banana' }, { order: 'banana' }, { page: '-1' }])(
  '%o falls back to the default',
  async (query) => {
    const { asked } = await pageOf(query);
    expect([asked.get('state'), asked.get('order'), asked.get('offset')]).toEqual(['all', 'activity', '0']);
  },
);
