import type { Browser, Page } from 'playwright-core';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { readLegacyStores } from '../accept/stores.ts';
import { openWatched, photograph, startBrowser, type Watched } from '../support/desk/browser.ts';
import { startDesk, type DeskDeployment } from '../support/desk/desk-deployment.ts';
import { eventually } from '../support/eventually.ts';
import { addInteraction, createSession, createSessionAgent } from '../support/session-agent.ts';

const SERVICE = 'session-memory';
const SESSIONS = ['r-altered', 'r-lost', 'r-equal'];
const PATIENCE_MS = 60_000;
const BY_HAND = { copies: { concurrency: 2, automatic: false } };

let desk: DeskDeployment;
let browser: Browser;
let watched: Watched;
let page: Page;

beforeAll(async () => {
  [desk, browser] = await Promise.all([startDesk(BY_HAND), startBrowser()]);
  await remember(SESSIONS);
  await desk.deployment.ask({ dualWrite: true, shadowRead: 0, readCutover: 0 });
  watched = await openWatched(browser, desk.origin);
  page = watched.page;
  page.setDefaultTimeout(PATIENCE_MS);
}, 180_000);

afterAll(async () => {
  await browser?.close();
  await desk?.deployment.end();
});

/** On legacy, past the proxy. */
async function remember(sessions: readonly string[]): Promise<void> {
  const agent = createSessionAgent(desk.deployment.direct[SERVICE]);
  for (const session of sessions) {
    await agent.ask(createSession(session));
    for (const text of ['first', 'second', 'third']) await agent.ask(addInteraction(session, text));
  }
  agent.close();
}

const open = async (path: string, heading: string | RegExp): Promise<void> => {
  await page.goto(`${desk.origin}${path}`);
  await page.getByRole('heading', { name: heading, level: 1 }).waitFor();
};

/** Opens a folded form, says who and why, and sends it. */
async function change(label: string, reason: string): Promise<void> {
  const form = page.locator('details.fold', { has: page.locator('summary', { hasText: label }) }).first();
  await form.locator('summary').click();
  await form.getByLabel('Your name').fill('ann');
  await form.getByLabel('Reason').fill(reason);
  await form.getByRole('button', { name: label }).click();
}

/** Opens the page of the run that was begun last. */
async function openNewest(kind: string): Promise<void> {
  await open('/runs', 'Runs');
  await page
    .getByRole('rowheader')
    .getByRole('link', { name: new RegExp(`^${kind} \\d+$`) })
    .first()
    .click();
  await page.getByRole('heading', { name: new RegExp(`^${kind} \\d+$`), level: 1 }).waitFor();
}

/** The same, and waits for its end. */
async function ended(kind: string): Promise<void> {
  await openNewest(kind);
  await page.getByText('Ended', { exact: false }).first().waitFor();
  // What is shown of a run that has ended is one answer: its deeds and what it found come with it.
  await page.reload();
}

test('a backfill is started, followed to its end, and audited', async () => {
  await open('/runs', 'Runs');
  await page.getByText('No runs yet').waitFor();
  await change('Start a backfill', 'the first one');
  await page.getByText(/Backfill \d+ has started/).waitFor();
  await ended('backfill');
  await page.getByText('found before the start, and imported').first().waitFor();
  await page.getByText('How members were mapped').first().click();
  await page.getByText('content.text', { exact: false }).first().waitFor();
  expect(await page.getByText('Undo its changes', { exact: false }).count()).toBe(0);
  expect(await photograph(page, 'run')).toEqual([]);
  await open('/audit', 'Audit');
  const entries = await page.getByRole('table').textContent();
  expect(entries).toMatch(/runs begin/);
  expect(entries).toMatch(/the first one/);
}, 180_000);

test('a running backfill fills its gauge, is stopped, and is resumed', async () => {
  const late = Array.from({ length: 12 }, (_, index) => `r-late-${index}`);
  await remember(late);
  await open('/runs', 'Runs');
  await page.locator('summary', { hasText: 'Start a backfill' }).click();
  await page.getByLabel('At most this many items per second').fill('6');
  await page.getByLabel('Your name').first().fill('ann');
  await page.getByLabel('Reason').first().fill('slowly');
  await page.getByRole('button', { name: 'Start a backfill' }).click();
  await page.getByText(/Backfill \d+ has started/).waitFor();
  await openNewest('backfill');
  await eventually('its gauge fills', async () => (await shownDone()) > SESSIONS.length, PATIENCE_MS);
  const width = await page.locator('.gauge .reached').first().getAttribute('width');
  expect(Number(width)).toBeGreaterThan(0);
  await change('Stop the run', 'it is noon');
  await page.getByText(/Run \d+ is stopped/).waitFor();
  // What was under way may end; nothing more begins.
  const held = await eventually('it stands still', async () => {
    const [before, after] = [await copied(late), await afterSeconds(1, () => copied(late))];
    return before === after ? { lanes: after } : undefined;
  });
  expect(held.lanes).toBeLessThan(late.length);
  await openNewest('backfill');
  await change('Resume the last stopped backfill', 'lunch is over');
  await page.getByText(/Run \d+ continues/).waitFor();
  await ended('backfill');
  expect(await copied(late)).toBe(late.length);
  await open('/audit', 'Audit');
  expect(await page.getByRole('table').textContent()).toMatch(/lunch is over[^]*it is noon[^]*slowly/);
}, 180_000);

/** The number of lanes that the page says are done; 0 before it says so. */
async function shownDone(): Promise<number> {
  await page.reload();
  const said = /([\d,]+) of [\d,]+ lanes/.exec((await page.locator('main').textContent()) ?? '');
  return Number((said?.[1] ?? '0').replaceAll(',', ''));
}

async function copied(sessions: readonly string[]): Promise<number> {
  const seeded = await desk.deployment.journal<{ owner: string }>(
    'select owner from lanes where seeded_coverage > 0',
  );
  return seeded.filter(({ owner }) => sessions.includes(owner)).length;
}

async function afterSeconds<Found>(seconds: number, look: () => Promise<Found>): Promise<Found> {
  await new Promise((resolve) => setTimeout(resolve, seconds * 1_000));
  return look();
}

test('findings of a reconciliation are shown with their side, repaired, and undone', async () => {
  const { deployment } = desk;
  await deployment.store(`
    update memory_entries set content = jsonb_set(content, '{text}', '"forged"')
    where session_id = 'r-altered' and content ->> 'text' = 'second'`);
  await open('/runs', 'Runs');
  await change('Start a reconciliation', 'to see it');
  await page.getByText(/Reconciliation \d+ has started/).waitFor();
  await ended('reconcile');
  await page.getByRole('row', { name: /r-altered/ }).waitFor();
  expect(await page.getByRole('row', { name: /r-altered/ }).textContent()).toMatch(
    /Changed on the orchestrator[^]*open/,
  );
  expect(await page.content()).not.toContain('forged');
  const found = new URL(page.url()).pathname;
  expect(await photograph(page, 'run-found')).toEqual([]);
  await page.locator('summary', { hasText: 'Repair them' }).click();
  await page.getByLabel('Repair at most, percent').fill('100');
  await page.getByLabel('Your name').fill('ann');
  await page.getByLabel('Reason').fill('legacy is right');
  await page.getByRole('button', { name: 'Repair them' }).click();
  await page.getByText(/Repair \d+ has started/).waitFor();
  await ended('repair');
  expect(await texts('r-altered')).toEqual(['first', 'second', 'third']);
  await change('Undo its changes', 'it was right before');
  await page.getByText('1 lane is as before the repair, and stopped').waitFor();
  expect(await texts('r-altered')).toEqual(['first', 'forged', 'third']);
  await open('/lanes/session-memory/r-altered', 'r-altered');
  await page.getByText('A repair was undone').waitFor();
  await open(found, /reconcile/);
  expect(await page.getByRole('row', { name: /r-altered/ }).textContent()).toMatch(/undone/);
}, 180_000);

async function guardTells(): Promise<boolean> {
  await open('/guard', 'Guard');
  return /lost: 1 lane /.test((await page.textContent('.notice')) ?? '');
}

async function texts(session: string): Promise<readonly string[]> {
  const rows = await desk.deployment.store<{ text: string }>(`
    select content ->> 'text' as text from memory_entries
    where session_id = '${session}' and is_active order by position`);
  return rows.map(({ text }) => text);
}

test('lost items are listed, and a person accepts the loss with a reason', async () => {
  await open('/lost', 'Lost items');
  await page.getByText('No lost items').waitFor();
  await loseOnLegacy('r-lost', 'second');
  await open('/runs', 'Runs');
  await change('Start a reconciliation', 'something went');
  await page.getByText(/Reconciliation \d+ has started/).waitFor();
  await ended('reconcile');
  await open('/lost', 'Lost items');
  const card = page.locator('.card', { hasText: 'r-lost' });
  await card.waitFor();
  expect(await photograph(page, 'lost')).toEqual([]);
  await page.getByRole('link', { name: 'Lost items 1 waiting' }).waitFor();
  await open('/', 'Desk');
  await page.getByRole('link', { name: '◆ 1 open' }).click();
  await card.waitFor();
  await eventually('the guard says how many lanes', guardTells, PATIENCE_MS);
  await open('/lost', 'Lost items');
  await change('Accept the loss', 'nobody needs it');
  await page.getByText('The loss is accepted. Its lane has no other lost item.').waitFor();
  await page.getByText('No lost items').waitFor();
  await eventually('it is gone', async () => !(await texts('r-lost')).includes('second'), PATIENCE_MS);
  await open('/audit', 'Audit');
  expect(await page.getByRole('table').textContent()).toMatch(/lost accepted[^]*nobody needs it/);
}, 180_000);

test('a lost item is stored on legacy again by a person with a reason', async () => {
  await loseOnLegacy('r-equal', 'third');
  await open('/runs', 'Runs');
  await change('Start a reconciliation', 'something went again');
  await page.getByText(/Reconciliation \d+ has started/).waitFor();
  await ended('reconcile');
  await open('/lost', 'Lost items');
  await page.locator('.card', { hasText: 'r-equal' }).waitFor();
  await change('Store it on legacy again', 'it was never deleted');
  await page.getByText('1 item is stored on legacy again. Its lane has no other lost item.').waitFor();
  await page.getByText('No lost items').waitFor();
  const shown = readLegacyStores(desk.deployment.legacyFolder).sessions.get('r-equal');
  expect(shown?.map((item) => item.split('\n')[1])).toEqual(['first', 'second', 'third']);
  expect(await texts('r-equal')).toEqual(['first', 'second', 'third']);
  await open('/audit', 'Audit');
  expect(await page.getByRole('table').textContent()).toMatch(/lost restored[^]*it was never deleted/);
}, 180_000);

/** As if its file had been damaged: past the service and the proxy. */
async function loseOnLegacy(session: string, text: string): Promise<void> {
  const { DatabaseSync } = await import('node:sqlite');
  const file = new DatabaseSync(`${desk.deployment.legacyFolder}/session_memory.db`);
  file.prepare('delete from interactions where session_id = ? and content = ?').run(session, text);
  file.close();
}

test('nothing violated the policy, failed, or left the desk', () => {
  expect(watched.complaints).toEqual([]);
});
