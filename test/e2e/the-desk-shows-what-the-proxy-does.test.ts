import type { Browser, Page } from 'playwright-core';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { TRIGGERS } from '../../src/engine/ports/finding.ts';
import { openWatched, photograph, startBrowser, type Watched } from '../support/desk/browser.ts';
import { startDesk, type DeskDeployment } from '../support/desk/desk-deployment.ts';
import { eventually } from '../support/eventually.ts';
import {
  addInteraction,
  askOnce,
  createSession,
  createSessionAgent,
  getContext,
  type SessionAgent,
} from '../support/session-agent.ts';

const SERVICE = 'session-memory';
/** The orchestrator takes at most 1 MiB of content. */
const TOO_LONG = 'x'.repeat(1_100_000);
const SIGNAL_TOKEN = 'the-token-of-the-watchdog';
const SESSIONS = Array.from({ length: 8 }, (_, index) => `s-desk-${index}`);

let desk: DeskDeployment;
let browser: Browser;
let watched: Watched;
let page: Page;
let agent: SessionAgent;

beforeAll(async () => {
  [desk, browser] = await Promise.all([startDesk({ shadow: SHADOW, guard: GUARD }), startBrowser()]);
  const { deployment } = desk;
  await deployment.ask({ dualWrite: true, shadowRead: 100, readCutover: 50 });
  agent = createSessionAgent(deployment.endpoints[SERVICE]);
  for (const session of SESSIONS) await agent.ask(createSession(session));
  watched = await openWatched(browser, desk.origin);
  page = watched.page;
}, 180_000);

const GUARD = { mode: 'enforce', coolDownSeconds: 0, signalToken: SIGNAL_TOKEN };
/** Texts are kept, so that rules can be tried on them. */
const SHADOW = { queueSize: 1_000, concurrency: 16, timeoutMs: 2_000, sampleHours: 1 };

afterAll(async () => {
  agent?.close();
  await browser?.close();
  await desk?.deployment.end();
});

async function talk(rounds: number): Promise<void> {
  for (let round = 0; round < rounds; round += 1)
    for (const session of SESSIONS) {
      await agent.ask(addInteraction(session, `round ${round} of ${session}`));
      await agent.ask(getContext(session));
    }
}

const open = async (path: string, heading: string): Promise<void> => {
  await page.goto(`${desk.origin}${path}`);
  await page.getByRole('heading', { name: heading, level: 1 }).waitFor();
};

/** Opens a folded form, says who and why, and sends it. */
async function decide(label: string, reason: string): Promise<void> {
  const form = page.locator('details.fold', { has: page.locator('summary', { hasText: label }) }).first();
  await form.locator('summary').click();
  await form.getByLabel('Your name').fill('ann');
  await form.getByLabel('Reason').fill(reason);
  await form.getByRole('button', { name: label }).click();
}

test('the charts of a service follow what happens live', async () => {
  await talk(3);
  await open(`/services/${SERVICE}`, SERVICE);
  await page.getByText('live', { exact: true }).waitFor();
  await page.locator('.u-over').nth(4).waitFor();
  expect(await page.locator('.u-over').count()).toBe(5);
  const samples = async () => Number(await page.evaluate('document.documentElement.dataset.samples'));
  const before = await samples();
  await talk(2);
  await eventually('further samples', async () => (await samples()) >= before + 2);
  const decisions = page.getByRole('region', { name: 'Decisions by reason' });
  await eventually('decisions', async () => (await decisions.textContent())?.includes('covered'));
  const compared = page.getByRole('region', { name: 'Compared' });
  // Every look is a sample of whole lanes; a reload shows those of meanwhile.
  await eventually('whole lanes apart from answers', async () => {
    await page.reload();
    const [, own, lanes] = await compared.getByRole('row').allTextContents();
    return /own answers.*[1-9]/s.test(own ?? '') && /whole lanes.*[1-9]/s.test(lanes ?? '');
  });
  const evidence = page.getByRole('region', { name: 'Evidence by action' });
  const heads = await evidence.getByRole('columnheader').allTextContents();
  expect(heads.map((head) => head.trim())).toEqual(expect.arrayContaining(['Own answers', 'Whole lanes']));
  await page.locator('.u-over').nth(3).waitFor();
  expect(await photograph(page, 'service')).toEqual([]);
});

test('differences are shown side by side, redacted, and rules are tried on them', async () => {
  const secret = 'what nobody but ann may read';
  const [session = ''] = SESSIONS;
  // Past the proxy: legacy holds what the orchestrator does not.
  await askOnce(desk.deployment.direct[SERVICE], addInteraction(session, secret));
  await agent.ask(getContext(session));
  const path = `/services/${SERVICE}/differences`;
  await eventually('a mismatch', async () => {
    await agent.ask(getContext(session));
    return (await desk.deployment.serviceStatus(SERVICE)).comparisons.mismatch > 0;
  });
  // Signatures and differences are written at moments of their own.
  await eventually('its signature, and itself', async () => {
    await open(path, `Differences of ${SERVICE}`);
    return (await page.getByText('By cause').count()) * (await page.locator('.sides').count()) > 0;
  });
  expect(await page.locator('.sides').first().textContent()).toMatch(/absent|#/);
  expect(await page.content()).not.toContain(secret);
  await page
    .getByRole('link', { name: /Try a rule/ })
    .first()
    .click();
  await page.getByRole('button', { name: 'Try', exact: true }).click();
  await page.getByText('names no member of a list').waitFor();
  // Each problem of a rule has a line of its own.
  expect(await page.locator('.notice[role=alert]').innerText()).toMatch(/not usable:\n\s*- rule 1/);
  const rules = page.getByRole('textbox', { name: 'Rules' });
  await rules.fill((await rules.inputValue()).replace('# hidesList', 'hidesList'));
  await page.getByRole('button', { name: 'Try', exact: true }).click();
  await page.getByText('would match').waitFor();
  expect(await photograph(page, 'differences')).toEqual([]);
  await decide('Put the rules in force', 'it may differ for now');
  await page.getByText(/Rule \d+ will be in force on every replica within 5 s/).waitFor();
  // Every replica reads it within 5 s, this one too.
  await eventually(
    'the rule on the page',
    async () => {
      await open(path, `Differences of ${SERVICE}`);
      return (await page.getByText(/added, number \d+/).count()) === 1;
    },
    30_000,
  );
  await decide('Remove the rule', 'it must not differ after all');
  await page.getByText(/Rule \d+ is no longer in force/).waitFor();
  await page.getByRole('textbox', { name: 'Rules' }).fill('- action: get_context\n  kind: guess');
  await page.getByRole('button', { name: 'Try', exact: true }).click();
  await page.getByText('kind must be one of').waitFor();
});

test('a lane is found by its owner, explained, and copied again', async () => {
  await open('/lanes', 'Lanes');
  expect(await page.getByRole('row').count()).toBe(SESSIONS.length + 1);
  expect(await photograph(page, 'lanes')).toEqual([]);
  await page.getByLabel('Owner begins with').fill('s-desk-3');
  await page.getByRole('button', { name: 'Find' }).click();
  await page.getByRole('link', { name: 's-desk-3' }).click();
  await page.getByRole('heading', { name: 's-desk-3', level: 1 }).waitFor();
  expect(await photograph(page, 'lane')).toEqual([]);
  await page.getByText('Copy the lane').first().click();
  await page.getByLabel('Your name').first().fill('ann');
  await page.getByLabel('Reason').first().fill('to see both sides equal');
  await page.getByRole('button', { name: 'Copy the lane' }).click();
  await page.getByText('The lane is being copied.').waitFor();
  await eventually('another generation', async () => {
    await page.reload();
    return /generation\s*1/.test((await page.locator('.figures').first().textContent()) ?? '');
  });
  await open('/lanes?owner=nobody', 'Lanes');
  await page.getByText('No such lane').waitFor();
});

test('a dead letter is shown, and skipped by a person', async () => {
  await open('/dead-letters', 'Dead letters');
  await page.getByText('No open dead letters').waitFor();
  expect(await photograph(page, 'empty')).toEqual([]);
  await agent.ask(addInteraction('s-desk-5', TOO_LONG));
  await agent.ask(addInteraction('s-desk-5', 'behind it'));
  await eventually('an open letter', async () => {
    await open('/dead-letters', 'Dead letters');
    return (await page.locator('.card').count()) === 1;
  });
  expect(await page.getByRole('link', { name: /^Dead letters 1/ }).count()).toBe(1);
  await open('/', 'Desk');
  const readings = page.getByRole('article', { name: SERVICE }).locator('.readings');
  expect(await readings.textContent()).toMatch(
    /Replication lag\s*[\d.]+ (?:s|min)\s*[1-9]\d* writes? to deliver/,
  );
  await open('/dead-letters', 'Dead letters');
  await page.getByText('Send it again').first().click();
  expect(await photograph(page, 'dead-letters')).toEqual([]);
  await page.getByText('Skip it for good').first().click();
  await page.getByLabel('Reason').last().fill('nobody needs it');
  await page.getByRole('button', { name: 'Skip it for good' }).click();
  await page.getByText('The write is skipped for good.').waitFor();
  await page.getByRole('link', { name: 'ended' }).click();
  expect(await page.locator('.card').textContent()).toMatch(/skipped.*ann: nobody needs it/s);
});

test('the guard shows how close a trip is, and a person releases a latch', async () => {
  await open('/guard', 'Guard');
  expect(await page.locator('.triggers li').count()).toBe(TRIGGERS.length * 3);
  await fetch(`${desk.deployment.httpUrl}/v1/guard/signal`, {
    method: 'POST',
    headers: { 'content-type': 'application/json', authorization: `Bearer ${SIGNAL_TOKEN}` },
    body: JSON.stringify({ service: SERVICE, person: 'a watcher', reason: 'agents repeat themselves' }),
  });
  // The page is not loaded again: it asks by itself, and its navigation moves with it.
  await page.locator('.lamp', { hasText: /held on legacy by (external|inconsistency)/ }).waitFor();
  expect(await page.getByRole('link', { name: /^Guard 1/ }).count()).toBe(1);
  await open('/guard', 'Guard');
  expect(await photograph(page, 'guard')).toEqual([]);
  await open('/', 'Desk');
  expect(await page.getByRole('article', { name: SERVICE }).textContent()).toContain(
    'Reads are held on legacy',
  );
  expect(await photograph(page, 'desk-latched')).toEqual([]);
  await open('/guard', 'Guard');
  await page.locator('summary', { hasText: 'Release the latch' }).click();
  await page.getByLabel('Reason').first().fill('it was a wrong alarm');
  await page.getByRole('button', { name: /^Release the latch/ }).click();
  await page.getByText(`The latch of ${SERVICE} is released`).waitFor();
});

test('every other page is shown without errors', async () => {
  await open('/unknown-outcomes', 'Unknown outcomes');
  await page.getByText('No unknown outcomes').waitFor();
  await open('/flags', 'Flags');
  expect(await photograph(page, 'flags')).toEqual([]);
  await open('/audit', 'Audit');
  await page.getByLabel('Service').selectOption('jarvis-memory');
  await page.getByRole('button', { name: 'Show' }).click();
  await page.getByText('No changes yet').waitFor();
  await page.getByLabel('Service').selectOption(SERVICE);
  await page.getByRole('button', { name: 'Show' }).click();
  await page.getByRole('row', { name: /dead-letters skip/ }).waitFor();
  const [head, cell] = await Promise.all(['thead th', 'tbody th'].map(boxOfFirst));
  expect(head?.x).toBeCloseTo(cell?.x ?? 0, 0);
  expect(head?.y).toBeLessThan(cell?.y ?? 0);
  expect(await photograph(page, 'audit')).toEqual([]);
  await open('/reports', 'Reports');
  expect(await photograph(page, 'reports')).toEqual([]);
  await page.getByRole('link', { name: 'The day so far', exact: true }).click();
  await page.getByRole('heading', { level: 1 }).waitFor();
  expect(await photograph(page, 'report')).toEqual([]);
  await open('/', 'Desk');
  expect(await photograph(page, 'desk')).toEqual([]);
});

function boxOfFirst(selector: string): Promise<{ x: number; y: number } | null> {
  return page.locator(`.cards ${selector}`).first().boundingBox();
}

test('a missing page reports that, and offers a way back', async () => {
  const before = watched.complaints.length;
  await open('/services/nobody', 'Not found');
  await page.getByText('There is no service “nobody”.').waitFor();
  // To try what is not there once more helps nobody.
  expect(await page.getByRole('link', { name: 'Try again' }).count()).toBe(0);
  expect(await photograph(page, 'not-found')).toEqual([]);
  // The page is left first, because it refreshes itself. The browser reports each 404.
  await open('/', 'Desk');
  expect(watched.complaints.slice(before).filter((one) => !one.includes('404'))).toEqual([]);
  watched.complaints.splice(before);
});

test('on a phone the present page is visible in the navigation', async () => {
  await page.setViewportSize({ width: 360, height: 740 });
  await open('/audit', 'Audit');
  const here = await page.getByRole('link', { name: 'Audit', exact: true }).boundingBox();
  expect(here?.x).toBeGreaterThanOrEqual(0);
  expect((here?.x ?? 0) + (here?.width ?? 0)).toBeLessThanOrEqual(360);
  await page.setViewportSize({ width: 1280, height: 800 });
});

test('it works without a script', async () => {
  const context = await browser.newContext({ javaScriptEnabled: false });
  const plain = await context.newPage();
  await plain.goto(desk.origin);
  await plain.getByRole('article', { name: SERVICE }).getByRole('button', { name: 'Set reads…' }).click();
  await plain.getByLabel('Requested share, percent').fill('75');
  await plain.getByLabel('Your name').first().fill('ben');
  await plain.getByLabel('Reason').first().fill('without a script');
  await plain.getByRole('button', { name: 'Set', exact: true }).click();
  await plain.getByText('read-cutover now requests 75 %.').waitFor();
  await context.close();
});

test('nothing violated the policy, failed, or left the desk', () => {
  expect(watched.complaints).toEqual([]);
});
