import type { Browser } from 'playwright-core';
import { afterAll, beforeAll, expect, test } from 'vitest';
import type { ServiceStatus } from '../../src/operator/api/status.ts';
import { runCommand } from '../support/command.ts';
import { openWatched, photograph, startBrowser, type Watched } from '../support/desk/browser.ts';
import { startDesk, type DeskDeployment } from '../support/desk/desk-deployment.ts';
import { eventually } from '../support/eventually.ts';
import { everythingDelivered, readLegacy } from '../support/lane-view.ts';
import { addInteraction, askOnce, createSession } from '../support/session-agent.ts';

const SERVICE = 'session-memory';
const FLAG = `crossfade.${SERVICE}.write-cutover`;
const SESSIONS = ['s-1', 's-2', 's-3'];
const STUCK = 's-stuck';
const READS_MOVED = { dualWrite: true, shadowRead: 0, readCutover: 100 };

let desk: DeskDeployment;
let browser: Browser;
let watched: Watched;

beforeAll(async () => {
  [desk, browser] = await Promise.all([startDesk({ flips: { perSecond: 100 } }), startBrowser()]);
  const { deployment } = desk;
  await deployment.ask(READS_MOVED);
  for (const session of [...SESSIONS, STUCK]) {
    await ask(createSession(session));
    await ask(addInteraction(session, 'before'));
  }
  await everythingDelivered(deployment);
  await deployment.journal(`insert into reverse_proofs (service, by) values ('${SERVICE}', 'agent')`);
  await deployment.journal(`update lanes set exceptions = 1 where key = '${SERVICE}/${STUCK}'`);
  watched = await openWatched(browser, desk.origin);
}, 180_000);

afterAll(async () => {
  await browser?.close();
  await desk?.deployment.end();
});

async function ask(request: object): Promise<string> {
  return (await askOnce(desk.deployment.endpoints[SERVICE], { ...request })).text;
}

type Moved = Pick<ServiceStatus, 'flips'>;

const flips = async () => (await desk.deployment.serviceStatus<Moved>(SERVICE)).flips;

/** Fills in who and why, in the form that has this button. */
async function confirm(label: string): Promise<void> {
  const { page } = watched;
  const form = page.locator('form', { has: page.getByRole('button', { name: label, exact: true }) });
  await form.getByLabel('Your name').fill('ann');
  await form.getByLabel('Reason').fill('a drill');
  await form.getByRole('button', { name: label, exact: true }).click();
}

test('the second fader moves the writes, and counts the lanes beside it', async () => {
  const { page } = watched;
  await page.goto(desk.origin);
  const strip = page.getByRole('article', { name: SERVICE });
  const fader = strip.getByRole('slider', { name: 'Writes' });
  await fader.focus();
  await page.keyboard.press('End');
  await strip.getByRole('button', { name: 'Set to 100 %…' }).press('Enter');
  await page.getByRole('heading', { name: `Write cutover of ${SERVICE}` }).waitFor();
  await confirm('Set');
  await page.getByText(`${FLAG} now requests 100 %.`).waitFor();
  await eventually('three moved lanes and a stuck one', async () => {
    const { lanes } = (await flips()) ?? {};
    return lanes?.moved === 3 && lanes.moving === 3 && lanes.stuck === 1 && lanes.eligible === 0;
  });
  await page.goto(desk.origin);
  const shown = (await strip.locator('.fader-lanes').innerText()).replaceAll(/\s+/g, ' ');
  expect(shown).toMatch(/^eligible now 0 moving last minute \d moved now 3 stuck now ◆ 1$/);
  expect(await photograph(page, 'writes-moved')).toEqual([]);
});

test('its link leads to the stuck lanes, each with its reason', async () => {
  const { page } = watched;
  await page.goto(desk.origin);
  await page.getByRole('article', { name: SERVICE }).getByRole('link', { name: '◆ 1' }).click();
  const row = page.getByRole('group', { name: 'Stuck lanes' }).getByRole('row', { name: /s-stuck/ });
  expect(await row.innerText()).toContain('excepted');
  expect(await photograph(page, 'writes-stuck')).toEqual([]);
});

test('the command line shows the same numbers, and what keeps each lane', async () => {
  const at = ['--url', desk.deployment.httpUrl];
  const shown = await runCommand(['flips', 'show', SERVICE, ...at]);
  expect(shown.stdout).toMatch(/moved +3 +now/);
  expect(shown.stdout).toMatch(/s-stuck +excepted/);
  expect((await runCommand(['status', ...at])).stdout).toMatch(/3 moved, \d moving in the last minute/);
  const lanes = await runCommand(['lanes', 'list', SERVICE, ...at]);
  expect(lanes.stdout).toMatch(/s-1 .*on the orchestrator/);
  expect(lanes.stdout).toMatch(/s-stuck .*excepted/);
  const json = await runCommand(['lanes', 'list', SERVICE, '--owner', STUCK, '--json', ...at]);
  expect(JSON.parse(json.stdout)).toMatchObject({
    lanes: [
      {
        owner: STUCK,
        primary: 'legacy',
        blocked_by: expect.arrayContaining([{ fact: 'clean', holds: false, reason: 'excepted' }]),
      },
    ],
  });
  const metrics = await (await fetch(`${desk.deployment.httpUrl}/metrics`)).text();
  expect(metrics).toMatch(/crossfade_flip_lanes\{[^}]*state="stuck"[^}]*\} 1/);
});

test('the way back shows its list first, and requires a person and a reason', async () => {
  const { page } = watched;
  await page.goto(`${desk.origin}/rollbacks?service=${SERVICE}`);
  const plan = page.locator(`#plan-${SERVICE}`);
  expect(await plan.innerText()).toContain('3 lanes of session-memory would return to legacy');
  expect(await plan.innerText()).toContain('Would be lost: nothing');
  await plan.getByText('Return lanes to legacy').first().click();
  await plan.getByRole('button', { name: 'Return lanes to legacy' }).click();
  // The browser refuses the form. It has kept the name from the form before.
  expect(await plan.locator('input:invalid').getAttribute('name')).toBe('reason');
  expect(await plan.getByLabel('Your name').getAttribute('required')).not.toBeNull();
  expect(await photograph(page, 'rollback-dialog')).toEqual([]);
});

test('a return shows its progress and its obstacles, and continues after a crash', async () => {
  const { page } = watched;
  const { deployment } = desk;
  deployment.legacyPath.silence();
  for (const session of SESSIONS) expect(await ask(addInteraction(session, 'after'))).toContain('success');
  await page.goto(`${desk.origin}/rollbacks?service=${SERVICE}`);
  expect(await page.locator(`#plan-${SERVICE}`).innerText()).toContain('3 writes wait for legacy');
  await page.locator(`#plan-${SERVICE}`).getByText('Return lanes to legacy').first().click();
  await confirm('Return lanes to legacy');
  await page.getByText(/Rollback 1 has begun: 3 lanes return to legacy/).waitFor();
  const running = page.getByRole('article', { name: `Rollback 1 of ${SERVICE}` });
  await eventually('an obstacle on the page', async () => {
    await page.reload();
    return (await running.innerText()).includes('writes wait');
  });
  expect(await running.innerText()).toContain('0 of 3 lanes have returned');
  expect(await photograph(page, 'rollback-running')).toEqual([]);
  await deployment.crash();
  await deployment.legacyPath.pass();
  await eventually('the end of the return', async () => {
    await page.goto(`${desk.origin}/rollbacks`);
    return (await page.locator('main').innerText()).includes('3 of 3 returned');
  });
  for (const session of SESSIONS)
    expect(await readLegacy(deployment, session)).toEqual(['user: before', 'user: after']);
});

test('further flips are held until a person lifts that', async () => {
  const { page } = watched;
  await page.goto(`${desk.origin}/rollbacks`);
  const held = page.getByRole('article', { name: `Flips of ${SERVICE} are held` });
  expect(await held.innerText()).toContain('ann: a drill');
  expect(await photograph(page, 'flips-held')).toEqual([]);
  await held.getByText('Let lanes be flipped again').first().click();
  await confirm('Let lanes be flipped again');
  await page.getByText(`Lanes of ${SERVICE} may be flipped again.`).waitFor();
  expect(await held.count()).toBe(0);
  await page.goto(`${desk.origin}/audit`);
  expect(await page.getByRole('row', { name: /flips lift/ }).innerText()).toContain('a drill');
});

test('nothing violated the policy, failed, or left the desk', () => {
  // The page asks for news while the proxy is killed.
  const complaints = watched.complaints.filter((text) => !text.includes('ERR_CONNECTION_REFUSED'));
  expect(complaints).toEqual([]);
});
