import { afterEach, describe, expect, test } from 'vitest';
import { once } from 'node:events';
import { setTimeout as sleep } from 'node:timers/promises';
import { systemClock as clock } from '../../../src/shared/clock.ts';
import type { StreamHandler } from '../../../src/engine/ports/operation.ts';
import { eventually } from '../../support/eventually.ts';
import { freePort } from '../../support/ports.ts';
import { closeAll, host, open, proxy, readAll, refuse, send, upstream } from './http-proxy-under-test.ts';

afterEach(closeAll);

describe('a request that no definition knows', () => {
  function counting() {
    const told: string[] = [];
    const passUnknown: StreamHandler['passUnknown'] = ({ service }) => {
      told.push(service);
      return (status) => void told.push(status);
    };
    return { told, passUnknown };
  }

  test('is counted once, when its response starts', async () => {
    const { told, passUnknown } = counting();
    let finish: (() => void) | undefined;
    const target = await upstream((_, response) => {
      response.write('event 1');
      finish = () => void response.end('event 2');
    });
    const port = await proxy(target, () => expect.unreachable(), { passUnknown });
    const { request, response } = open(port, { path: '/twin/events' });
    request.end();
    const incoming = await response;
    expect(told).toEqual(['digital-twin', 'answered']);
    finish?.();
    expect((await readAll(incoming)).toString()).toBe('event 1event 2');
    expect(told).toHaveLength(2);
  });

  test('does not wait for the many requests of another agent', async () => {
    const [served, waiting]: [string[], (() => void)[]] = [[], []];
    const target = await upstream(({ url = '' }, response) => {
      served.push(url);
      waiting.push(() => void response.end('ok'));
    });
    let told = 0;
    const passUnknown: StreamHandler['passUnknown'] = () => {
      told += 1;
      return () => undefined;
    };
    const port = await proxy(target, () => expect.unreachable(), { passUnknown, connections: 2 });
    const ask = (path: string, name: string) => send(port, { path, headers: { 'crossfade-agent': name } });
    const many = Array.from({ length: 200 }, () => ask('/twin/many', 'many'));
    await eventually('the many requests', () => told === 200 && served.length === 2);
    const other = ask('/twin/other', 'other');
    await eventually('the other request', () => told === 201);
    const finishing = setInterval(() => waiting.shift()?.(), 1);
    expect((await other).body).toBe('ok');
    expect(served.indexOf('/other')).toBeLessThan(5);
    expect((await Promise.all(many)).map(({ body }) => body)).toEqual(many.map(() => 'ok'));
    clearInterval(finishing);
  });

  test('is counted without a response, and after a disconnect', async () => {
    const { told, passUnknown } = counting();
    const away = await proxy(`http://${host}:${await freePort()}`, refuse, { passUnknown });
    expect((await send(away, { path: '/twin/away' })).status).toBe(502);
    expect(told.splice(0)).toEqual(['digital-twin', 'unavailable']);

    const port = await proxy(await upstream(() => undefined), refuse, { passUnknown, headersTimeoutMs: 100 });
    expect((await send(port, { path: '/twin/hangs' })).status).toBe(504);
    expect(told.splice(0)).toEqual(['digital-twin', 'timeout']);

    const { request, response } = open(port, { path: '/twin/left' });
    response.catch(() => undefined);
    request.on('error', () => undefined).end();
    await eventually('the request', async () => told.length > 0);
    request.destroy();
    await eventually('its end', async () => told.length > 1);
    expect(told).toEqual(['digital-twin', 'answered']);
  });
});

describe('a request that the engine passes through', () => {
  const write = { method: 'POST', path: '/twin/twins' };

  function passing(deadlineMs: number) {
    const ends: string[] = [];
    const pass: StreamHandler['pass'] = () => ({
      deadlineAtMs: clock.now() + deadlineMs,
      end: (status) => void ends.push(status),
    });
    return { ends, pass };
  }

  test('is streamed with the already read body, and ends once', async () => {
    const { ends, pass } = passing(15_000);
    let finish: (() => void) | undefined;
    const target = await upstream(async (request, response) => {
      const body = await readAll(request);
      response.writeHead(201, { 'x-saw': `${request.url} ${body.toString()}` });
      response.write('first ');
      finish = () => void response.end('last');
    });
    const port = await proxy(target, () => expect.unreachable(), { pass });
    const { request, response } = open(port, write);
    request.end('{"n": 1000.0}');
    const incoming = await response;
    expect(incoming.headers['x-saw']).toBe('/twins {"n": 1000.0}');
    const [chunk] = (await once(incoming, 'data')) as [Buffer];
    expect(chunk.toString()).toBe('first ');
    expect(ends).toEqual([]);
    finish?.();
    expect((await readAll(incoming)).toString()).toBe('last');
    await eventually('the end', () => ends.length > 0);
    expect(ends).toEqual(['answered']);
  });

  test('is answered at its deadline, and ends when the service has finished', async () => {
    const { ends, pass } = passing(150);
    let finish: (() => void) | undefined;
    const target = await upstream((request, response) => {
      request.resume();
      finish = () => void response.end('late');
    });
    const port = await proxy(target, () => expect.unreachable(), { pass });
    const startedAtMs = clock.now();
    const reply = await send(port, write, '{}');
    expect(reply).toMatchObject({ status: 504, body: expect.stringContaining('"oops":"timeout"') });
    expect(clock.now() - startedAtMs).toBeLessThan(5_000);
    expect(ends).toEqual([]);
    await eventually('the request at the service', () => finish !== undefined);
    finish?.();
    await eventually('the end', async () => ends.length > 0);
    expect(ends).toEqual(['answered']);
  });

  test('continues after the agent disconnects, because it may take effect', async () => {
    const { ends, pass } = passing(5_000);
    let finish: (() => void) | undefined;
    const target = await upstream((request, response) => {
      request.resume();
      finish = () => void response.end('x'.repeat(4 * 1024 * 1024));
    });
    const port = await proxy(target, () => expect.unreachable(), { pass });
    const { request, response } = open(port, write);
    response.catch(() => undefined);
    request.on('error', () => undefined).end('{}');
    await eventually('the request to arrive', async () => finish !== undefined);
    request.destroy();
    await sleep(50);
    expect(ends).toEqual([]);
    finish?.();
    await eventually('the end', async () => ends.length > 0);
    expect(ends).toEqual(['answered']);
  });

  test('is answered and ends if its service is unreachable', async () => {
    const { ends, pass } = passing(15_000);
    const port = await proxy(`http://${host}:${await freePort()}`, refuse, { pass });
    expect(await send(port, write, '{}')).toMatchObject({ status: 502 });
    expect(ends).toEqual(['unavailable']);
  });
});
