import { afterEach, describe, expect, test } from 'vitest';
import { createServer } from 'node:http';
import { Router } from 'zeromq';
import { createOrchestratorClient, type OrchestratorSettings } from '../../../src/backends/orchestrator.ts';
import { systemClock as clock } from '../../../src/shared/clock.ts';
import { ConnectionError, CrossfadeError, type ErrorCode } from '../../../src/domain/errors.ts';
import type { SessionId } from '../../../src/domain/ids.ts';
import { Json } from '../../../src/domain/json.ts';
import type { OrchestratorWrite } from '../../../src/domain/orchestrator-call.ts';
import { eventually } from '../../support/eventually.ts';
import { freePort } from '../../support/ports.ts';
import { reached } from '../../support/reached.ts';

const closing: (() => unknown)[] = [];
const sessionId = 's-1' as SessionId;

afterEach(async () => {
  for (const close of closing.splice(0).reverse()) await close();
});

/** Gives the text of a reply, or undefined for none. */
type Answer = (request: string, path: string | undefined) => string | undefined | Promise<string | undefined>;

async function overZmq(answer: Answer): Promise<string> {
  const endpoint = `tcp://127.0.0.1:${await freePort()}`;
  const socket = new Router({ linger: 0, sendTimeout: 0 });
  await socket.bind(endpoint);
  closing.push(() => socket.close());
  void (async () => {
    for await (const frames of socket) {
      const body = frames.pop()?.toString() ?? '';
      void Promise.resolve(answer(body, undefined)).then((text) =>
        text === undefined ? undefined : socket.send([...frames, text]),
      );
    }
  })();
  return endpoint;
}

async function overHttp(answer: Answer): Promise<string> {
  const port = await freePort();
  const server = createServer(async (request, response) => {
    const chunks: Buffer[] = [];
    for await (const chunk of request) chunks.push(chunk as Buffer);
    const text = await answer(Buffer.concat(chunks).toString(), request.url);
    if (text !== undefined) response.setHeader('content-type', 'application/json').end(text);
  });
  await new Promise<void>((resolve) => server.listen(port, '127.0.0.1', resolve));
  closing.push(() => {
    server.closeAllConnections();
    server.close();
  });
  return `http://127.0.0.1:${port}`;
}

async function connect(endpoint: string, more: Partial<OrchestratorSettings> = {}) {
  const client = createOrchestratorClient({ endpoint, clock, ...more });
  closing.push(() => client.stop());
  await client.start();
  return client;
}

const within = (ms: number) => ({ purpose: 'live' as const, deadlineAtMs: clock.now() + ms });
const success = (data: string) => `{"status": "success", "request_id": "r", "data": ${data}}`;

function write(payload: Record<string, unknown>): OrchestratorWrite {
  return { action: 'create', sessionId, payload, lane: { key: 'svc/s-1', generation: 2, sequence: 7 } };
}

async function failureOf(call: Promise<unknown>): Promise<CrossfadeError> {
  const error: unknown = await call.catch((reason: unknown) => reason);
  expect(error).toBeInstanceOf(CrossfadeError);
  return error as CrossfadeError;
}

for (const [name, serve] of Object.entries({ ZMQ: overZmq, HTTP: overHttp })) {
  describe(`the orchestrator over ${name}`, () => {
    test('gets content with its original spelling, and answers the same way', async () => {
      const seen: string[] = [];
      const endpoint = await serve((request, path) => {
        seen.push(request);
        if (path !== undefined) expect(path).toBe('/v1/batch_read');
        return success('{"memories": [ {"n": 1000.0, "big": 123456789012345678901234567890} ]}');
      });
      const client = await connect(endpoint, { key: 'secret-key' });
      const answer = await reached(() =>
        client.read(
          { action: 'batch_read', sessionId, payload: { filter: new Json('{"x": 1e3}') } },
          within(15_000),
        ),
      );
      expect(answer.text).toBe('{"memories": [ {"n": 1000.0, "big": 123456789012345678901234567890} ]}');
      expect(seen[0]).toContain('"filter":{"x": 1e3}');
      expect(JSON.parse(seen[0] ?? '')).toMatchObject({
        action: 'batch_read',
        session_id: 's-1',
        auth: { key: 'secret-key' },
        request_id: expect.any(String) as string,
        timestamp: expect.stringMatching(/Z$/) as string,
      });
    });

    test('takes a batch and answers each operation', async () => {
      const seen: string[] = [];
      const endpoint = await serve((request) => {
        seen.push(request);
        return success('{"results": [{"memory_id": "m"}, {"superseded": true}, {"already_applied": true}]}');
      });
      const client = await connect(endpoint);
      const results = await reached(() =>
        client.batchWrite([write({ a: 1 }), write({}), write({})], within(15_000)),
      );
      expect(results.map(({ result }) => result)).toEqual(['applied', 'superseded', 'already_applied']);
      const { action, payload } = JSON.parse(seen[0] ?? '') as Record<string, unknown>;
      expect(action).toBe('batch_write');
      expect((payload as { operations: unknown[] }).operations[0]).toEqual({
        action: 'create',
        session_id: 's-1',
        lane: { key: 'svc/s-1', generation: 2, sequence: 7 },
        payload: { a: 1 },
      });
    });

    test('is sent no message above its limit', async () => {
      let asked = 0;
      const client = await connect(
        await serve(() => {
          asked += 1;
          return success('{"results": [{}]}');
        }),
      );
      const long = 'x'.repeat(2 * 1024 * 1024);
      const tooLong = await failureOf(client.batchWrite([write({ long }), write({ long })], within(15_000)));
      expect(tooLong).toMatchObject({ code: 'validation_error', reason: 'too_large', effect: 'rejected' });
      expect(tooLong.details).toMatchObject({ field: 'message', limit: 4 * 1024 * 1024 });
      expect(asked).toBe(0);
      await reached(() => client.batchWrite([write({ long })], within(15_000)));
    });

    test('that hangs opens the breaker after three timeouts, with one trial per second', async () => {
      let asked = 0;
      const client = await connect(
        await serve((request) => {
          if (request.includes('"warm"')) return success('{}');
          asked += 1;
          return undefined;
        }),
      );
      await reached(() =>
        client.read({ action: 'read', sessionId: 'warm' as SessionId, payload: {} }, within(15_000)),
      );
      for (let miss = 0; miss < 3; miss += 1) {
        const startedAtMs = clock.now();
        const error = await failureOf(client.read({ action: 'read', sessionId, payload: {} }, within(150)));
        expect(error).toMatchObject({ effect: 'unknown', reason: 'timeout' });
        expect(clock.now() - startedAtMs).toBeLessThan(2_000);
      }
      await eventually('the breaker opens', () => client.load('live').breaker === 'open');
      expect(client.load('shadow').breaker).toBe('closed');
      const refused = await failureOf(client.read({ action: 'read', sessionId, payload: {} }, within(150)));
      expect(refused).toMatchObject({ effect: 'not_applied', reason: 'breaker_open' });
      await eventually('three have arrived', () => asked >= 3);
      expect(asked).toBe(3);
      expect(client.load('live')).toMatchObject({ inFlight: 0, queued: 0 });
    });

    test('that is unreachable refuses without effect', async () => {
      const client = await connect(`${name === 'ZMQ' ? 'tcp' : 'http'}://127.0.0.1:${await freePort()}`);
      const error = await failureOf(client.batchWrite([write({})], within(15_000)));
      expect(error).toBeInstanceOf(ConnectionError);
      expect(error).toMatchObject({ effect: 'not_applied', reason: 'unreachable' });
    });

    test('slow deliveries delay no read', async () => {
      let release = (): void => undefined;
      const released = new Promise<void>((resolve) => (release = resolve));
      let isHeld = false;
      const endpoint = await serve(async (request) => {
        if (request.includes('batch_write')) {
          isHeld = true;
          await released;
        }
        return success('{"results": [{}]}');
      });
      const client = await connect(endpoint, { inFlightLimit: 1 });
      const writing = reached(() => client.batchWrite([write({})], within(25_000)));
      await eventually('the delivery is under way', () => isHeld);
      await reached(() => client.read({ action: 'read', sessionId, payload: {} }, within(10_000)));
      release();
      await writing;
    });
  });
}

const REPORTED: [code: ErrorCode | 'nonsense', details: string, expected: Record<string, unknown>][] = [
  ['validation_error', '{"operation": 3}', { name: 'ValidationError', effect: 'rejected' }],
  ['validation_error', '{"reason": "duplicate"}', { name: 'DuplicateError', reason: 'duplicate' }],
  ['invalid_request', '{}', { name: 'ValidationError', code: 'invalid_request' }],
  ['memory_not_found', '{}', { name: 'NotFoundError', code: 'memory_not_found' }],
  ['session_not_found', '{}', { name: 'NotFoundError', code: 'session_not_found' }],
  ['permission_denied', '{}', { name: 'OperationError', effect: 'rejected' }],
  ['search_error', '{}', { name: 'OperationError', effect: 'rejected' }],
  ['rate_limit_exceeded', '{"retry_after_ms": 5}', { name: 'OperationError', effect: 'not_applied' }],
  ['storage_error', '{}', { name: 'StorageError', effect: 'unknown' }],
  ['storage_error', '{"effect": "not_applied"}', { name: 'StorageError', effect: 'not_applied' }],
  ['internal_error', '{}', { name: 'OperationError', effect: 'unknown' }],
  ['internal_error', '{"reason": "timeout"}', { name: 'ConnectionError', effect: 'unknown' }],
  ['nonsense', '{}', { name: 'OperationError', code: 'internal_error', effect: 'unknown' }],
];

describe('what the orchestrator reports', () => {
  for (const [code, details, expected] of REPORTED) {
    test(`${code} ${details} is a ${String(expected['name'])}`, async () => {
      const error = `{"code": "${code}", "message": "said so", "details": ${details}}`;
      const client = await connect(await overZmq(() => `{"status": "error", "error": ${error}}`));
      const failure = await failureOf(reached(() => client.batchWrite([write({})], within(15_000))));
      expect(failure).toMatchObject({ ...expected, message: 'said so', details: JSON.parse(details) });
    });
  }

  test('an invalid reply is a failure of unknown effect', async () => {
    for (const text of ['', 'x', '[]', '{"status": "success"}', success('{"results": []}')]) {
      const client = await connect(await overZmq(() => text));
      const failure = await failureOf(reached(() => client.batchWrite([write({})], within(15_000))));
      expect(failure).toMatchObject({ effect: 'unknown', reason: 'malformed_reply' });
    }
  });
});

test('a lost connection is reported before what waits is sent over the next one', async () => {
  const seen: string[] = [];
  const endpoint = `tcp://127.0.0.1:${await freePort()}`;
  const served = async (): Promise<Router> => {
    const socket = new Router({ linger: 0 });
    await socket.bind(endpoint);
    void (async () => {
      for await (const frames of socket) {
        seen.push('asked');
        frames.pop();
        await socket.send([...frames, success('{}')]);
      }
    })();
    return socket;
  };
  const first = await served();
  const client = await connect(endpoint);
  client.onDown(() => void seen.push('down'));
  const ask = (): Promise<unknown> =>
    client.read({ action: 'batch_read', sessionId, payload: {} }, within(15_000));
  await reached(ask);
  first.close();
  await eventually('each connection is reported', () => seen.filter((what) => what === 'down').length === 4);
  const second = await served();
  closing.push(() => second.close());
  await reached(ask);
  expect(seen.indexOf('down')).toBeLessThan(seen.lastIndexOf('asked'));
});
