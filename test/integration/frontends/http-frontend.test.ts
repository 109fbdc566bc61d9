import { afterEach, describe, expect, test } from 'vitest';
import { once } from 'node:events';
import type { IncomingMessage } from 'node:http';
import { setImmediate as nextTurn, setTimeout as sleep } from 'node:timers/promises';
import { createHttpLegacyBackend } from '../../../src/backends/http-channel.ts';
import { systemClock as clock } from '../../../src/shared/clock.ts';
import { eventually } from '../../support/eventually.ts';
import { freePort } from '../../support/ports.ts';
import {
  closeAll,
  closing,
  host,
  open,
  proxy,
  readAll,
  refuse,
  send,
  service,
  upstream,
} from './http-proxy-under-test.ts';

afterEach(closeAll);

test('the handler learns for each reply whether the agent was still connected', async () => {
  const target = await upstream(() => undefined);
  const told: boolean[] = [];
  let asked = 0;
  let goOn = (): void => undefined;
  const leaving = new Promise<void>((resolve) => (goOn = resolve));
  const port = await proxy(target, async () => {
    asked += 1;
    if (asked === 2) await leaving;
    return { body: Buffer.from('{}'), delivered: (isDelivered) => void told.push(isDelivered) };
  });
  expect((await send(port, { method: 'POST', path: '/twin/twins' }, '{}')).status).toBe(200);
  const { request, response } = open(port, { method: 'POST', path: '/twin/twins' });
  response.catch(() => undefined);
  request.on('error', () => undefined);
  request.end('{}');
  await eventually('the second request', () => asked === 2);
  request.destroy();
  // Its end arrives here within a few turns: both ends are of this process.
  for (let turn = 0; turn < 10; turn += 1) await nextTurn();
  goOn();
  await eventually('the second reply', () => told.length === 2);
  expect(told).toEqual([true, false]);
});

test('an agent is named by its header, otherwise by its address', async () => {
  const target = await upstream(() => undefined);
  const seen: unknown[] = [];
  const port = await proxy(target, async ({ agent }) => {
    seen.push(agent);
    return { body: Buffer.from('{}') };
  });
  const headers = { 'crossfade-agent': 'planner' };
  await send(port, { method: 'POST', path: '/twin/twins', headers }, '{}');
  await send(port, { method: 'POST', path: '/twin/twins' }, '{}');
  expect(seen).toEqual([
    { name: 'planner', dialect: 'http' },
    { name: '127.0.0.1', dialect: 'http' },
  ]);
});

describe('a request that is not a known action is streamed', () => {
  test('10 MiB each way, byte for byte', async () => {
    const target = await upstream((request, response) => void request.pipe(response));
    const body = Buffer.alloc(10 * 1024 * 1024, 'crossfade');
    const { request, response } = open(await proxy(target), { method: 'PUT', path: '/twin/blob' });
    request.end(body);
    expect((await readAll(await response)).equals(body)).toBe(true);
  });

  test('with method, path, query and headers, without those of the connection', async () => {
    let seen: IncomingMessage | undefined;
    const target = await upstream((request, response) => {
      seen = request;
      response.writeHead(207, 'Some of it', {
        'x-answer': '42',
        'set-cookie': ['a=1', 'b=2'],
        connection: 'x-private, keep-alive',
        'x-private': 'mine',
      });
      response.end('done');
    });
    const reply = await send(await proxy(target), {
      method: 'DELETE',
      path: '/twin/a%2Fb/../c?x=1&y=%20',
      headers: {
        'x-kept': 'yes',
        connection: 'x-secret',
        'x-secret': 'no',
        'keep-alive': 'timeout=3',
        te: 'trailers',
        upgrade: 'h2c',
        via: '1.0 before',
        'x-forwarded-for': '10.0.0.1',
      },
    });
    expect(seen).toMatchObject({ method: 'DELETE', url: '/a%2Fb/../c?x=1&y=%20' });
    expect(seen?.headers).toMatchObject({ 'x-kept': 'yes', via: '1.0 before, 1.1 crossfade' });
    expect(seen?.headers['x-forwarded-for']).toBe('10.0.0.1, 127.0.0.1');
    expect(seen?.headers.host).toBe(new URL(target).host);
    for (const name of ['x-secret', 'keep-alive', 'te', 'upgrade', 'transfer-encoding']) {
      expect(seen?.headers[name]).toBeUndefined();
    }
    expect(reply).toMatchObject({ status: 207, body: 'done' });
    expect(reply.headers).toMatchObject({ 'x-answer': '42', 'set-cookie': ['a=1', 'b=2'] });
    expect(reply.headers['x-private']).toBeUndefined();
  });

  test('headers arrive before any event, and events before the end', async () => {
    let release: () => void = () => undefined;
    const target = await upstream((_, response) => {
      response.writeHead(200, { 'content-type': 'text/event-stream' });
      response.flushHeaders();
      release = () => response.write('data: 1\n\n');
    });
    const { request, response } = open(await proxy(target), { path: '/twin/events' });
    request.end();
    const incoming = await response;
    expect(incoming.headers['content-type']).toBe('text/event-stream');
    release();
    const [event] = (await once(incoming, 'data')) as [Buffer];
    expect(event.toString()).toBe('data: 1\n\n');
    request.destroy();
  });

  test('Expect: 100-continue is answered and the body is relayed', async () => {
    const target = await upstream((request, response) => void request.pipe(response));
    const { request, response } = open(await proxy(target), {
      method: 'PUT',
      path: '/twin/x',
      headers: { expect: '100-continue', 'content-length': 5 },
    });
    request.flushHeaders();
    await once(request, 'continue');
    request.end('hello');
    expect((await readAll(await response)).toString()).toBe('hello');
  });

  test('HEAD, 204 and 304 have no body', async () => {
    const target = await upstream((request, response) => {
      const status = Number(request.url?.slice(1));
      response.writeHead(status, status === 200 ? { 'content-length': 7 } : {}).end();
    });
    const port = await proxy(target);
    expect(await send(port, { method: 'HEAD', path: '/twin/200' })).toMatchObject({
      status: 200,
      body: '',
      headers: { 'content-length': '7' },
    });
    expect(await send(port, { path: '/twin/204' })).toMatchObject({ status: 204, body: '' });
    expect(await send(port, { path: '/twin/304' })).toMatchObject({ status: 304, body: '' });
  });

  test('an agent that disconnects ends the request at the service', async () => {
    let closed: Promise<unknown> | undefined;
    const target = await upstream((_, response) => {
      closed = once(response, 'close');
      response.write('first');
    });
    const { request, response } = open(await proxy(target), { path: '/twin/endless' });
    request.end();
    await once(await response, 'data');
    request.destroy();
    expect(await Promise.race([closed?.then(() => 'closed'), sleep(20_000, 'still open')])).toBe('closed');
  });

  test('with a service that is unreachable, hangs or breaks off', async () => {
    const absent = await proxy(`http://${host}:${await freePort()}`);
    for (const body of [undefined, 'x'.repeat(5_000_000)]) {
      const reply = await send(absent, { method: body === undefined ? 'GET' : 'PUT', path: '/twin/x' }, body);
      expect(reply.status).toBe(502);
      expect(JSON.parse(reply.body)).toMatchObject({ oops: 'unavailable' });
    }
    const hanging = await proxy(await upstream(() => undefined), refuse, { headersTimeoutMs: 300 });
    const late = await send(hanging, { path: '/twin/x' });
    expect(late.status).toBe(504);
    expect(JSON.parse(late.body)).toMatchObject({ oops: 'timeout' });
    const breaking = await proxy(
      await upstream((_, response) => {
        response.write('half');
        setTimeout(() => response.destroy(), 50);
      }),
    );
    await expect(send(breaking, { path: '/twin/x' })).rejects.toThrow();
  });
});

describe('a known action goes through the handler', () => {
  test('with its target, and gets status, headers and bytes of the service', async () => {
    const target = await upstream(async (request, response) => {
      const body = await readAll(request);
      response.writeHead(201, { 'content-type': 'application/json', 'x-id': '7', 'x-saw': request.url });
      response.end(`{"got": ${body.toString()}, "n": 1000.0}`);
    });
    const legacy = createHttpLegacyBackend({ service, endpoint: target, clock });
    await legacy.start();
    closing.push(() => legacy.stop());
    const port = await proxy(target, ({ body, receivedAtMs, http }) =>
      legacy.send({ body, purpose: 'live', deadlineAtMs: receivedAtMs + 15_000, ...(http && { http }) }),
    );
    const reply = await send(port, { method: 'POST', path: '/twin/twins?user=1' }, '{"x": NaN}');
    expect(reply).toMatchObject({ status: 201, body: '{"got": {"x": NaN}, "n": 1000.0}' });
    expect(reply.headers).toMatchObject({ 'x-id': '7', 'x-saw': '/twins?user=1' });
  });

  test('over the limit it is refused and never reaches a backend', async () => {
    const port = await proxy(await upstream(() => expect.unreachable()));
    for (const headers of [{}, { 'transfer-encoding': 'chunked' }]) {
      const reply = await send(port, { method: 'POST', path: '/twin/twins', headers }, 'x'.repeat(1_001));
      expect(reply).toMatchObject({ status: 413, body: '{"refused": "too_large"}' });
    }
  });
});

describe('ZMQ services over HTTP', () => {
  const path = '/v1/services/session-memory';

  test('take the same body and give the same reply', async () => {
    const port = await proxy('http://127.0.0.1:1', async ({ body, service: name }) => ({
      body: Buffer.from(`${name} ${body.toString()}`),
    }));
    const reply = await send(
      port,
      { method: 'POST', path, headers: { 'content-type': 'text/x' } },
      '{"n": NaN}',
    );
    expect(reply).toMatchObject({ status: 200, body: 'session-memory {"n": NaN}' });
    expect(reply.headers['content-type']).toBe('application/json');
    expect((await send(port, { method: 'POST', path }, 'plain')).body).toBe('session-memory plain');
  });

  test('refuse requests that are too large, and unknown services', async () => {
    const port = await proxy('http://127.0.0.1:1');
    expect(await send(port, { method: 'POST', path }, 'x'.repeat(1_001))).toMatchObject({
      status: 413,
      body: '{"refused": "too_large"}',
    });
    const unknown = await send(port, { method: 'POST', path: '/v1/services/nobody' }, '{}');
    expect(unknown.status).toBe(404);
    expect(JSON.parse(unknown.body)).toMatchObject({ status: 'error', error: 'unknown service: nobody' });
    expect(await send(port, { path: '/health/live' })).toMatchObject({
      status: 200,
      body: '{"status":"ok"}',
    });
  });
});

test.each([{ host: 'evil.example' }, { origin: 'http://evil.example', 'content-type': 'text/plain' }])(
  'a web page cannot call a service through a browser: %j',
  async (headers) => {
    const port = await proxy('http://127.0.0.1:1', () => expect.unreachable());
    const path = '/v1/services/session-memory';
    const { status, body } = await send(port, { method: 'POST', path, headers }, '{}');
    expect([status, JSON.parse(body)]).toMatchObject([403, { status: 'error' }]);
  },
);
