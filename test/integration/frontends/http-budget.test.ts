import { once } from 'node:events';
import { connect } from 'node:net';
import { afterEach, describe, expect, test } from 'vitest';
import { setTimeout as sleep } from 'node:timers/promises';
import { systemClock as clock } from '../../../src/shared/clock.ts';
import { ByteBudget } from '../../../src/frontends/byte-budget.ts';
import type { StreamHandler } from '../../../src/engine/ports/operation.ts';
import { eventually } from '../../support/eventually.ts';
import {
  closeAll,
  closing,
  host,
  open,
  proxy,
  readAll,
  refuse,
  send,
  upstream,
} from './http-proxy-under-test.ts';

afterEach(closeAll);

const NOWHERE = 'http://127.0.0.1:1';
const ROUTES = [
  { over: 'the reverse proxy', path: '/twin/twins' },
  { over: '/v1/services', path: '/v1/services/session-memory' },
];
const BODY = 'x'.repeat(1_000);

const budgetOf = (patienceMs: number) => new ByteBudget({ limitBytes: 2_500, patienceMs, clock });

describe.each(ROUTES)('over $over', ({ path }) => {
  const post = { method: 'POST', path };

  test('bodies are read while there is room for them, and the others wait for it', async () => {
    let most = 0;
    let now = 0;
    const port = await proxy(
      NOWHERE,
      async ({ body }) => {
        now += body.length;
        most = Math.max(most, now);
        await sleep(20);
        now -= body.length;
        return { body };
      },
      { budget: budgetOf(20_000) },
    );
    const chunked = { ...post, headers: { 'transfer-encoding': 'chunked' } };
    const replies = await Promise.all(
      Array.from({ length: 20 }, (_, index) => send(port, index % 2 === 0 ? post : chunked, BODY)),
    );
    expect(replies.map(({ status, body }) => [status, body])).toEqual(replies.map(() => [200, BODY]));
    expect(most).toBeLessThanOrEqual(2_500);
  });

  test('a request without room is refused in the service’s dialect, and can be repeated', async () => {
    const budget = budgetOf(100);
    let finish: (() => void) | undefined;
    const finished = new Promise<void>((resolve) => (finish = resolve));
    const port = await proxy(
      NOWHERE,
      async ({ body }) => {
        await finished;
        return { body };
      },
      { budget },
    );
    const first = [send(port, post, BODY), send(port, post, BODY)];
    await eventually(
      'two under way',
      () =>
        !budget.hasRoom ||
        budget.take(1_000, 0).then((isTaken) => {
          if (isTaken) budget.give(1_000);
          return !isTaken;
        }),
    );
    const reply = await send(port, post, BODY);
    expect(reply.status).toBe(503);
    expect(reply.headers['retry-after']).toBe('1');
    expect(JSON.parse(reply.body)).toMatchObject({ oops: 'unavailable' });
    finish?.();
    for (const { status } of await Promise.all(first)) expect(status).toBe(200);
    expect((await send(port, post, BODY)).status).toBe(200);
  });

  test('a body shorter than announced is answered at the deadline and freed', async () => {
    const port = await proxy(NOWHERE, refuse, { deadlineMs: 300, budget: budgetOf(100) });
    const startedAtMs = clock.now();
    for (const _ of [1, 2, 3]) {
      const { request, response } = open(port, { ...post, headers: { 'content-length': 1_000 } });
      request.on('error', () => undefined);
      request.write('{"half":');
      const incoming = await response;
      expect(incoming.statusCode).toBe(408);
      expect(incoming.headers.connection).toBe('close');
      expect(JSON.parse((await readAll(incoming)).toString())).toMatchObject({ oops: 'timeout' });
    }
    expect(clock.now() - startedAtMs).toBeLessThan(10_000);
    expect((await send(port, post, BODY)).status).toBe(200);
  });

  test('connections that announce bodies but send none use no budget', async () => {
    const port = await proxy(NOWHERE, async ({ body }) => ({ body }), { budget: budgetOf(100) });
    for (const headers of [{ 'content-length': 1_000 }, { 'transfer-encoding': 'chunked' }])
      for (let count = 0; count < 8; count += 1) {
        const { request, response } = open(port, { ...post, headers });
        response.catch(() => undefined);
        request.on('error', () => undefined);
        request.flushHeaders();
        closing.push(() => request.destroy());
      }
    await sleep(50);
    expect((await send(port, post, BODY)).status).toBe(200);
  });

  test('agents that disconnect at any time release their budget', async () => {
    const budget = budgetOf(300);
    const port = await proxy(NOWHERE, refuse, { budget });
    const leaving = Array.from({ length: 8 }, () => {
      const { request, response } = open(port, { ...post, headers: { 'content-length': 1_000 } });
      response.catch(() => undefined);
      request.on('error', () => undefined);
      request.write('x');
      return request;
    });
    await sleep(50);
    for (const request of leaving) request.destroy();
    await eventually('all room is free', async () => {
      const isFree = await budget.take(2_500, 0);
      if (isFree) budget.give(2_500);
      return isFree;
    });
    expect((await send(port, post, BODY)).status).toBe(200);
  });
});

test('a streamed request counts until its service has finished', async () => {
  const budget = budgetOf(100);
  const pass: StreamHandler['pass'] = () => ({ deadlineAtMs: clock.now() + 5_000, end: () => undefined });
  let answer: (() => void) | undefined;
  const target = await upstream((request, response) => {
    request.resume();
    answer = () => void response.end('done');
  });
  const port = await proxy(target, () => expect.unreachable(), { pass, budget });
  const reply = send(port, { method: 'POST', path: '/twin/twins' }, BODY);
  await eventually('the request at the service', () => answer !== undefined);
  expect(await budget.take(2_000, 0)).toBe(false);
  answer?.();
  expect((await reply).body).toBe('done');
  await eventually('its bytes are free', () => budget.take(2_000, 0));
});

test('endless headers are answered soon after the deadline', async () => {
  const port = await proxy(NOWHERE, refuse, { deadlineMs: 200 });
  const socket = connect(port, host);
  socket.write('POST /twin/twins HTTP/1.1\r\nhost: x\r\n');
  const startedAtMs = clock.now();
  const [answer] = (await once(socket, 'data')) as [Buffer];
  expect(answer.toString()).toMatch(/^HTTP\/1\.1 408 /);
  expect(clock.now() - startedAtMs).toBeLessThan(10_000);
  socket.destroy();
});
