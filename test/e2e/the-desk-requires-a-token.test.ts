import type { Browser } from 'playwright-core';
import { request as ask } from 'undici';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { openWatched, photograph, startBrowser, type Watched } from '../support/desk/browser.ts';
import { startDesk, TOKENS, type DeskDeployment } from '../support/desk/desk-deployment.ts';

const FLAG = 'crossfade.session-memory.read-cutover';

let desk: DeskDeployment;
let browser: Browser;

beforeAll(async () => {
  [desk, browser] = await Promise.all([startDesk({}, TOKENS), startBrowser()]);
}, 180_000);

afterAll(async () => {
  await browser?.close();
  await desk?.deployment.end();
});

async function signedIn(who: keyof typeof TOKENS): Promise<Watched> {
  const watched = await openWatched(browser, desk.origin);
  await watched.page.goto(`${desk.origin}/flags`);
  await watched.page.getByLabel('Token').fill(TOKENS[who].token);
  await watched.page.getByRole('button', { name: 'Sign in' }).click();
  await watched.page.getByRole('heading', { name: 'Flags' }).waitFor();
  return watched;
}

/** A form of another page, with or without what this one's session knows. */
function post(path: string, form: Readonly<Record<string, string>>, cookie = '') {
  return ask(`${desk.origin}${path}`, {
    method: 'POST',
    headers: { 'content-type': 'application/x-www-form-urlencoded', cookie },
    body: new URLSearchParams(form).toString(),
  });
}

test('without a token nothing is shown, and a wrong token is refused', async () => {
  for (const path of ['/', '/flags', '/audit', `/flags/${FLAG}`]) {
    const { statusCode, headers } = await ask(`${desk.origin}${path}`);
    expect([path, statusCode]).toEqual([path, 303]);
    expect(String(headers['location'])).toMatch(/^\/sign-in\?to=/);
  }
  const { page } = await openWatched(browser, desk.origin);
  await page.goto(`${desk.origin}/audit`);
  expect(await photograph(page, 'sign-in')).toEqual([]);
  await page.getByLabel('Token').fill('the-token-of-nobody-at-all');
  await page.getByRole('button', { name: 'Sign in' }).click();
  await page.getByText('Invalid token.').waitFor();
  await page.getByLabel('Token').fill(TOKENS.lead.token);
  await page.getByRole('button', { name: 'Sign in' }).click();
  await page.getByRole('heading', { name: 'Audit' }).waitFor();
});

test('a viewer cannot change anything, even by sending the form', async () => {
  const { page, context } = await signedIn('grafana');
  await page.goto(`${desk.origin}/flags/${FLAG}?share=50`);
  expect(await page.locator('.needs').allTextContents()).toContainEqual(
    expect.stringContaining('needs the role operator; you are viewer'),
  );
  const csrf = (await page.locator('input[name=_csrf]').first().getAttribute('value')) ?? '';
  const cookie = (await context.cookies()).map(({ name, value }) => `${name}=${value}`).join('; ');
  const form = { _csrf: csrf, share: '50', was: '0', reason: 'to see whether I can', back: '/flags' };
  expect((await post(`/flags/${FLAG}`, form, cookie)).statusCode).toBe(303);
  await page.goto(`${desk.origin}/flags`);
  await page
    .getByText('this request needs the role "operator"; the token "grafana" has the role "viewer"')
    .waitFor();
  const status = await ask(`${desk.deployment.httpUrl}/v1/flags`, {
    headers: { authorization: `Bearer ${TOKENS.grafana.token}` },
  });
  expect(await status.body.text()).toContain(
    `"name":"${FLAG}","service":"session-memory","flag":"read-cutover","kind":"share","asked":0`,
  );
});

test('an address with a NUL is refused, and not reported as an outage', async () => {
  const headers = { authorization: `Bearer ${TOKENS.grafana.token}` };
  const asked = [
    `${desk.deployment.httpUrl}/v1/audit?service=%00`,
    `${desk.deployment.httpUrl}/v1/dead-letters?service=a%00b`,
    `${desk.origin}/lanes?owner=%00`,
  ];
  for (const url of asked) {
    const { statusCode, body } = await ask(url, { headers });
    expect([url, statusCode, await body.json()]).toEqual([
      url,
      400,
      { error: 'invalid_request', message: 'the address contains a NUL (%00), which no name can contain' },
    ]);
  }
});

test('an operator changes a flag under the name of the token', async () => {
  const { page, complaints } = await signedIn('on-call');
  await page.goto(`${desk.origin}/flags/${FLAG}?share=25`);
  expect(await page.getByLabel('Your name').count()).toBe(0);
  await page.getByLabel('Reason').first().fill('a quarter of the lanes');
  await page.getByRole('button', { name: 'Set', exact: true }).click();
  await page.getByText(`${FLAG} now requests 25 %.`).waitFor();
  await page.goto(`${desk.origin}/audit`);
  expect(await page.getByRole('row', { name: /flags set/ }).textContent()).toContain('on-call');
  expect(complaints).toEqual([]);
});

test('a form from another site changes nothing without the session’s secret', async () => {
  const { context } = await signedIn('lead');
  const cookie = (await context.cookies()).map(({ name, value }) => `${name}=${value}`).join('; ');
  const form = { share: '100', was: '25', reason: 'from another site' };
  expect((await post(`/flags/${FLAG}`, form, cookie)).statusCode).toBe(403);
  expect((await post(`/flags/${FLAG}`, { ...form, _csrf: 'guessed' }, cookie)).statusCode).toBe(403);
});

test('after signing out the session is invalid', async () => {
  const { page, context } = await signedIn('lead');
  const cookie = (await context.cookies()).map(({ name, value }) => `${name}=${value}`).join('; ');
  const [session] = await context.cookies();
  expect(session).toMatchObject({ httpOnly: true, sameSite: 'Lax' });
  await page.getByRole('button', { name: 'Sign out' }).click();
  await page.getByLabel('Token').waitFor();
  expect((await ask(`${desk.origin}/`, { headers: { cookie } })).statusCode).toBe(303);
});

test('guessing tokens is blocked after some tries', async () => {
  const { body, headers } = await ask(`${desk.origin}/sign-in`);
  const csrf = /name="_csrf" value="([^"]+)"/.exec(await body.text())?.[1] ?? '';
  const cookie = String(headers['set-cookie']).split(';')[0] ?? '';
  const statuses: number[] = [];
  for (let guess = 0; guess < 12; guess += 1)
    statuses.push((await post('/sign-in', { _csrf: csrf, token: `guess-${guess}` }, cookie)).statusCode);
  expect(statuses).toContain(401);
  expect(statuses.at(-1)).toBe(429);
});

test('a page loads only what this desk serves, and leads nowhere else', async () => {
  const { headers } = await ask(`${desk.origin}/sign-in`);
  const policy = String(headers['content-security-policy']);
  expect(policy).toContain("default-src 'none'");
  expect(policy).not.toContain('unsafe');
  expect(headers['x-content-type-options']).toBe('nosniff');
  const elsewhere = await ask(`${desk.origin}/sign-in?to=${encodeURIComponent('//elsewhere.example')}`);
  expect(await elsewhere.body.text()).toContain('name="to" value="/"');
});
