import type { FastifyInstance } from 'fastify';
import type { Browser, BrowserContextOptions, Page } from 'playwright-core';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { serviceName, type OperationId, type ServiceName } from '../../src/domain/ids.ts';
import { createDesk } from '../../src/operator/desk/desk.ts';
import { LiveBook } from '../../src/operator/live-book.ts';
import { startBrowser } from '../support/desk/browser.ts';
import { freePort } from '../support/ports.ts';

const SERVICE = serviceName('session-memory');
const CHANGED_AT = '2026-07-01T18:30:00.000Z';
const QUANTILES = { p50: 1, p95: 2, p99: 3, count: 4 };
const FLAG = { asked: 0, in_effect: 0, reason: 'off' };
const VERDICTS = { match: 0, mismatch: 0, not_comparable: 0 };
const WINDOW = { from: CHANGED_AT, compared: 0, differ: 0 };
const FLAGS = ['dual-write', 'shadow-read', 'read-cutover', 'write-cutover', 'legacy-read-only'];

const STATUS = {
  proxy: {
    version: '1',
    started_at: CHANGED_AT,
    journal: 'postgres',
    flags: { source: 'files', fresh: true, kill_switch: false },
  },
  replicas: { live: 1 },
  readiness: {},
  spill: null,
  backlog: {},
  services: [
    {
      service: SERVICE,
      stage: 'read_cutover',
      requested_stage: 'read_cutover',
      flags: Object.fromEntries(FLAGS.map((flag) => [flag, FLAG])),
      guard: { held_by: null, findings: [] },
      comparisons: VERDICTS,
      lane_comparisons: VERDICTS,
      lane_percentage: 1,
      not_comparable_by: {},
      proofs: 1,
      no_proof_by: {},
      unknown_outcomes: { open: 0, readable: true },
      latency_ms: { legacy: QUANTILES, orchestrator: QUANTILES },
      added_ms: QUANTILES,
      reads_by: { legacy: 1, orchestrator: 1 },
      fallbacks: {},
      writes: {},
      repeats: {},
      named_writes: {},
      legacy_only: [],
      passthrough: [],
      not_flippable: [],
      way_back: null,
      after_flip: [],
      unmapped: [],
      lanes: null,
      lag: null,
    },
  ],
};

const AUDIT = {
  entries: [
    {
      at: CHANGED_AT,
      person: 'ann',
      command: 'guard release',
      service: SERVICE,
      reason: 'a drill',
      details: {},
    },
  ],
  next: null,
};

const AGENTS = {
  agents: [
    {
      service: SERVICE,
      agent: `0x${'0123456789abcdef'.repeat(4)}`,
      dialect: 'zmq',
      requests: 1,
      first_seen: CHANGED_AT,
      last_seen: CHANGED_AT,
    },
  ],
  writers_past_proxy: [
    { service: SERVICE, writer: 'night-job', lanes: 2, last_found: CHANGED_AT, seen_through_proxy: false },
    { service: SERVICE, writer: 'seen', lanes: 1, last_found: CHANGED_AT, seen_through_proxy: true },
  ],
};

const LETTER = {
  operation_id: '0190b6a2-7c1e-7d53-9a4f-3b1c2d4e5f60',
  service: SERVICE,
  lane: `${SERVICE}/ann`,
  sequence: 12_345,
  action: 'add_interaction',
  code: 'validation_error',
  reason: 'too long',
  refused_at: CHANGED_AT,
  attempts: 1,
  state: 'open',
  resolved_by: null,
  resolved_reason: null,
  waiting_behind: 1,
};

function liveBook(): LiveBook {
  const live = new LiveBook([SERVICE as ServiceName]);
  const write = { service: SERVICE, operationId: 'o' as OperationId, lagMs: 12_000 };
  for (let sample = 30; sample > 0; sample -= 1) {
    live.listener('delivery:applied', write as never);
    live.turn(Date.now() - sample * 2_000);
  }
  return live;
}

let app: FastifyInstance;
let browser: Browser;
let origin: string;
let hoursAsked: string[] = [];

beforeAll(async () => {
  const live = liveBook();
  app = await createDesk({
    tokens: [],
    live,
    nowMs: () => 0,
    zone: 'Europe/Berlin',
    registerApi(api) {
      api.get('/v1/status', async () => STATUS);
      api.get('/v1/audit', async () => AUDIT);
      api.get('/v1/agents', async () => AGENTS);
      api.get('/v1/dead-letters', async () => ({ dead_letters: [LETTER] }));
      api.get('/v1/consistency', async () => ({
        services: { [SERVICE]: { last_hour: WINDOW, today: WINDOW } },
      }));
      api.get('/v1/services/:service/live', async () => ({ samples: live.samplesOf(SERVICE) }));
      api.get<{ Querystring: { hours: string } }>('/v1/services/:service/history', async ({ query }) => {
        hoursAsked.push(query.hours);
        const at = new Date(Math.floor(Date.now() / 600_000) * 600_000 - 600_000).toISOString();
        const sample = { at, writes: 0, match: 6_000, mismatch: 600, added_p95_ms: 1_500 };
        return { step_seconds: 600, samples: [{ ...sample, reads: { legacy: 1_200, orchestrator: 0 } }] };
      });
    },
  });
  const port = await freePort();
  await app.listen({ host: '127.0.0.1', port });
  origin = `http://127.0.0.1:${port}`;
  browser = await startBrowser();
}, 60_000);

afterAll(async () => {
  await browser?.close();
  await app?.close();
});

async function open(path: string, options: BrowserContextOptions = {}): Promise<Page> {
  const context = await browser.newContext({ timezoneId: 'America/New_York', ...options });
  const page = await context.newPage();
  await page.goto(`${origin}${path}`);
  return page;
}

test('with JavaScript times use the browser’s zone, with UTC as their title', async () => {
  const page = await open('/audit');
  const time = page.locator('tbody time').first();
  expect(await time.textContent()).toBe('2026-07-01 14:30:00 GMT-4');
  expect(await time.getAttribute('title')).toBe('2026-07-01 18:30:00 UTC');
  expect(await page.locator('.foot').textContent()).toContain('America/New_York');
});

test('without JavaScript times use the configured zone, and the page names it', async () => {
  const page = await open('/audit', { javaScriptEnabled: false });
  expect(await page.locator('tbody time').first().textContent()).toBe('2026-07-01 20:30:00 CEST');
  expect(await page.locator('.foot').textContent()).toContain('Europe/Berlin');
});

test('the legend of a chart shows a long last value in seconds', async () => {
  const page = await open(`/services/${SERVICE}`);
  const legend = page.locator('figure[data-chart="lag"] .u-legend');
  await legend.getByText('12 s', { exact: true }).waitFor();
});

test('the last 24 hours come from the journal', async () => {
  hoursAsked = [];
  const page = await open(`/services/${SERVICE}?window=24h`);
  await page.getByText('every minute', { exact: true }).waitFor();
  expect(hoursAsked).toEqual(['24']);
  expect(await page.locator('figure[data-chart]').count()).toBe(3);
});

test('on a phone the guard stays visible, and no page is wider than the window', async () => {
  for (const path of ['/audit', `/services/${SERVICE}`, '/glossary']) {
    const page = await open(path, { viewport: { width: 390, height: 844 } });
    const guard = await page.getByRole('link', { name: 'Guard', exact: true }).first().boundingBox();
    expect(guard?.x).toBeGreaterThanOrEqual(0);
    expect((guard?.x ?? 0) + (guard?.width ?? 0)).toBeLessThanOrEqual(390);
    expect(
      Number(await page.evaluate('document.documentElement.scrollWidth - innerWidth')),
    ).toBeLessThanOrEqual(0);
  }
});

test.each([360, 768, 1_024, 1_280, 1_440])(
  'the links of the pages stay in one row in a window of %i px',
  async (width) => {
    const page = await open('/audit', { viewport: { width, height: 800 } });
    const links = page.locator('.top nav li');
    expect(await links.count()).toBeGreaterThan(10);
    const rows = await links.evaluateAll(
      (items) => new Set(items.map((item) => item.getBoundingClientRect().top)).size,
    );
    expect(rows).toBe(1);
    // From a small laptop on, each link is visible without scrolling.
    const right = await links.evaluateAll((items) =>
      Math.max(...items.map((item) => item.getBoundingClientRect().right)),
    );
    if (width >= 1_024) expect(right).toBeLessThanOrEqual(width);
  },
);

test('on a phone a long agent name is shown completely', async () => {
  const page = await open('/agents', { viewport: { width: 360, height: 740 } });
  const hidden = await page
    .locator('.table-frame')
    .evaluateAll(
      (frames) => frames.filter(({ scrollWidth, clientWidth }) => scrollWidth > clientWidth).length,
    );
  expect(hidden).toBe(0);
});

test('a writer that bypasses the proxy is listed until a proxy sees it', async () => {
  const page = await open('/agents');
  const writers = page.getByRole('group', { name: 'Writers that bypass the proxy' }).locator('tbody tr');
  expect(await writers.allTextContents()).toEqual([expect.stringContaining('night-job')]);
});

test('a dead letter shows its attempts and the number of waiting writes', async () => {
  const page = await open('/dead-letters');
  const card = (await page.locator('.card').innerText()).replaceAll(/\s+/g, ' ');
  expect(card).toContain('write 12,345');
  expect(card).toContain('▲ open');
  expect(card).toContain('Attempts 1');
  expect(card).toContain('Later writes waiting 1');
});
