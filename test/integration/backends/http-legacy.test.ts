import { afterEach, describe, expect, test } from 'vitest';
import { once } from 'node:events';
import { createServer, type IncomingMessage, type RequestListener, type ServerResponse } from 'node:http';
import { createHttpLegacyBackend, type HttpLegacySettings } from '../../../src/backends/http-channel.ts';
import type { LegacyClient } from '../../../src/backends/channels.ts';
import { systemClock as clock } from '../../../src/shared/clock.ts';
import { ConnectionError } from '../../../src/domain/errors.ts';
import { serviceName } from '../../../src/domain/ids.ts';
import type { LegacyCall, Reply } from '../../../src/engine/ports/ports.ts';
import { eventually } from '../../support/eventually.ts';
import { freePort } from '../../support/ports.ts';

const closing: (() => unknown)[] = [];

afterEach(async () => {
  for (const close of closing.splice(0).reverse()) await close();
});

async function serve(listener: RequestListener): Promise<string> {
  const server = createServer(listener);
  const port = await freePort();
  server.listen(port, '127.0.0.1');
  await once(server, 'listening');
  closing.push(() => {
    server.closeAllConnections();
    server.close();
  });
  return `http://127.0.0.1:${port}`;
}

async function connect(endpoint: string, more: Partial<HttpLegacySettings> = {}): Promise<LegacyClient> {
  const legacy = createHttpLegacyBackend({ service: serviceName('digital-twin'), endpoint, clock, ...more });
  await legacy.start();
  closing.push(() => legacy.stop());
  return legacy;
}

function ask(legacy: LegacyClient, ms: number, more: Partial<LegacyCall> = {}): Promise<Reply> {
  const http = {
    method: 'POST',
    path: '/x',
    headers: { 'content-type': 'text/plain', host: 'agents-see-this' },
  };
  return legacy.send({
    body: Buffer.from('body'),
    purpose: 'live',
    deadlineAtMs: clock.now() + ms,
    http,
    ...more,
  });
}

async function failureOf(call: Promise<Reply>): Promise<unknown> {
  const error: unknown = await call.catch((reason: unknown) => reason);
  expect(error).toBeInstanceOf(ConnectionError);
  return error;
}

describe('a legacy HTTP server', () => {
  test('gets method, path, headers and bytes, and its reply is complete', async () => {
    const legacy = await connect(
      `${await serve(async (request, response) => {
        const chunks: Buffer[] = [];
        for await (const chunk of request) chunks.push(chunk as Buffer);
        response.writeHead(418, { 'x-a': 'b' });
        response.end(
          `${request.method} ${request.url} ${request.headers['content-type']} ${String(chunks[0])}`,
        );
      })}/base/`,
    );
    let sent = 0;
    const reply = await ask(legacy, 15_000, { onSent: () => (sent += 1) });
    expect(reply.body.toString()).toBe('POST /base/x text/plain body');
    expect(reply.http).toMatchObject({ status: 418, headers: { 'x-a': 'b' } });
    expect(sent).toBe(1);
  });

  test('that is late: unknown effect at the deadline, and the reply is matched once', async () => {
    const late: string[] = [];
    const legacy = await connect(
      await serve((_, response) => void setTimeout(() => response.end('late'), 2_000)),
    );
    const startedAtMs = clock.now();
    const call = ask(legacy, 500, { onLate: ({ body }) => late.push(body.toString()) });
    expect(await failureOf(call)).toMatchObject({ effect: 'unknown', reason: 'timeout' });
    expect(clock.now() - startedAtMs).toBeLessThan(1_500);
    await eventually('the late reply', () => late.length > 0);
    expect(late).toEqual(['late']);
    expect(legacy.load('live')).toMatchObject({ inFlight: 0 });
  });

  test('that has no free connection: a waiting call is withdrawn unsent', async () => {
    const waiting: ServerResponse<IncomingMessage>[] = [];
    const legacy = await connect(await serve((_, response) => waiting.push(response)), { connections: 1 });
    const first = ask(legacy, 15_000);
    await eventually('the first at the server', () => waiting.length === 1);
    expect(await failureOf(ask(legacy, 60))).toMatchObject({ effect: 'not_applied', reason: 'deadline' });
    expect(waiting).toHaveLength(1);
    waiting[0]?.end('done');
    expect((await first).body.toString()).toBe('done');
  });

  test('with an endless reply: unknown effect long before the deadline', async () => {
    const piece = Buffer.alloc(1024 * 1024, 'x');
    let sent = 0;
    let isEnded = false;
    const legacy = await connect(
      await serve((_, response) => {
        const more = (): void => {
          while (!isEnded && response.write(piece)) sent += 1;
        };
        response.on('drain', more).on('close', () => (isEnded = true));
        more();
      }),
    );
    const failure = await failureOf(ask(legacy, 15_000));
    expect(failure).toMatchObject({ effect: 'unknown', reason: 'reset' });
    expect(String(failure)).toContain('sent a reply longer than 64 MiB');
    await eventually('the server is left alone', () => isEnded);
    expect(sent).toBeLessThan(200);
    expect(legacy.load('live')).toMatchObject({ inFlight: 0 });
  }, 30_000);

  test('that breaks off: unknown effect; that is unreachable: no effect', async () => {
    const breaking = await connect(await serve((_, response) => response.destroy()));
    expect(await failureOf(ask(breaking, 15_000))).toMatchObject({ effect: 'unknown', reason: 'reset' });
    const absent = await connect(`http://127.0.0.1:${await freePort()}`);
    expect(await failureOf(ask(absent, 15_000))).toMatchObject({
      effect: 'not_applied',
      reason: 'unreachable',
    });
  });
});
