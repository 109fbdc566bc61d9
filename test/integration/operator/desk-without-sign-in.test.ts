import { once } from 'node:events';
import { connect } from 'node:net';
import { afterEach, expect, test } from 'vitest';
import type { FastifyInstance } from 'fastify';
import { createDesk } from '../../../src/operator/desk/desk.ts';
import { LiveBook } from '../../../src/operator/live-book.ts';
import { freePort } from '../../support/ports.ts';

const FLAG = 'crossfade.session-memory.read-cutover';
const SERVER = 'https://unleash.example.org/projects/default';

const PROXY = {
  version: '0.1.0',
  started_at: '2026-11-22T00:00:00.000Z',
  journal: 'postgres',
  flags: { source: 'unleash', fresh: true },
};

let desk: FastifyInstance | undefined;
afterEach(() => desk?.close());

/** A desk whose flags are kept by Unleash, or in files. */
async function deskWith(flags: { editable: boolean; server: string | null }): Promise<FastifyInstance> {
  const made = await createDesk({
    tokens: [],
    registerApi(api) {
      const kept = { flag: 'read-cutover', name: FLAG, service: 'session-memory', kind: 'share', asked: 20 };
      const kill = { flag: 'kill-switch', name: 'crossfade.kill-switch', kind: 'switch', asked: 0 };
      api.get('/v1/flags', async () => ({ source: 'unleash', fresh: true, ...flags, flags: [kept, kill] }));
      api.get('/v1/services/:service/raise/:flag', async () => ({ mode: 'enforce', criteria: [], lanes: 0 }));
      api.get('/v1/services/*', async () => ({ lanes: [] }));
      api.get('/v1/status', async () => ({ services: [], proxy: PROXY, replicas: { live: 1, silent: 0 } }));
    },
    live: new LiveBook([]),
    nowMs: () => 0,
    headersWithinMs: 200,
  });
  desk = made;
  return made;
}

test('flags that Unleash keeps link to it, and cannot be changed here', async () => {
  const app = await deskWith({ editable: false, server: SERVER });
  const all = await app.inject('/flags');
  expect(all.statusCode).toBe(200);
  expect(all.body).toContain(`Unleash keeps the flags: <a href="${SERVER}" rel="noreferrer">${SERVER}</a>`);
  expect(all.body).not.toContain('Switch on…');
  const one = await app.inject(`/flags/${FLAG}`);
  expect(one.statusCode).toBe(200);
  expect(one.body).toContain(`href="${SERVER}" rel="noreferrer">Open Unleash</a>`);
  expect(one.body).not.toContain(`action="/flags/${FLAG}"`);
});

test('without a sign-in, a request from another host’s page is refused', async () => {
  const app = await deskWith({ editable: true, server: null });
  for (const host of ['evil.example.org', '127.0.0.1.example.org', 'localhost.example.org:5581'])
    for (const method of ['GET', 'POST'] as const)
      expect((await app.inject({ method, url: `/flags/${FLAG}`, headers: { host } })).statusCode).toBe(403);
  for (const host of ['localhost:5581', '127.0.0.1:5581'])
    expect((await app.inject({ url: '/flags', headers: { host } })).statusCode).toBe(200);
});

test('flags in files are changed here, without a mention of Unleash', async () => {
  const app = await deskWith({ editable: true, server: null });
  expect((await app.inject('/flags')).body).toContain('Switch on…');
  const one = await app.inject(`/flags/${FLAG}`);
  expect(one.body).toContain(`action="/flags/${FLAG}"`);
  expect(one.body).not.toContain('Unleash');
});

test('a repeated parameter in an address is accepted', async () => {
  const app = await deskWith({ editable: true, server: null });
  const { statusCode } = await app.inject('/lanes?owner=a&owner=b&service=x&service=y');
  expect(statusCode).toBe(200);
});

test.each(['banana', '101', '-1', '1.5', '%201'])(
  'a share of "%s" is refused with a sentence',
  async (share) => {
    const app = await deskWith({ editable: true, server: null });
    const { statusCode, body } = await app.inject(`/flags/${FLAG}?share=${share}`);
    expect(statusCode).toBe(400);
    expect(body).toContain('it must be a whole number from 0 to 100');
  },
);

test('connections that never finish their headers are closed', async () => {
  const app = await deskWith({ editable: false, server: SERVER });
  const port = await freePort();
  await app.listen({ port, host: '127.0.0.1' });
  const sockets = Array.from({ length: 20 }, () => connect(port, '127.0.0.1'));
  for (const socket of sockets)
    socket
      .on('error', () => undefined)
      .resume()
      .write('GET /flags HTTP/1.1\r\nhost: x');
  await Promise.all(sockets.map((socket) => once(socket, 'close')));
});
