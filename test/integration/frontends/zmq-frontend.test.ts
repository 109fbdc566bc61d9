import { connect } from 'node:net';
import { afterEach, describe, expect, test } from 'vitest';
import { setTimeout as sleep } from 'node:timers/promises';
import { Context, Dealer, Publisher, Request, Subscriber } from 'zeromq';
import { createZmqLegacyBackend } from '../../../src/backends/zmq-legacy.ts';
import { systemClock as clock } from '../../../src/clock.ts';
import { serviceName } from '../../../src/domain/ids.ts';
import { createHealthResponder } from '../../../src/frontends/zmq/health.ts';
import { createPubRelay } from '../../../src/frontends/zmq/pub-relay.ts';
import { createZmqFrontend, type ZmqFrontendSettings } from '../../../src/frontends/zmq/router.ts';
import type { AgentReply, AgentRequest } from '../../../src/migration/request-handler.ts';
import { killRepServers, startRepServer } from '../backends/rep-server.ts';
import { eventually } from '../../support/eventually.ts';
import { freePort } from '../../support/ports.ts';

const closing: (() => unknown)[] = [];
const context = new Context({ maxSockets: 2_000 });
const host = '127.0.0.1';

afterEach(async () => {
  for (const close of closing.splice(0).reverse()) await close();
  killRepServers();
});

type Handle = (request: AgentRequest) => Promise<AgentReply>;

async function serve(handle: Handle, more: Partial<ZmqFrontendSettings> = {}): Promise<number> {
  const port = await freePort();
  const service = serviceName('session-memory');
  const frontend = createZmqFrontend({ service, host, port, clock, handler: { handle }, ...more });
  await frontend.start();
  closing.push(() => frontend.stop());
  return port;
}

function requester(port: number): Request {
  const socket = new Request({ context, linger: 0, receiveTimeout: 10_000 });
  socket.connect(`tcp://${host}:${port}`);
  closing.push(() => socket.close());
  return socket;
}

function dealer(port: number): Dealer {
  const socket = new Dealer({ context, linger: 0, receiveTimeout: 5_000 });
  socket.connect(`tcp://${host}:${port}`);
  closing.push(() => socket.close());
  return socket;
}

async function exchange(socket: Request | Dealer, frames: (string | Buffer)[]): Promise<string[]> {
  await socket.send(frames);
  return (await socket.receive()).map((frame) => frame.toString());
}

const echo: Handle = async ({ body, problem }) => ({
  body: problem === undefined ? body : Buffer.from(`refused: ${problem.kind}`),
});

describe('agents over ZMQ', () => {
  test('it is told of each reply whether its agent was still there', async () => {
    const told: boolean[] = [];
    const port = await serve(async ({ body }) => {
      await sleep(Number(body));
      return { body, delivered: (isDelivered) => void told.push(isDelivered) };
    });
    expect(await exchange(requester(port), ['0'])).toEqual(['0']);
    const impatient = new Request({ context, linger: 0 });
    impatient.connect(`tcp://${host}:${port}`);
    await impatient.send('150');
    await sleep(50);
    impatient.close();
    await eventually('the second reply', () => told.length === 2);
    expect(told).toEqual([true, false]);
  });

  test('200 strict REQ clients at once, ten requests each, every reply the right one', async () => {
    const server = await startRepServer(await freePort());
    const legacy = createZmqLegacyBackend({
      service: serviceName('session-memory'),
      endpoint: server.endpoint,
      clock,
    });
    await legacy.start();
    closing.push(() => legacy.stop());
    const port = await serve(({ body, receivedAtMs }) =>
      legacy.send({ body, purpose: 'live', deadlineAtMs: receivedAtMs + 10_000 }),
    );
    const agents = Array.from({ length: 200 }, () => requester(port));
    await Promise.all(
      agents.map(async (agent, index) => {
        for (let turn = 0; turn < 10; turn += 1) {
          const body = `{"agent": ${index}, "turn": ${turn}, "text": "${'ñ'.repeat(turn * 20)}"}`;
          expect(await exchange(agent, [body])).toEqual([body]);
        }
      }),
    );
  });

  test('a DEALER with a delimiter, with frames of its own before it, or without one is answered as it asked', async () => {
    const agent = dealer(await serve(echo));
    expect(await exchange(agent, ['', 'plain'])).toEqual(['', 'plain']);
    expect(await exchange(agent, ['id-7', '', 'correlated'])).toEqual(['id-7', '', 'correlated']);
    expect(await exchange(agent, ['bare'])).toEqual(['bare']);
  });

  test('slow requests do not hold up fast ones, and each is answered exactly once', async () => {
    const port = await serve(async ({ body }) => {
      await sleep(body.toString() === 'slow' ? 150 : 0);
      return { body };
    });
    const agent = dealer(port);
    await agent.send(['', 'slow']);
    await agent.send(['', 'fast']);
    const replies = [await agent.receive(), await agent.receive()].map(([, body]) => body?.toString());
    expect(replies).toEqual(['fast', 'slow']);
    agent.receiveTimeout = 100;
    await expect(agent.receive()).rejects.toThrow();
  });

  test('an empty message, none, or several are refused through the handler', async () => {
    const port = await serve(echo);
    const agent = requester(port);
    expect(await exchange(agent, [''])).toEqual(['refused: empty']);
    expect(await exchange(agent, ['a', 'b'])).toEqual(['refused: several_frames']);
    expect(await exchange(dealer(port), ['', ''])).toEqual(['', 'refused: empty']);
    expect(await exchange(dealer(port), [''])).toEqual(['', 'refused: empty']);
    expect(await exchange(agent, ['fine'])).toEqual(['fine']);
  });

  test('replies travel byte for byte, whatever the bytes are', async () => {
    const replies = [
      Buffer.from([0, 1, 127]),
      Buffer.from([0xff, 0xfe, 0x80]),
      Buffer.from('{"n": 1000.0, "x": NaN}'),
      Buffer.alloc(300_000, 'a'),
      Buffer.alloc(300_000, 0xc3),
      Buffer.alloc(0),
    ];
    const port = await serve(async ({ body }) => ({ body: replies[Number(body)] as Buffer }));
    const agent = requester(port);
    for (const [index, expected] of replies.entries()) {
      await agent.send(String(index));
      const [reply] = await agent.receive();
      expect(reply?.equals(expected)).toBe(true);
    }
  });

  test('an agent that left is counted and harms nobody', async () => {
    const problems: string[] = [];
    const port = await serve(
      async ({ body }) => {
        await sleep(100);
        return { body };
      },
      { onProblem: (problem) => problems.push(problem) },
    );
    const leaving = requester(port);
    await leaving.send('bye');
    await sleep(30);
    leaving.close();
    const staying = requester(port);
    expect(await exchange(staying, ['hello'])).toEqual(['hello']);
    expect(problems).toEqual(['reply_undeliverable']);
  });

  test('of an agent that sends heartbeats and reads no answer, no more is read than is bounded', async () => {
    const agent = connect(await serve(echo), host);
    closing.push(() => agent.destroy());
    agent.on('error', () => undefined);
    const READY = Buffer.from('\x04\x1a\x05READY\x0bSocket-Type\0\0\0\x03REQ', 'latin1');
    const greeting = Buffer.concat([
      Buffer.from('ff00000000000000017f0300', 'hex'),
      Buffer.from('NULL'.padEnd(52, '\0')),
    ]);
    agent.write(greeting);
    agent.write(READY);
    const context = Buffer.alloc(1_000_000);
    const head = Buffer.alloc(9, 0x06, 'latin1').fill(0, 1);
    head.writeUInt32BE(7 + context.length, 5);
    const ping = Buffer.concat([head, Buffer.from('\x04PING\0\0', 'latin1'), context]);
    agent.pause();
    for (let sent = 0; sent < 100; sent += 1) agent.write(ping);
    await sleep(1_000);
    // Both systems' buffers and our own bound hold less than half of it.
    expect(agent.writableLength).toBeGreaterThan(50_000_000);
    let read = 0;
    agent.on('data', (chunk: Buffer) => (read += chunk.length)).resume();
    await eventually('all answers', () => read > 100_000_000);
  });

  test('a handler that breaks its promise still leaves the agent with an answer', async () => {
    const port = await serve(() => Promise.reject(new Error('bug')));
    const [reply] = await exchange(requester(port), ['x']);
    expect(JSON.parse(reply ?? '')).toMatchObject({ status: 'error' });
  });

  test('above its limit nothing more is taken in until an answer leaves', async () => {
    let most = 0;
    let now = 0;
    const port = await serve(
      async ({ body }) => {
        now += 1;
        most = Math.max(most, now);
        await sleep(20);
        now -= 1;
        return { body };
      },
      { inFlightLimit: 3 },
    );
    const agents = Array.from({ length: 12 }, () => requester(port));
    await Promise.all(agents.map((agent, index) => exchange(agent, [`${index}`])));
    expect(most).toBe(3);
  });

  test('stop() waits for requests that were handed out', async () => {
    const port = await freePort();
    const service = serviceName('session-memory');
    const handle: Handle = async ({ body }) => {
      await sleep(150);
      return { body };
    };
    const frontend = createZmqFrontend({ service, host, port, clock, handler: { handle } });
    await frontend.start();
    const agent = requester(port);
    await agent.send('last');
    await sleep(50);
    await frontend.stop();
    expect((await agent.receive()).toString()).toBe('last');
  });

  test('a port that is taken is an error that names it', async () => {
    const port = await serve(echo);
    const service = serviceName('session-memory');
    const second = createZmqFrontend({ service, host, port, clock, handler: { handle: echo } });
    await expect(second.start()).rejects.toThrow(`${host}:${port}`);
  });
});

describe('what stands beside a service', () => {
  test('the health socket answers any JSON alike, and says what is not JSON', async () => {
    const port = await freePort();
    const health = createHealthResponder({
      service: 'session-memory',
      host,
      port,
      clock,
      healthReply: ({ uptimeSeconds, nowLocalIso }) =>
        JSON.stringify({ status: 'ok', uptime: uptimeSeconds, timestamp: nowLocalIso }),
    });
    await health.start();
    closing.push(() => health.stop());
    const agent = requester(port);
    for (const body of ['{"action": "health"}', '[]', 'null', '{"x": NaN}']) {
      const [reply] = await exchange(agent, [body]);
      expect(JSON.parse(reply ?? '')).toMatchObject({
        status: 'ok',
        uptime: expect.any(Number) as number,
        timestamp: expect.stringMatching(/^\d{4}-\d\d-\d\dT[\d:]{8}\.\d{6}$/) as string,
      });
    }
    expect(await exchange(agent, ['{no'])).toEqual(['{"status": "error", "error": "Invalid JSON request"}']);
    expect(await exchange(agent, [Buffer.from([0xff])])).toEqual([
      '{"status": "error", "error": "Invalid UTF-8 request"}',
    ]);
  });

  test('broadcasts are passed on frame for frame, also after the service came back', async () => {
    const [source, port] = [await freePort(), await freePort()];
    const relay = createPubRelay({ source: `tcp://${host}:${source}`, host, port, clock });
    await relay.start();
    closing.push(() => relay.stop());
    const agent = new Subscriber({ context, linger: 0, receiveTimeout: 5_000 });
    agent.connect(`tcp://${host}:${port}`);
    agent.subscribe('reminder');
    closing.push(() => agent.close());
    for (const round of ['first', 'second']) {
      const service = new Publisher({ context, linger: 0 });
      await service.bind(`tcp://${host}:${source}`);
      const received = agent.receive();
      const ticker = setInterval(() => void service.send(['reminder', Buffer.from([0, 255]), round]), 50);
      const frames = await received;
      clearInterval(ticker);
      expect(frames.map((frame) => frame.toString('latin1'))).toEqual(['reminder', '\u0000ÿ', round]);
      service.close();
      await sleep(100);
      agent.receiveTimeout = 0;
      while (agent.readable) await agent.receive();
      agent.receiveTimeout = 5_000;
    }
  });
});
