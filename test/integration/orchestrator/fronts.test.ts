import { once } from 'node:events';
import { request as httpRequest, type IncomingMessage } from 'node:http';
import { connect } from 'node:net';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { Dealer, Request } from 'zeromq';
import { LIMITS } from '../../../src/orchestrator/wire/limits.ts';
import { eventually } from '../../support/eventually.ts';
import { answerOf, createStage, type TestOrchestrator } from '../../support/orchestrator.ts';

const stage = createStage();
let orchestrator: TestOrchestrator;
beforeAll(async () => {
  orchestrator = await stage.start('pglite');
});
afterAll(() => stage.stop());

const PING = '{"action":"ping"}';
const INVALID: [what: string, body: string | Buffer, echo: object][] = [
  ['no JSON', '{"action":', {}],
  ['nothing', '', {}],
  ['no object', '["ping"]', {}],
  ['no UTF-8', Buffer.from([0x7b, 0xff, 0x7d]), {}],
  ['no action', '{"request_id":"r"}', { request_id: 'r' }],
  ['an unknown action', '{"action":"fly","request_id":"r"}', { action: 'fly', request_id: 'r' }],
  ['no session', '{"action":"create","request_id":7,"payload":{}}', { action: 'create', request_id: 7 }],
  ['a payload that is no object', '{"action":"ping","payload":[]}', { action: 'ping' }],
];

describe('the ZeroMQ front', () => {
  test('serves a strict REQ client one request after the other', async () => {
    const socket = new Request({ linger: 0, receiveTimeout: 25_000 });
    socket.connect(`tcp://127.0.0.1:${orchestrator.port}`);
    for (const id of ['a', 'b', 'c']) {
      await socket.send(JSON.stringify({ action: 'ping', request_id: id }));
      const [reply, ...more] = await socket.receive();
      expect(answerOf(String(reply))).toMatchObject({ status: 'success', action: 'ping', request_id: id });
      expect(more).toEqual([]);
    }
    socket.close();
  });

  test('returns every frame that a client sends before the empty one', async () => {
    const socket = new Dealer({ linger: 0, receiveTimeout: 25_000 });
    socket.connect(`tcp://127.0.0.1:${orchestrator.port}`);
    await socket.send(['one', 'two', '', PING]);
    const [one, two, empty, body] = await socket.receive();
    expect([one, two, empty].map(String)).toEqual(['one', 'two', '']);
    expect(answerOf(String(body)).status).toBe('success');
    socket.close();
  });

  test.each([
    ['without an empty frame', [PING]],
    ['with two bodies', ['', PING, PING]],
    ['without a body', ['']],
  ])('answers a message %s with invalid_request', async (_what, frames) => {
    const socket = new Dealer({ linger: 0, receiveTimeout: 25_000 });
    socket.connect(`tcp://127.0.0.1:${orchestrator.port}`);
    await socket.send(frames);
    const reply = await socket.receive();
    expect(answerOf(String(reply.at(-1))).error.code).toBe('invalid_request');
    socket.close();
  });

  test.each(INVALID)(
    'answers %s with invalid_request, and repeats the readable members',
    async (_what, body, echo) => {
      const socket = new Request({ linger: 0, receiveTimeout: 25_000 });
      socket.connect(`tcp://127.0.0.1:${orchestrator.port}`);
      await socket.send(body);
      const [reply] = await socket.receive();
      expect(answerOf(String(reply))).toMatchObject({
        status: 'error',
        error: { code: 'invalid_request' },
        ...echo,
      });
      socket.close();
    },
  );

  test('answers many requests of one socket at a time', async () => {
    const answers = await Promise.all(
      Array.from({ length: 200 }, (_, index) => orchestrator.ask('ping', {}, { request_id: String(index) })),
    );
    expect(answers.map(({ request_id }) => request_id)).toEqual(answers.map((_, index) => String(index)));
  });

  test('refuses messages above 4 MiB or nested too deeply, and continues', async () => {
    const long = await orchestrator.send(
      JSON.stringify({ action: 'ping', pad: 'x'.repeat(LIMITS.messageBytes) }),
    );
    expect(long.error).toMatchObject({ code: 'invalid_request', details: { limit: LIMITS.messageBytes } });
    const deep = await orchestrator.send(`{"action":"ping","payload":${'['.repeat(600)}${']'.repeat(600)}}`);
    expect(deep.error).toMatchObject({ code: 'validation_error', details: { limit: LIMITS.depth } });
    expect((await orchestrator.send(PING)).status).toBe('success');
  });

  test('stores content of the largest allowed depth', async () => {
    const depth = LIMITS.depth - 3;
    const answer = await orchestrator.send(
      `{"action":"create","session_id":"deep","payload":{"memory_type":"fact","create_session":true,"content":{"a":${'['.repeat(depth)}${']'.repeat(depth)}}}}`,
    );
    expect([answer.status, answer.error]).toEqual(['success', undefined]);
  });

  test('loses only the reply of a client that left', async () => {
    const socket = new Dealer({ linger: 100 });
    socket.connect(`tcp://127.0.0.1:${orchestrator.port}`);
    for (let index = 0; index < 20; index += 1) await socket.send(['', '{"action":"health"}']);
    socket.close();
    expect((await orchestrator.send(PING)).status).toBe('success');
  });
});

describe('the HTTP front', () => {
  async function post(action: string, body?: string | Buffer) {
    const response = await fetch(`http://127.0.0.1:${orchestrator.httpPort}/v1/${action}`, {
      method: 'POST',
      ...(body !== undefined && { body: new Uint8Array(Buffer.from(body)) }),
    });
    return { httpStatus: response.status, ...answerOf(await response.text()) };
  }

  test('takes the same messages; the action can be only in the URL', async () => {
    const session_id = 'over-http';
    const created = await post('create_session', JSON.stringify({ session_id, payload: { user_id: 'u' } }));
    expect(created).toMatchObject({ httpStatus: 200, status: 'success', action: 'create_session' });
    const memory = { memory_type: 'fact', content: { text: 'x' } };
    await post('create', JSON.stringify({ action: 'create', session_id, payload: memory }));
    const { data } = await orchestrator.ask('batch_read', {}, { session_id });
    expect(data.memories).toMatchObject([{ session_id, ...memory }]);
    expect(await post('ping')).toMatchObject({ httpStatus: 200, status: 'success' });
  });

  test.each([
    [400, 'create', '{"action":"update"}'],
    [400, 'ping', '{"action":'],
    [400, 'fly', '{}'],
    [404, 'read', '{"session_id":"s","payload":{"memory_id":"none"}}'],
    [404, 'end_session', '{"session_id":"none"}'],
    [422, 'create', '{"session_id":"s","payload":{"memory_type":"fact"}}'],
    [409, 'create_session', '{"session_id":"taken","payload":{"user_id":"other"}}'],
    [413, 'ping', JSON.stringify({ pad: 'x'.repeat(LIMITS.messageBytes) })],
  ])('answers %i to %s %.40s', async (httpStatus, action, body) => {
    await post('create_session', '{"session_id":"taken","payload":{"user_id":"owner"}}');
    expect(await post(action, body)).toMatchObject({ httpStatus, status: 'error' });
  });

  test('shows whether it is alive and ready', async () => {
    const live = await fetch(`http://127.0.0.1:${orchestrator.httpPort}/health/live`);
    expect([live.status, await live.json()]).toEqual([200, { status: 'alive' }]);
    const ready = await fetch(`http://127.0.0.1:${orchestrator.httpPort}/health/ready`);
    expect([ready.status, await ready.json()]).toMatchObject([200, { status: 'healthy', postgres: true }]);
  });
});

test('a stopping front answers requests on open connections, and closes them', async () => {
  const own = await stage.start('pglite');
  const socket = connect(own.httpPort, '127.0.0.1');
  const received: string[] = [];
  socket.setEncoding('utf8').on('data', (text: string) => received.push(text));
  const ended = new Promise<void>((resolve, reject) => socket.on('end', resolve).on('error', reject));
  const ask = (): void => {
    socket.write(
      `POST /v1/ping HTTP/1.1\r\nhost: localhost\r\ncontent-length: ${PING.length}\r\n\r\n${PING}`,
    );
  };
  ask();
  await eventually('the first answer', () => received.join('').includes('"status":"healthy"'));
  expect(received.join('').toLowerCase()).not.toContain('connection: close');
  const stopped = own.stop();
  received.length = 0;
  ask();
  await ended;
  expect(received.join('')).toContain('HTTP/1.1 200');
  expect(received.join('').toLowerCase()).toContain('connection: close');
  await stopped;
});

test.each([{ host: 'evil.example' }, { origin: 'http://evil.example', 'content-type': 'text/plain' }])(
  'without keys a web page cannot send requests through a browser: %j',
  async (headers) => {
    const request = httpRequest({ port: orchestrator.httpPort, path: '/v1/ping', method: 'POST', headers });
    request.end('{}');
    const [response] = (await once(request, 'response')) as [IncomingMessage];
    expect(response.statusCode).toBe(403);
    response.resume();
  },
);
