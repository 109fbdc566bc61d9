import { afterEach, describe, expect, test } from 'vitest';
import { Publisher, Reply, Subscriber } from 'zeromq';
import { systemClock as clock } from '../../../src/shared/clock.ts';
import { createZmqLegacyBackend } from '../../../src/backends/zmq-channel.ts';
import { serviceName } from '../../../src/domain/ids.ts';
import { createLegacyHealth } from '../../../src/compose/fronts.ts';
import { sessionMemory } from '../../../src/services/session-memory/session-memory.ts';
import { createHealthResponder } from '../../../src/frontends/zmq/health.ts';
import { createPubRelay } from '../../../src/frontends/zmq/pub-relay.ts';
import { freePort } from '../../support/ports.ts';
import { closeAll, closing, context, exchange, host, requester } from './zmq-frontend-under-test.ts';

afterEach(closeAll);

describe('additional sockets of a service', () => {
  test('the health socket answers any JSON, and refuses other text', async () => {
    const port = await freePort();
    const health = createHealthResponder({
      service: 'session-memory',
      host,
      port,
      clock,
      isAnswering: async () => true,
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

  test('the health socket refuses large messages, and disconnects for very large ones', async () => {
    const port = await freePort();
    let answered = 0;
    const healthReply = (): string => `{"status": "ok", "number": ${(answered += 1)}}`;
    const service = 'session-memory';
    const isAnswering = async (): Promise<boolean> => true;
    const health = createHealthResponder({ service, host, port, clock, healthReply, isAnswering });
    await health.start();
    closing.push(() => health.stop());
    const agent = requester(port);
    const [refused] = await exchange(agent, [manyObjects(60_000)]);
    expect(refused).toBe('{"status": "error", "error": "The health request is longer than 4096 bytes"}');
    const greedy = requester(port);
    greedy.receiveTimeout = 500;
    await greedy.send(manyObjects(16_000_000));
    await expect(greedy.receive()).rejects.toThrow();
    expect(answered).toBe(0);
    expect(await exchange(agent, ['{}'])).toEqual(['{"status": "ok", "number": 1}']);
  });

  test('the health socket gives times in the zone of its service', async () => {
    const port = await freePort();
    const healthReply = ({ nowLocalIso }: { readonly nowLocalIso: string }): string => `"${nowLocalIso}"`;
    const service = 'session-memory';
    const isAnswering = async (): Promise<boolean> => true;
    const at = { service, host, port, healthReply, isAnswering };
    const midnight = { ...clock, wallMs: () => Date.UTC(2026, 0, 31, 23, 30, 5, 7) };
    const health = createHealthResponder({ ...at, clock: midnight, timeZone: 'Asia/Kolkata' });
    await health.start();
    closing.push(() => health.stop());
    expect(await exchange(requester(port), ['{}'])).toEqual(['"2026-02-01T05:00:05.007000"']);
  });

  test('the health socket reports whether the service answers, checked once a second', async () => {
    const [legacyPort, port] = [await freePort(), await freePort()];
    let [probes, isHanging] = [0, false];
    const rep = new Reply({ context, linger: 0 });
    await rep.bind(`tcp://${host}:${legacyPort}`);
    closing.push(() => rep.close());
    void (async () => {
      for await (const [body] of rep) {
        probes += String(body) === sessionMemory.probe ? 1 : 0;
        // A REP socket that does not reply receives nothing more.
        if (isHanging) return;
        await rep.send('{"status": "ok"}');
      }
    })();
    const service = serviceName('session-memory');
    const endpoint = `tcp://${host}:${legacyPort}`;
    const legacy = createZmqLegacyBackend({ service, endpoint, clock });
    await legacy.start();
    closing.push(() => legacy.stop());
    let isComplete = false;
    const known = new Map([[service, { legacy, definition: sessionMemory }]]);
    const answers = createLegacyHealth(known, clock, { stateOf: () => (isComplete ? 'complete' : 'open') });
    const health = createHealthResponder({
      service,
      host,
      port,
      clock,
      isAnswering: () => answers(service),
      healthReply: ({ isAnswering }) => JSON.stringify({ isAnswering }),
    });
    await health.start();
    closing.push(() => health.stop());
    const agent = requester(port);
    const isAnswering = async (): Promise<unknown> => JSON.parse(String(await exchange(agent, ['{}'])));
    await expect.poll(isAnswering, { timeout: 20_000 }).toEqual({ isAnswering: true });
    const startedAtMs = clock.now();
    const probesBefore = probes;
    for (let times = 0; times < 50; times += 1) await isAnswering();
    expect(probes).toBeGreaterThan(0);
    expect(probes - probesBefore).toBeLessThanOrEqual(1 + (clock.now() - startedAtMs) / 1_000);
    isHanging = true;
    await expect.poll(isAnswering, { timeout: 20_000 }).toEqual({ isAnswering: false });
    isComplete = true;
    expect(await isAnswering()).toEqual({ isAnswering: true });
  });

  test('broadcasts of a completed service end, and its connection is closed', async () => {
    const [source, port] = [await freePort(), await freePort()];
    const service = new Publisher({ context, linger: 0 });
    await service.bind(`tcp://${host}:${source}`);
    closing.push(() => service.close());
    let [isOver, disconnected] = [false, 0];
    service.events.on('disconnect', () => (disconnected += 1));
    const relay = createPubRelay({
      source: `tcp://${host}:${source}`,
      host,
      port,
      clock,
      isOver: () => isOver,
    });
    await relay.start();
    closing.push(() => relay.stop());
    const agent = new Subscriber({ context, linger: 0, receiveTimeout: 1_500 });
    agent.connect(`tcp://${host}:${port}`);
    agent.subscribe('reminder');
    closing.push(() => agent.close());
    const ticker = setInterval(() => void service.send(['reminder', 'x']), 50);
    closing.push(() => clearInterval(ticker));
    await agent.receive();
    isOver = true;
    await expect.poll(() => disconnected, { timeout: 20_000 }).toBeGreaterThan(0);
    const drained = async (): Promise<never> => {
      for (;;) await agent.receive();
    };
    await expect(drained()).rejects.toThrow();
  });

  test('broadcasts are forwarded frame by frame, also after a restart of the service', async () => {
    const [source, port] = [await freePort(), await freePort()];
    const relay = createPubRelay({ source: `tcp://${host}:${source}`, host, port, clock });
    await relay.start();
    closing.push(() => relay.stop());
    const agent = new Subscriber({ context, linger: 0, receiveTimeout: 20_000 });
    agent.connect(`tcp://${host}:${port}`);
    agent.subscribe('reminder');
    closing.push(() => agent.close());
    for (const round of ['first', 'second']) {
      const service = new Publisher({ context, linger: 0 });
      // ZeroMQ gives the address of a closed socket back in a thread of its own.
      const bound = () => service.bind(`tcp://${host}:${source}`).then(() => true);
      await expect.poll(bound, { timeout: 20_000 }).toBe(true);
      const received = broadcastOf(agent, round);
      const ticker = setInterval(() => void service.send(['reminder', Buffer.from([0, 255]), round]), 50);
      const frames = await received;
      clearInterval(ticker);
      expect(frames.map((frame) => frame.toString('latin1'))).toEqual(['reminder', '\u0000ÿ', round]);
      service.close();
    }
  });
});

/** About so many bytes of small JSON values. */
function manyObjects(bytes: number): string {
  return `[${'{},'.repeat(Math.floor(bytes / 3))}{}]`;
}

/** The first of that round: some of the round before may still be on their way. */
async function broadcastOf(agent: Subscriber, round: string): Promise<Buffer[]> {
  for (;;) {
    const frames = await agent.receive();
    if (frames.at(-1)?.toString() === round) return frames;
  }
}
