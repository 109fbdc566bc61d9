import type { FastifyInstance } from 'fastify';
import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import { serviceName } from '../../../src/domain/ids.ts';
import { createDesk } from '../../../src/operator/desk/desk.ts';
import { LiveBook } from '../../../src/operator/live-book.ts';
import { eventually } from '../../support/eventually.ts';
import { freePort } from '../../support/ports.ts';

const SERVICE = serviceName('session-memory');
const LEAD = { name: 'lead', role: 'approver', token: 'the-token-of-an-approver' } as const;
const HOUR_MS = 3_600_000;
const FORM = { 'content-type': 'application/x-www-form-urlencoded' };

let desk: FastifyInstance;
let live: LiveBook;
let nowMs = 0;

beforeEach(async () => {
  nowMs = 1_000;
  live = new LiveBook([SERVICE]);
  desk = await createDesk({
    tokens: [LEAD],
    // What a signed-in visitor gets at /reports/day.
    registerApi: (api) => void api.get('/v1/reports/:name', async () => 'a report'),
    live,
    nowMs: () => nowMs,
  });
  await desk.ready();
});
afterEach(async () => desk.close());

/** Every route that takes a form. The router prints a tree: a level is four characters deep, and a line holds its part of the path. */
function formsOf(app: FastifyInstance): string[] {
  const above: string[] = [];
  const lines = app.printRoutes({ commonPrefix: false }).split('\n');
  return lines.flatMap((line) => {
    const [, tree = '', part = '', methods = ''] = /^([│├└─\s]*)(\S+)(?: \((.*)\))?$/.exec(line) ?? [];
    if (part === '') return [];
    above.length = tree.length / 4;
    const url = above.join('') + part;
    above.push(part);
    return methods.includes('POST') ? [url] : [];
  });
}

function cookieIn(headers: Readonly<Record<string, unknown>>): string {
  return String(headers['set-cookie']).split(';')[0] ?? '';
}

async function signIn(): Promise<string> {
  const door = await desk.inject('/sign-in');
  const csrf = /name="_csrf" value="([^"]+)"/.exec(door.body)?.[1] ?? '';
  const form = new URLSearchParams({ _csrf: csrf, token: LEAD.token }).toString();
  const headers = { ...FORM, cookie: cookieIn(door.headers) };
  const inside = await desk.inject({ method: 'POST', url: '/sign-in', headers, payload: form });
  expect(inside.statusCode).toBe(303);
  return cookieIn(inside.headers);
}

async function isLetIn(cookie: string, more: Readonly<Record<string, string>> = {}): Promise<boolean> {
  const { statusCode, headers } = await desk.inject({ url: '/reports/day', headers: { cookie, ...more } });
  if (statusCode === 200) return true;
  expect([statusCode, headers.location]).toEqual([303, '/sign-in?to=%2Freports%2Fday']);
  return false;
}

test('a session ends twelve hours after its sign-in, even if it was used', async () => {
  const cookie = await signIn();
  for (let hour = 1; hour < 12; hour += 1) {
    nowMs += HOUR_MS;
    expect(await isLetIn(cookie)).toBe(true);
  }
  nowMs += HOUR_MS;
  expect(await isLetIn(cookie)).toBe(false);
  // The door is shown, not the place behind it.
  expect((await desk.inject({ url: '/sign-in', headers: { cookie } })).statusCode).toBe(200);
  expect(await isLetIn(await signIn())).toBe(true);
});

test('an unused session ends after two hours, even if its page refreshes itself', async () => {
  const [left, open] = [await signIn(), await signIn()];
  for (let quarters = 0; quarters < 8; quarters += 1) {
    expect(await isLetIn(open, { 'x-refresh': '1' })).toBe(true);
    nowMs += HOUR_MS / 4;
  }
  expect(await isLetIn(open, { 'x-refresh': '1' })).toBe(false);
  expect(await isLetIn(left)).toBe(false);
});

test('live samples stop when the session has ended', async () => {
  const cookie = await signIn();
  const origin = await desk.listen({ host: '127.0.0.1', port: await freePort() });
  const answer = await fetch(`${origin}/live/${SERVICE}`, { headers: { cookie } });
  expect(answer.status).toBe(200);
  const turning = setInterval(() => live.turn(nowMs), 20);
  try {
    let seen = '';
    for await (const chunk of answer.body ?? []) {
      seen += Buffer.from(chunk).toString();
      // Samples come while the session lasts; then the stream ends by itself.
      if (seen.includes('event: sample')) nowMs += 3 * HOUR_MS;
    }
    expect(seen).toContain('event: sample');
  } finally {
    clearInterval(turning);
  }
  const after = await fetch(`${origin}/live/${SERVICE}`, { headers: { cookie } });
  expect(after.status).toBe(401);
});

test('every form is refused without the secret of its session', async () => {
  const cookie = await signIn();
  const forms = formsOf(desk);
  expect(forms).toEqual(expect.arrayContaining(['/flags/:flag', '/guard/:service/release', '/sign-out']));
  expect(forms.length).toBeGreaterThan(15);
  const headers = { ...FORM, cookie };
  for (const form of forms) {
    const url = form.replaceAll(/:[a-z]+/g, 'x');
    const { statusCode } = await desk.inject({ method: 'POST', url, headers, payload: 'a=b' });
    expect([form, statusCode]).toEqual([form, 403]);
  }
});

test('more than 600 requests per minute from one address are refused', async () => {
  const ask = async () => desk.inject({ url: '/' });
  const first = await Promise.all(Array.from({ length: 600 }, ask));
  expect(first.filter(({ statusCode }) => statusCode === 429)).toEqual([]);
  const { statusCode, headers } = await ask();
  expect(statusCode).toBe(429);
  expect(Number(headers['retry-after'])).toBeGreaterThan(0);
  const other = await desk.inject({ url: '/', remoteAddress: '127.0.0.2' });
  expect(other.statusCode).toBe(first[0]?.statusCode);
});

test('sign-ins are counted per client only with a trusted server in front', async () => {
  const statuses = async (app: FastifyInstance) => {
    const seen: number[] = [];
    for (let client = 1; client <= 12; client += 1) {
      const headers = { ...FORM, 'x-forwarded-for': `10.0.0.${client}` };
      const { statusCode } = await app.inject({
        method: 'POST',
        url: '/sign-in',
        headers,
        payload: 'token=x',
      });
      seen.push(statusCode);
    }
    return seen.filter((status) => status === 429).length;
  };
  expect(await statuses(desk)).toBe(2);
  const options = { tokens: [LEAD], registerApi: () => undefined, live, nowMs: () => nowMs };
  for (const [trusted, refused] of [
    ['127.0.0.0/8', 0],
    ['10.9.9.9', 2],
  ] as const) {
    const behind = await createDesk({ ...options, trustedProxies: [trusted] });
    expect(await statuses(behind)).toBe(refused);
    await behind.close();
  }
});

const PROXY = { version: '1', started_at: '', journal: 'postgres', flags: { source: 'files', fresh: true } };

describe('while another request of the same session is under way', () => {
  const SKIP = '/dead-letters/0d9b0c9e-0000-7000-8000-000000000001/skip';
  /** Pages wait for it. */
  let gate: Promise<void>;
  let pages = 0;

  beforeEach(async () => {
    gate = Promise.resolve();
    await desk.close();
    desk = await createDesk({
      tokens: [LEAD],
      registerApi(api) {
        api.get('/v1/status', async () => {
          pages += 1;
          await gate;
          return { services: [], replicas: { live: 1, silent: 0 }, proxy: PROXY };
        });
        api.post('/v1/*', async () => ({}));
      },
      live,
      nowMs: () => nowMs,
    });
  });

  async function glossary(cookie: string, more: Readonly<Record<string, string>> = {}) {
    return desk.inject({ url: '/glossary', headers: { cookie, ...more } });
  }

  /** A page whose answer ends after `meanwhile`. */
  async function overlapped(
    cookie: string,
    more: Readonly<Record<string, string>>,
    meanwhile: () => Promise<unknown>,
  ): Promise<void> {
    const { promise, resolve } = Promise.withResolvers<void>();
    gate = promise;
    const before = pages;
    const slow = glossary(cookie, more);
    await eventually('a page that waits', () => pages > before);
    await meanwhile();
    resolve();
    await slow;
  }

  /** @param page the page with the form's secret */
  async function send(cookie: string, url: string, page: string): Promise<number> {
    const csrf = /name="_csrf" value="([^"]+)"/.exec(page)?.[1] ?? '';
    const payload = new URLSearchParams({ _csrf: csrf, reason: 'why', back: '/glossary' }).toString();
    return (await desk.inject({ method: 'POST', url, headers: { ...FORM, cookie }, payload })).statusCode;
  }

  test.each<[string, Readonly<Record<string, string>>]>([
    ['a refresh', { 'x-refresh': '1' }],
    ['another page', {}],
  ])('the result of a form is shown, although %s ends after it', async (_what, more) => {
    const cookie = await signIn();
    const { body } = await glossary(cookie);
    expect(body).toContain('name="_csrf"');
    await overlapped(cookie, more, async () => expect(await send(cookie, SKIP, body)).toBe(303));
    expect((await glossary(cookie)).body).toContain('The write is skipped for good.');
    expect((await glossary(cookie)).body).not.toContain('The write is skipped for good.');
  });

  test('a sign-out stays one, although a page ends after it', async () => {
    const cookie = await signIn();
    const { body } = await glossary(cookie);
    expect(body).toContain('name="_csrf"');
    await overlapped(cookie, {}, async () => expect(await send(cookie, '/sign-out', body)).toBe(303));
    expect((await glossary(cookie)).statusCode).toBe(303);
  });
});
