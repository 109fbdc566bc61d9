import type { Browser, Page } from 'playwright-core';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { openWatched, photograph, startBrowser, type Watched } from '../support/desk/browser.ts';
import { startDesk, type DeskDeployment } from '../support/desk/desk-deployment.ts';
import { eventually } from '../support/eventually.ts';
import { everythingDelivered } from '../support/lane-view.ts';
import {
  addInteraction,
  createSession,
  createSessionAgent,
  type SessionAgent,
} from '../support/session-agent.ts';

const SERVICE = 'session-memory';
/** The orchestrator takes at most 1 MiB of content. */
const TOO_LONG = 'x'.repeat(1_100_000);
const SESSION = 's-trouble';

let desk: DeskDeployment;
let browser: Browser;
let watched: Watched;
let page: Page;
let agent: SessionAgent;

beforeAll(async () => {
  [desk, browser] = await Promise.all([startDesk({ proxy: { deadlineMs: 1_500 } }), startBrowser()]);
  await desk.deployment.ask({ dualWrite: true, shadowRead: 0, readCutover: 50 });
  agent = createSessionAgent(desk.deployment.endpoints[SERVICE]);
  await agent.ask(createSession(SESSION));
  // A lane whose first write came before the coverage is copied. The next write is delivered.
  await everythingDelivered(desk.deployment);
  await agent.ask(addInteraction(SESSION, 'first'));
  await everythingDelivered(desk.deployment);
  watched = await openWatched(browser, desk.origin);
  page = watched.page;
}, 180_000);

afterAll(async () => {
  agent?.close();
  await browser?.close();
  await desk?.deployment.end();
});

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

test('a lane shows the state of its writes, and is compared from its page', async () => {
  await open(`/lanes/${SERVICE}/${SESSION}`, SESSION);
  const writes = page.getByRole('group', { name: 'Last writes' }).locator('tbody tr');
  expect(await writes.count()).toBe(2);
  expect(await writes.first().textContent()).toMatch(/2.*add_interaction\s*applied\s*delivered/s);
  await decide('Compare both backends', 'to see both sides equal');
  const said = await page.getByText(/Run \d+ compares it/).textContent();
  const run = /Run (\d+)/.exec(said ?? '')?.[1] ?? '';
  await eventually('the run is over', async () => {
    await open('/runs', 'Runs');
    return (await page.getByRole('row', { name: /finished/ }).count()) === 1;
  });
  expect(await photograph(page, 'runs')).toEqual([]);
  await page
    .getByRole('link', { name: new RegExp(`\\b${run}\\b`) })
    .first()
    .click();
  await page.getByText(SESSION).first().waitFor();
});

test('a dead letter is redriven and refused again; a copy of its lane resolves it', async () => {
  await agent.ask(addInteraction(SESSION, TOO_LONG));
  const card = page.locator('.card');
  await eventually('an open letter', async () => {
    await open('/dead-letters', 'Dead letters');
    return (await card.count()) === 1;
  });
  await decide('Send it again', 'perhaps it fits now');
  await page.getByText('The write is sent again.').waitFor();
  await eventually('refused once more', async () => {
    await open('/dead-letters', 'Dead letters');
    return /Attempts\s+2/.test((await card.textContent().catch(() => '')) ?? '');
  });
  await decide('Copy the whole lane', 'legacy has it all');
  await page.getByText('is resolved by a copy of its lane').waitFor();
  await eventually('nothing is open', async () => {
    await open('/dead-letters', 'Dead letters');
    return (await page.getByText('No open dead letters').count()) === 1;
  });
  await open('/dead-letters?state=ended', 'Dead letters');
  expect(await card.textContent()).toMatch(/copied/);
});

test('a write of unknown outcome is shown with what it waits for', async () => {
  desk.deployment.legacyPath.silence();
  await agent.ask(addInteraction(SESSION, 'who knows')).catch(() => undefined);
  await eventually('an unknown outcome', async () => {
    await open('/unknown-outcomes', 'Unknown outcomes');
    return (await page.locator('.card').count()) === 1;
  });
  expect(await page.locator('.card').textContent()).toMatch(/add_interaction.*write \d+.*◆ /s);
  expect(await photograph(page, 'unknown-outcomes')).toEqual([]);
  await desk.deployment.legacyPath.pass();
  await eventually(
    'its end',
    async () => {
      await open('/unknown-outcomes?state=all', 'Unknown outcomes');
      return (await page.locator('.card .good').count()) === 1;
    },
    90_000,
  );
});

test('the kill switch is switched on with a reason, shown everywhere, and off again', async () => {
  const flip = async (from: string, to: string, reason: string): Promise<void> => {
    await open('/flags', 'Flags');
    await page.getByRole('link', { name: `${from}…` }).click();
    await page.getByRole('heading', { name: 'Kill switch', level: 1 }).waitFor();
    await page.getByLabel('Your name').fill('ann');
    await page.getByLabel('Reason').fill(reason);
    expect(await photograph(page, `kill-switch-${to}`)).toEqual([]);
    await page.getByRole('button', { name: from, exact: true }).click();
    await page.getByText(/kill-switch now requests \d+ %/).waitFor();
  };
  await flip('Switch on', 'on', 'a drill');
  await eventually('no lane is read from the orchestrator', async () => {
    const { flags } = await desk.deployment.serviceStatus(SERVICE);
    return flags['read-cutover']?.in_effect === 0;
  });
  await open('/', 'Desk');
  expect(await page.getByRole('alert').textContent()).toContain('The kill switch is on.');
  expect(await photograph(page, 'desk-killed')).toEqual([]);
  await flip('Switch off', 'off', 'the drill is over');
  await open('/', 'Desk');
  expect(await page.getByRole('alert').count()).toBe(0);
});

test('a page that needs the journal reports that it is away, and comes back', async () => {
  await desk.deployment.journal('alter table audit rename to audit_that_is_away');
  const before = watched.complaints.length;
  try {
    const answer = await page.goto(`${desk.origin}/audit`);
    expect(answer?.status()).toBe(503);
    await page.getByRole('heading', { name: 'The journal does not answer', level: 1 }).waitFor();
    await page.getByText('Agents are still served.').waitFor();
    expect(await photograph(page, 'journal-away')).toEqual([]);
  } finally {
    await desk.deployment.journal('alter table audit_that_is_away rename to audit');
  }
  await page.getByRole('link', { name: 'Try again' }).click();
  await page.getByRole('heading', { name: 'Audit', level: 1 }).waitFor();
  // The page was left first, because it refreshes itself. The browser reports each 503.
  expect(watched.complaints.slice(before).filter((one) => !one.includes('503'))).toEqual([]);
  watched.complaints.splice(before);
});

/** What can be reached by keyboard, and what each press of Tab reached, with whether it shows that it has the focus. */
const REACHABLE = `[...document.querySelectorAll('a[href], button, input:not([type=hidden]), select, textarea, summary, [tabindex="0"]')]
  .filter((one) => one.checkVisibility({ visibilityProperty: true }) && !one.disabled)
  .map((one, index) => (one.dataset.walk = String(index))).length`;
const FOCUSED = `(() => {
  const one = document.activeElement;
  if (one === null || one === document.body) return null;
  const { outlineStyle, outlineWidth, boxShadow } = getComputedStyle(one);
  const seen = (outlineStyle !== 'none' && outlineWidth !== '0px') || boxShadow !== 'none';
  return { walk: one.dataset.walk ?? '', text: (one.textContent ?? '').trim(), seen };
})()`;

test.each(['/', '/lanes', '/flags', '/runs', '/guard'])(
  'every control on %s is reached by Tab, in page order, with visible focus',
  async (path) => {
    await page.goto(`${desk.origin}${path}`);
    // The page does not refresh itself under the walk.
    await page.evaluate(
      'document.querySelectorAll("[data-live]").forEach((part) => delete part.dataset.live)',
    );
    const reachable = Number(await page.evaluate(REACHABLE));
    expect(reachable).toBeGreaterThan(8);
    const walked: { walk: string; text: string; seen: boolean }[] = [];
    for (let press = 0; press < reachable; press += 1) {
      await page.keyboard.press('Tab');
      const focused = (await page.evaluate(FOCUSED)) as (typeof walked)[number] | null;
      if (focused !== null) walked.push(focused);
    }
    expect(walked[0]?.text).toMatch(/^Skip/);
    expect(walked.map(({ walk }) => Number(walk))).toEqual(Array.from({ length: reachable }, (_, at) => at));
    expect(walked.filter(({ seen }) => !seen)).toEqual([]);
  },
);

test('a printed page has its numbers and no controls', async () => {
  await open('/', 'Desk');
  await page.emulateMedia({ media: 'print' });
  expect(await page.getByRole('article', { name: SERVICE }).isVisible()).toBe(true);
  expect(await page.locator('.readings').first().isVisible()).toBe(true);
  expect(await page.locator('nav').first().isVisible()).toBe(false);
  expect(await page.locator('button:visible').count()).toBe(0);
  await page.emulateMedia({ media: 'screen' });
});

test('nothing violated the policy, failed, or left the desk', () => {
  expect(watched.complaints).toEqual([]);
});
