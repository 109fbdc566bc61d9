import { expect, test } from 'vitest';
import { guardPage } from '../../../src/operator/desk/pages/guard.ts';
import { shell, type Page } from '../../../src/operator/desk/pages/layout.ts';
import {
  deadLettersPage,
  reversePage,
  unknownOutcomesPage,
} from '../../../src/operator/desk/pages/ledgers.ts';
import { lostPage } from '../../../src/operator/desk/pages/lost.ts';
import type { Asked, Visit } from '../../../src/operator/desk/visit.ts';
import { answeringApi } from '../../support/desk/answering-api.ts';
import { statusWith } from '../../support/desk/status.ts';

const SERVICE = 'session-memory';
const NOBODY = { decided_by: null, resolved_by: null, end: null, choices: [] };
const ENTRY = { ...NOBODY, operation_id: 'o-1', lane: `${SERVICE}/s-1`, sequence: 1, state: 'open' };

/** What the API says after the status was read: one of everything waits. */
const NOW: Readonly<Record<string, object>> = {
  'dead-letters': { dead_letters: [{ ...ENTRY, code: 'refused', waiting_behind: 0 }] },
  'unknown-outcomes': { unknown_outcomes: [ENTRY] },
  reverse: { reverse: [{ ...ENTRY, reason: 'undecided', waiting_behind: 0 }] },
  lost: {
    items: [
      { service: SERVICE, owner: 's-1', memory_id: 'm-1', digest: 'd', found_at: '2026-01-01T00:00:00Z' },
    ],
  },
  'guard/bundles': { bundles: [] },
  guard: { services: { [SERVICE]: { held_by: 'external', triggers: [], findings: [] } } },
};

/** Somebody who looks, with a status of `waiting` of everything. */
function visitOf(path: string, waiting: number): Visit {
  const service = {
    service: SERVICE,
    dead_letters: waiting,
    unknown_outcomes: { open: waiting },
    reverse: { halted_lanes: waiting },
    lost_items: waiting,
    lanes: null,
    guard: { held_by: waiting > 0 ? 'external' : null },
  };
  const proxy = { version: '1', started_at: '2026-01-01T00:00', journal: 'postgres', flags: { source: '' } };
  const get = async (asked: string): Promise<unknown> => NOW[asked.slice('/v1/'.length).split('?')[0] ?? ''];
  return {
    api: answeringApi(get),
    visitor: { role: 'approver' },
    person: '',
    csrf: '',
    path,
    status: statusWith({ services: [service], proxy, replicas: { live: 1 } }),
  };
}

const PAGES = {
  'Dead letters': deadLettersPage,
  'Unknown outcomes': unknownOutcomesPage,
  'Reverse delivery': reversePage,
  'Lost items': lostPage,
  Guard: guardPage,
} satisfies Readonly<Record<string, (visit: Visit, asked: Asked) => Promise<Page>>>;

/** What the navigation says waits at a place; 0 where it says nothing. */
function saidOf(place: string, page: string): number {
  const [link = ''] = new RegExp(`<a[^>]*\\s*>${place}(?: <span.*?)?</a`, 's').exec(page) ?? [];
  expect(link).toContain(place);
  return Number(/badge">(\d+)/.exec(link)?.[1] ?? 0);
}

async function pageOf(place: keyof typeof PAGES, query: Asked['query'], waiting: number): Promise<string> {
  const visit = visitOf('/', waiting);
  return shell(visit, await PAGES[place](visit, { params: {}, query }));
}

test.each(Object.keys(PAGES) as (keyof typeof PAGES)[])(
  '%s: changes since the status are on the page and in its navigation, or neither',
  async (place) => {
    expect(saidOf(place, await pageOf(place, {}, 0))).toBe(1);
    for (const other of Object.keys(PAGES).filter((one) => one !== place))
      expect(saidOf(other, await pageOf(place, {}, 0))).toBe(0);
  },
);

test.each(['Dead letters', 'Unknown outcomes'] as const)(
  '%s: a part of a ledger does not give the total number',
  async (place) => {
    expect(saidOf(place, await pageOf(place, { service: SERVICE }, 7))).toBe(7);
    expect(saidOf(place, await pageOf(place, { state: 'all' }, 7))).toBe(7);
  },
);

test('the guard is pinned, and pages with something waiting come first', async () => {
  const page = await pageOf('Guard', {}, 7);
  const places = [...page.matchAll(/<li class="([^"]*)">\s*<a\s[^>]*href="([^"]+)"/g)];
  const classes = Object.fromEntries(places.map(([, name, path]) => [path, name]));
  expect(classes).toMatchObject({ '/guard': 'pinned', '/dead-letters': 'urgent', '/audit': '' });
});
