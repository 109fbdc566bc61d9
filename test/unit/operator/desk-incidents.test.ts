import type { Status } from '../../../src/operator/api/status.ts';
import { expect, test } from 'vitest';
import { inZone, shell } from '../../../src/operator/desk/pages/layout.ts';
import { incidentsOf, troubleOf } from '../../../src/operator/views/incidents.ts';
import { killSwitch } from '../../../src/operator/desk/pages/flags.ts';
import { latchOf } from '../../../src/operator/desk/pages/latch.ts';
import { overviewPage } from '../../../src/operator/desk/pages/overview.ts';
import { html, when } from '../../../src/operator/views/html.ts';
import type { Visit } from '../../../src/operator/desk/visit.ts';
import { answeringApi } from '../../support/desk/answering-api.ts';
import { statusWith } from '../../support/desk/status.ts';

const SERVICE = 'session-memory';
const TRIPPED = '2026-11-22T19:31:09.000Z';
const FLAG = { asked: 0, in_effect: 0, reason: 'off' };
const QUANTILES = { p50: null, p95: null, p99: null, count: 0 };
const FINDING = {
  service: SERVICE,
  trigger: 'inconsistency',
  steps: ['reads_to_legacy'],
  numbers: { hits: 21, of: 25, lower_bound: 0.452, limit: 0.001 },
};
const LATCH = { id: 7, tripped_at: TRIPPED, cool_down_until: TRIPPED, finding: FINDING };
const FREE = { held_by: null, findings: [] };
const LATCHED = { held_by: 'inconsistency', latch: LATCH, findings: [FINDING] };

const FLAGS = {
  'dual-write': FLAG,
  'shadow-read': FLAG,
  'read-cutover': FLAG,
  'write-cutover': FLAG,
  'legacy-read-only': FLAG,
};

interface World {
  readonly guard?: object;
  readonly flags?: object;
  readonly spill?: object;
  readonly isLegacyDown?: boolean;
  /** Further facts of the service. */
  readonly facts?: object;
}

function statusOf({ guard = FREE, flags = {}, spill, isLegacyDown = false, facts = {} }: World = {}): Status {
  const proxy = {
    version: '1',
    started_at: TRIPPED,
    journal: 'postgres',
    memory_rss_mb: 1,
    flags: { source: 'files', fresh: true, kill_switch: false, ...flags },
  };
  const service = {
    service: SERVICE,
    stage: 'read_cutover',
    requested_stage: 'read_cutover',
    flags: FLAGS,
    guard,
    // Of a process that was started a moment ago.
    comparisons: { match: 3, mismatch: 0, not_comparable: 0 },
    unknown_outcomes: { open: 0, readable: true },
    unmapped_writes: {},
    latency_ms: { legacy: QUANTILES, orchestrator: QUANTILES },
    added_ms: QUANTILES,
    lanes: null,
    lag: null,
    pending: 0,
    ...facts,
  };
  return statusWith({
    proxy,
    services: [service],
    readiness: { [SERVICE]: { ok: !isLegacyDown } },
    replicas: { live: 1 },
    backlog: {},
    spill: spill ?? null,
  });
}

function visitOf(status: Status | undefined, answers: Readonly<Record<string, object>> = {}): Visit {
  return {
    api: answeringApi((path) => answers[path]),
    visitor: { role: 'approver' },
    person: '',
    csrf: '',
    path: '/runs',
    status,
    zone: 'Europe/Berlin',
  };
}

const pageOf = (visit: Visit): string => shell(visit, { title: 'Runs', body: html`<p>any page</p>` });

test('every page shows what the guard stopped, since when, and that agents are safe', () => {
  const page = pageOf(visitOf(statusOf({ guard: LATCHED })));
  expect(page).toContain('inconsistency, 21 of 25 differ (84 %)');
  expect(page).toMatch(/Since <time datetime="2026-11-22T19:31:09.000Z"[^>]*>2026-11-22 20:31:09/);
  expect(page).toContain('Agents are safe');
  expect(page).toContain('href="/guard/bundles/7">See why');
  expect(page).toContain(`href="/guard?release=${SERVICE}#g-${SERVICE}">Release`);
});

test('a page without an incident has no banner', () => {
  expect(pageOf(visitOf(statusOf()))).not.toContain('class="incident ');
});

test('agents are not called safe while the legacy service does not answer', () => {
  const incidents = incidentsOf(statusOf({ guard: LATCHED, isLegacyDown: true }), undefined);
  expect(incidents).toHaveLength(2);
  expect(incidents.map(({ agents }) => agents).join(' ')).not.toContain('Agents are safe');
});

test.each([
  ['the kill switch', { flags: { kill_switch: true } }, 'The kill switch is on'],
  ['stale flags', { flags: { fresh: false, last_error: 'broken JSON' } }, 'cannot be read: broken JSON'],
  ['a journal that is away', { spill: { spilling: true, writes: 3, oldest_at: TRIPPED } }, 'does not answer'],
])('%s is an incident on every page', (_, world, words) => {
  expect(pageOf(visitOf(statusOf(world)))).toContain(words);
});

const LANES = {
  total: 9,
  flipped: 0,
  seeded: 9,
  dirty: 0,
  copying: 0,
  stopped: 0,
  excepted: 0,
  differs: 0,
  legacy_differs: 0,
};
const KILL_SWITCH_OFF = {
  source: 'files',
  fresh: true,
  editable: true,
  server: null,
  flags: [{ name: 'crossfade.kill-switch', service: null, flag: 'kill-switch', kind: 'switch', asked: 0 }],
} as const;
const FOUND = '2026-11-22T18:00:00.000Z';

test('stopped lanes are an incident with its start, the answering side, and commands', () => {
  const lost = { lanes: { ...LANES, stopped: 2 }, lost_items: 3, open_since: { lost: FOUND } };
  const page = pageOf(visitOf(statusOf({ facts: lost })));
  expect(page).toContain('2 lanes of session-memory are stopped, and legacy lost 3 items.');
  expect(page).toContain(`Since <time datetime="${FOUND}"`);
  expect(page).toContain('without the items that it lost');
  expect(page).not.toContain('Agents are safe');
  expect(page).toContain(`href="/lost?service=${SERVICE}">Restore or accept the items`);
  const undone = { lanes: { ...LANES, stopped: 1 }, lost_items: 0, open_since: {} };
  const [incident] = incidentsOf(statusOf({ facts: undone }), undefined);
  expect(incident?.what).toBe('1 lane of session-memory is stopped');
  expect(incident?.since).toBeUndefined();
  expect(incident?.agents).toContain('Agents are safe');
  expect(incident?.next.map(({ label }) => label)).toEqual(['See the lanes']);
});

test('a trip and the kill switch say how many lanes they do not move', () => {
  const stays = '3 flipped lanes stay on the orchestrator: neither a trip nor the kill switch moves';
  const facts = { lanes: { ...LANES, flipped: 3 } };
  for (const world of [{ flags: { kill_switch: true } }, { guard: LATCHED }]) {
    const [incident] = incidentsOf(statusOf({ ...world, facts }), undefined);
    expect(incident?.agents).toContain(stays);
    const [other] = incidentsOf(statusOf({ ...world, facts: { lanes: LANES } }), undefined);
    expect(other?.agents).toContain('legacy answers every read');
  }
});

test('the kill switch says what it does not move, before it is switched on', async () => {
  const status = statusOf({ facts: { lanes: { ...LANES, flipped: 3 } } });
  const shown = killSwitch(KILL_SWITCH_OFF, status).toString();
  expect(shown).toContain('3 flipped lanes stay on the orchestrator');
  expect(killSwitch(KILL_SWITCH_OFF, undefined).toString()).not.toContain('stay on');
});

test('legacy that differs in flipped lanes is an incident without danger for agents', () => {
  const facts = { lanes: { ...LANES, flipped: 3, legacy_differs: 1 } };
  const [incident] = incidentsOf(statusOf({ facts, isLegacyDown: true }), undefined).filter(({ what }) =>
    what.startsWith('Legacy differs'),
  );
  expect(incident).toMatchObject({
    tone: 'warn',
    what: 'Legacy differs in 1 flipped lane of session-memory',
  });
  expect(incident?.agents).toContain('the orchestrator is primary');
});

test('differing lanes are an incident with its start, the answering side, and commands', () => {
  const facts = { lanes: { ...LANES, differs: 1 }, lost_items: 0, open_since: { differs: FOUND } };
  const [incident] = incidentsOf(statusOf({ facts }), undefined);
  expect(incident).toMatchObject({
    what: '1 lane of session-memory differs between the backends',
    since: FOUND,
    next: [{ to: `/lanes?service=${SERVICE}&state=differs` }, { to: '/runs' }],
  });
  expect(incident?.agents).toContain('Agents are safe');
  const down = incidentsOf(statusOf({ facts, isLegacyDown: true }), undefined);
  expect(down.map(({ agents }) => agents).join(' ')).not.toContain('Agents are safe');
  expect(incidentsOf(statusOf({ facts: { ...facts, lanes: LANES } }), undefined)).toEqual([]);
});

test('without a status the banner says that the journal does not answer', () => {
  expect(incidentsOf(undefined, undefined).map(({ what }) => what)).toEqual(['The journal does not answer']);
});

test('a release warns while the guard still finds what tripped it', () => {
  const visit = visitOf(statusOf());
  const of = (findings: readonly object[]): string => {
    const [service] = statusOf({ guard: { ...LATCHED, findings } }).services;
    return latchOf(visit, { service: SERVICE, guarded: service?.guard ?? expect.fail() }).toString();
  };
  expect(of([FINDING])).toContain('The guard still finds: inconsistency: 21 of 25 differ');
  expect(of([])).not.toContain('still finds');
});

test('the desk shows consistency of all replicas by window, not since the start', async () => {
  const window = { from: TRIPPED, compared: 0, differ: 0 };
  const services = {
    [SERVICE]: { last_hour: window, today: { ...window, compared: 115_432, differ: 5_368 } },
  };
  const answers = {
    '/v1/flags': { source: 'files', editable: true, server: null, flags: [] },
    '/v1/consistency': { zone: 'UTC', services },
  };
  const page = (await overviewPage(visitOf(statusOf(), answers))).body.toString();
  expect(page).toMatch(/Consistency, last hour.*nothing compared/s);
  expect(page).toMatch(/Consistency, today.*95\.3 %.*115,432 compared.*5,368 differ/s);
  expect(page).not.toContain('100 %</strong>');
});

test('the desk shows a requested stage that is not active, with the reason', async () => {
  const flags = { ...FLAGS, 'read-cutover': { asked: 5, in_effect: 0, reason: 'latched' } };
  const status = statusOf({ facts: { stage: 'shadow_read', flags } });
  const answers = { '/v1/flags': { flags: [], editable: true, server: null } };
  const page = (await overviewPage(visitOf(status, answers))).body.toString();
  expect(page).toContain('<strong>shadow read</strong>');
  expect(page).toContain('◆ requested: read cutover');
  expect(page).toContain('read-cutover: stopped by the guard');
});

test('a service has a fader for its reads and one for its writes', async () => {
  const answers = { '/v1/flags': { source: 'files', editable: true, server: null, flags: [] } };
  const page = (await overviewPage(visitOf(statusOf(), answers))).body.toString();
  expect(page).toContain('id="reads-session-memory"');
  expect(page).toContain('id="writes-session-memory"');
});

test('an instant is shown in the configured zone, with UTC as its title', () => {
  const page = inZone(html`${when('2026-07-01T22:00:00Z')}`.toString(), 'Europe/Berlin');
  expect(page).toMatch(/title="2026-07-01 22:00:00 UTC">2026-07-02 00:00:00 <span class="zone">CEST</);
});

test.each([
  ['nothing', {}, 0, undefined],
  ['lost items', { lost_items: 2, dead_letters: 1 }, 3, '2 lost items'],
  ['a stopped lane', { lanes: { stopped: 1, differs: 1 } }, 0, '1 stopped lane'],
  ['a lane that differs', { lanes: { stopped: 0, differs: 1 } }, 0, '1 lane with differences'],
  ['a dead letter', { dead_letters: 1 }, 0, '1 dead letter'],
  ['answers that differ', {}, 6, 'Answers differ'],
  ['an alert of the guard', { guard: { ...FREE, findings: [FINDING] } }, 0, 'Guard alert'],
] as const)('the lamp of a service shows %s', (_what, facts, differing, trouble) => {
  const [service] = statusOf().services;
  if (service === undefined) throw new Error('there is no service');
  const shown = { ...service, lanes: null, lost_items: 0, dead_letters: 0, ...facts };
  expect(troubleOf(shown as typeof service, differing)).toBe(trouble);
});
