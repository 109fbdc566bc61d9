import type { FastifyInstance } from 'fastify';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { createDesk } from '../../../src/operator/desk/desk.ts';
import { LiveBook } from '../../../src/operator/live-book.ts';

const TOKEN = 'the token of a reader';
const REPORT = '<!doctype html><p>the report</p>';

let desk: FastifyInstance;
let cookie = '';

beforeAll(async () => {
  desk = await createDesk({
    tokens: [{ name: 'manager', role: 'viewer', token: TOKEN }],
    registerApi(api) {
      const stored = [{ date: '2026-11-20', made_at: '2026-11-21T05:00:00.000Z', failed_criteria: 0 }];
      api.get('/v1/reports', async () => ({ zone: 'UTC', reports: stored }));
      api.get('/v1/reports/:name', (_request, reply) => reply.type('text/html').send(REPORT));
    },
    live: new LiveBook([]),
    nowMs: () => 0,
    pages: 'reports',
  });
});
afterAll(() => desk.close());

const get = (url: string) => desk.inject({ url, headers: { cookie } });

test('a visitor without a session signs in, and comes back to the report', async () => {
  const refused = await get('/reports/2026-11-20.html');
  expect(refused.headers.location).toBe('/sign-in?to=%2Freports%2F2026-11-20.html');
  expect((await get('/')).headers.location).toBe('/reports');
});

test('a token signs in, and the list and the report are shown', async () => {
  const form = await get('/sign-in?to=/reports/2026-11-20.html');
  const csrf = /name="_csrf" value="([^"]+)"/.exec(form.body)?.[1] ?? '';
  cookie = String(form.headers['set-cookie']).split(';')[0] ?? '';
  const signedIn = await desk.inject({
    method: 'POST',
    url: '/sign-in',
    headers: { cookie, 'content-type': 'application/x-www-form-urlencoded' },
    payload: new URLSearchParams({ _csrf: csrf, token: TOKEN, to: '/reports/2026-11-20.html' }).toString(),
  });
  expect(signedIn.headers.location).toBe('/reports/2026-11-20.html');
  cookie = String(signedIn.headers['set-cookie']).split(';')[0] ?? '';
  expect((await get('/reports/2026-11-20.html')).body).toBe(REPORT);
  const list = await get('/reports');
  expect(list.body).toContain('href="/reports/2026-11-20.html"');
  expect(list.body).not.toMatch(/href="\/(?:guard|flags|lanes|runs|audit|glossary)"/);
});

test('every other page and every change is absent', async () => {
  for (const url of ['/flags', '/guard', '/lanes', '/runs', '/audit', '/live/stream'])
    expect((await get(url)).statusCode).toBe(404);
  const change = { method: 'POST', url: '/guard/session-memory/release', headers: { cookie } } as const;
  expect((await desk.inject(change)).statusCode).toBe(404);
});
