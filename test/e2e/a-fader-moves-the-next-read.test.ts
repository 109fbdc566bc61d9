import type { Browser } from 'playwright-core';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { runCommand } from '../support/command.ts';
import { openWatched, photograph, startBrowser, type Watched } from '../support/desk/browser.ts';
import { startDesk, type DeskDeployment } from '../support/desk/desk-deployment.ts';
import { eventually } from '../support/eventually.ts';
import { everythingDelivered } from '../support/lane-view.ts';
import {
  addInteraction,
  createSession,
  createSessionAgent,
  getContext,
  type SessionAgent,
} from '../support/session-agent.ts';

const SERVICE = 'session-memory';
const SESSION = 's-fader';
/** The file is looked at every 300 ms, and its writer waits for that; a busy machine may need several times as long. */
const MOVED_WITHIN_MS = 10_000;

let desk: DeskDeployment;
let browser: Browser;
let watched: Watched;
let agent: SessionAgent;

beforeAll(async () => {
  [desk, browser] = await Promise.all([startDesk(), startBrowser()]);
  await desk.deployment.ask({ dualWrite: true, shadowRead: 100, readCutover: 0 });
  agent = createSessionAgent(desk.deployment.endpoints[SERVICE]);
  await agent.ask(createSession(SESSION));
  await agent.ask(addInteraction(SESSION, 'hello'));
  await everythingDelivered(desk.deployment);
  watched = await openWatched(browser, desk.origin);
}, 180_000);

afterAll(async () => {
  agent?.close();
  await browser?.close();
  await desk?.deployment.end();
});

const readsBy = async () => (await desk.deployment.serviceStatus(SERVICE)).reads_by;

test('a fader moved by keyboard changes the shown stage and the next read', async () => {
  const { page } = watched;
  await agent.ask(getContext(SESSION));
  expect(await readsBy()).toEqual({ legacy: 1, orchestrator: 0 });

  await page.goto(desk.origin);
  const strip = page.getByRole('article', { name: SERVICE });
  expect(await strip.locator('.stage').textContent()).toContain('shadow read');
  const fader = strip.getByRole('slider', { name: 'Reads' });
  await fader.focus();
  await page.keyboard.press('End');
  expect(await strip.getByRole('status').first().textContent()).toBe('100');
  await strip.getByRole('button', { name: 'Set to 100 %…' }).press('Enter');

  await page.getByRole('heading', { name: 'Read cutover of session-memory' }).waitFor();
  expect(await page.locator('.preview').textContent()).toContain('the requested stage becomes read cutover');
  expect(await photograph(page, 'flag-change')).toEqual([]);
  await page.getByLabel('Your name').first().fill('ann');
  await page.getByLabel('Reason').first().fill('compared for a week');
  const pressedAtMs = performance.now();
  await page.getByRole('button', { name: 'Set', exact: true }).press('Enter');
  await page.getByText('crossfade.session-memory.read-cutover now requests 100 %.').waitFor();
  expect(performance.now() - pressedAtMs).toBeLessThan(MOVED_WITHIN_MS);

  expect(await strip.locator('.stage').textContent()).toContain('read cutover');
  expect(await strip.locator('.fader-effect').first().textContent()).toContain('100 % active');
  await eventually('a lane that may be read from the orchestrator', async () => {
    await agent.ask(getContext(SESSION));
    return (await readsBy()).orchestrator > 0;
  });
  expect(await photograph(page, 'desk-moved')).toEqual([]);
});

test('the change is audited with its name and its reason', async () => {
  const { page } = watched;
  await page.goto(`${desk.origin}/audit`);
  const row = page.getByRole('row', { name: /flags set/ });
  expect(await row.textContent()).toMatch(/ann.*session-memory.*compared for a week.*100/s);
});

test('a flag that was changed meanwhile is not overwritten', async () => {
  const { page } = watched;
  await page.goto(`${desk.origin}/flags/crossfade.session-memory.shadow-read?share=40`);
  await desk.deployment.ask({ dualWrite: true, shadowRead: 60, readCutover: 100 });
  await page.getByLabel('Reason').first().fill('less load');
  await page.getByRole('button', { name: 'Set', exact: true }).click();
  await page.getByText('crossfade.session-memory.shadow-read was changed meanwhile').waitFor();
  expect((await desk.deployment.serviceStatus(SERVICE)).flags['shadow-read']?.asked).toBe(60);
});

test('the command line lists and sets flags, and refuses unknown flags and shares', async () => {
  const at = ['--url', desk.deployment.httpUrl];
  const by = ['--person', 'ann', '--reason', 'by hand', ...at];
  const flag = `crossfade.${SERVICE}.read-cutover`;
  const set = await runCommand(['flags', 'set', flag, '30', ...by]);
  expect(set).toMatchObject({
    code: 0,
    stdout: expect.stringContaining(`${flag} requests 30 % (before:`) as string,
  });
  const list = await runCommand(['flags', 'list', ...at]);
  expect(list.stdout).toMatch(new RegExp(`^${flag} +30 %$`, 'm'));
  const typo = await runCommand(['flags', 'set', `${flag}s`, '30', ...by]);
  expect(typo).toMatchObject({
    code: 1,
    stderr: expect.stringContaining('flags list shows all flags') as string,
  });
  const share = await runCommand(['flags', 'set', flag, '130', ...by]);
  expect(share).toMatchObject({ code: 1, stderr: expect.stringContaining('from 0 to 100') as string });
});

test('nothing violated the policy, failed, or left the desk', () => {
  expect(watched.complaints).toEqual([]);
});
