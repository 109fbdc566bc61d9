import { connect } from 'node:net';
import { afterEach, describe, expect, test } from 'vitest';
import { Request } from 'zeromq';
import { setTimeout as sleep } from 'node:timers/promises';
import { createZmqLegacyBackend } from '../../../src/backends/zmq-channel.ts';
import { systemClock as clock } from '../../../src/shared/clock.ts';
import { serviceName } from '../../../src/domain/ids.ts';
import { createZmqFrontend } from '../../../src/frontends/zmq/router.ts';
import { killRepServers, startRepServer } from '../backends/rep-server.ts';
import { eventually } from '../../support/eventually.ts';
import { freePort } from '../../support/ports.ts';
import { reached } from '../../support/reached.ts';
import {
  closeAll,
  closing,
  context,
  dealer,
  echo,
  exchange,
  type Handle,
  host,
  Leaving,
  requester,
  serve,
} from './zmq-frontend-under-test.ts';

afterEach(async () => {
  await closeAll();
  killRepServers();
});

describe('agents over ZMQ', () => {
  test('the handler learns for each reply whether the agent was still connected', async () => {
    const told: boolean[] = [];
    const leaving = new Leaving();
    const port = await serve(async ({ body }) => {
      if (body.toString() === 'leaves') await leaving.asked();
      return { body, delivered: (isDelivered) => void told.push(isDelivered) };
    });
    expect(await exchange(requester(port), ['stays'])).toEqual(['stays']);
    await leaving.askAndLeave(port, 'leaves');
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
    const pass: Handle = ({ body, receivedAtMs }) =>
      legacy.send({ body, purpose: 'live', deadlineAtMs: receivedAtMs + 25_000 });
    await reached(() =>
      pass({ service: serviceName('session-memory'), body: Buffer.from('x'), receivedAtMs: clock.now() }),
    );
    const port = await serve(pass);
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

  test('a DEALER is answered with its own envelope, or without one', async () => {
    const agent = dealer(await serve(echo));
    expect(await exchange(agent, ['', 'plain'])).toEqual(['', 'plain']);
    expect(await exchange(agent, ['id-7', '', 'correlated'])).toEqual(['id-7', '', 'correlated']);
    expect(await exchange(agent, ['bare'])).toEqual(['bare']);
  });

  test('slow requests do not delay fast ones, and each is answered exactly once', async () => {
    let finish = (): void => undefined;
    const finished = new Promise<void>((resolve) => (finish = resolve));
    const port = await serve(async ({ body }) => {
      if (body.toString() === 'slow') await finished;
      return { body };
    });
    const agent = dealer(port);
    await agent.send(['', 'slow']);
    await agent.send(['', 'fast']);
    expect(String((await agent.receive())[1])).toBe('fast');
    finish();
    expect(String((await agent.receive())[1])).toBe('slow');
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

  test('an agent that disconnected is counted and affects no other', async () => {
    const problems: string[] = [];
    const leaving = new Leaving();
    const port = await serve(
      async ({ body }) => {
        if (body.toString() === 'bye') await leaving.asked();
        return { body };
      },
      { onProblem: (problem) => problems.push(problem) },
    );
    await leaving.askAndLeave(port, 'bye');
    const staying = requester(port);
    expect(await exchange(staying, ['hello'])).toEqual(['hello']);
    await eventually('it is counted', () => problems.length > 0);
    expect(problems).toEqual(['reply_undeliverable']);
  });

  test('an agent that reads no heartbeat answers is paused at a limit', async () => {
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
    await eventually('all answers', () => read > 100_000_000, 50_000);
  });

  test('an agent gets an answer even if the handler throws', async () => {
    const port = await serve(() => Promise.reject(new Error('bug')));
    const [reply] = await exchange(requester(port), ['x']);
    expect(JSON.parse(reply ?? '')).toMatchObject({ status: 'error' });
  });

  test('at the limit nothing more is received until an answer is sent', async () => {
    let most = 0;
    let now = 0;
    let goOn = (): void => undefined;
    const goesOn = new Promise<void>((resolve) => (goOn = resolve));
    const port = await serve(
      async ({ body }) => {
        now += 1;
        most = Math.max(most, now);
        await goesOn;
        await sleep(5);
        now -= 1;
        return { body };
      },
      { inFlightLimit: 3 },
    );
    const agents = Array.from({ length: 12 }, () => requester(port));
    const exchanges = agents.map((agent, index) => exchange(agent, [`${index}`]));
    await eventually('as many as may be', () => now === 3);
    await sleep(100);
    goOn();
    await Promise.all(exchanges);
    expect(most).toBe(3);
  });

  test('stop() waits for requests in progress', async () => {
    const port = await freePort();
    const service = serviceName('session-memory');
    let isHandedOut = false;
    const handle: Handle = async ({ body }) => {
      isHandedOut = true;
      await sleep(150);
      return { body };
    };
    const frontend = createZmqFrontend({ service, host, port, clock, handler: { handle } });
    await frontend.start();
    const agent = requester(port);
    await agent.send('last');
    await eventually('it is handed out', () => isHandedOut);
    await frontend.stop();
    expect((await agent.receive()).toString()).toBe('last');
  });

  test('a port in use is an error that names it', async () => {
    const port = await serve(echo);
    const service = serviceName('session-memory');
    const second = createZmqFrontend({ service, host, port, clock, handler: { handle: echo } });
    await expect(second.start()).rejects.toThrow(`${host}:${port}`);
  });
});

test('an agent is named by its socket identity, otherwise by its address', async () => {
  const seen: unknown[] = [];
  const port = await serve(async ({ agent }) => {
    seen.push(agent);
    return { body: Buffer.from('{}') };
  });
  const named = new Request({ context, linger: 0, receiveTimeout: 25_000, routingId: 'planner' });
  named.connect(`tcp://${host}:${port}`);
  closing.push(() => named.close());
  for (const socket of [named, requester(port)]) await exchange(socket, ['{}']);
  expect(seen).toEqual([
    { name: 'planner', dialect: 'zmq' },
    { name: host, dialect: 'zmq' },
  ]);
});
