import { afterAll, afterEach, describe, expect, test } from 'vitest';
import { existsSync, readdirSync } from 'node:fs';
import { setTimeout as sleep } from 'node:timers/promises';
import { Reply as ReplySocket } from 'zeromq';
import type { LegacyClient } from '../../../src/backends/channels.ts';
import { createZmqLegacyBackend, type ZmqLegacySettings } from '../../../src/backends/zmq-channel.ts';
import { systemClock as clock } from '../../../src/shared/clock.ts';
import type { Purpose } from '../../../src/domain/backend.ts';
import { ConnectionError } from '../../../src/domain/errors.ts';
import { serviceName } from '../../../src/domain/ids.ts';
import type { Reply } from '../../../src/engine/ports/ports.ts';
import { eventually } from '../../support/eventually.ts';
import { freePort } from '../../support/ports.ts';
import { reached } from '../../support/reached.ts';
import { killRepServers, type RepServer, startRepServer } from './rep-server.ts';

const started: LegacyClient[] = [];

async function connect(endpoint: string, more: Partial<ZmqLegacySettings> = {}): Promise<LegacyClient> {
  const legacy = createZmqLegacyBackend({ service: serviceName('session-memory'), endpoint, clock, ...more });
  started.push(legacy);
  await legacy.start();
  return legacy;
}

/** With a connection of each purpose that stands: while none does, calls are refused after 200 ms. */
async function connectTo({ endpoint }: RepServer, more?: Partial<ZmqLegacySettings>): Promise<LegacyClient> {
  const legacy = await connect(endpoint, more);
  for (const purpose of ['live', 'shadow', 'probe'] as const)
    await reached(() => ask(legacy, 'warm', { purpose }));
  return legacy;
}

interface Ask {
  readonly purpose?: Purpose;
  readonly ms?: number;
  readonly onSent?: () => void;
  readonly onLate?: (reply: Reply) => void;
}

function ask(legacy: LegacyClient, request: unknown, { purpose = 'live', ms = 15_000, ...hooks }: Ask = {}) {
  return legacy.send({
    body: Buffer.from(typeof request === 'string' ? request : JSON.stringify(request)),
    purpose,
    deadlineAtMs: clock.now() + ms,
    ...hooks,
  });
}

async function executed(legacy: LegacyClient): Promise<string[]> {
  const reply = await ask(legacy, { do: 'executed' }, { purpose: 'probe' });
  return JSON.parse(reply.body.toString()) as string[];
}

async function failureOf(call: Promise<Reply>): Promise<ConnectionError> {
  const error: unknown = await call.then(
    (reply) => new Error(`answered: ${reply.body.toString().slice(0, 80)}`),
    (reason: unknown) => reason,
  );
  expect(error).toBeInstanceOf(ConnectionError);
  return error as ConnectionError;
}

afterEach(async () => {
  await Promise.all(started.splice(0).map((legacy) => legacy.stop()));
  killRepServers();
});
afterAll(killRepServers);

describe('a legacy ZMQ server', () => {
  test('gets the bytes unchanged, and its reply is returned unchanged', async () => {
    const legacy = await connectTo(await startRepServer(await freePort()));
    const bodies = [
      '{"a": 1000.0, "b": NaN, "c": 123456789012345678901234567890}',
      '{"text": "ñ 😀 \u0000"}',
      'x'.repeat(200_000),
      'ñ'.repeat(200_000),
      'short',
    ];
    for (const body of bodies) {
      const reply = await ask(legacy, body);
      expect(reply.body.equals(Buffer.from(body))).toBe(true);
    }
  });

  test('answers many callers in order, one at a time', async () => {
    const legacy = await connectTo(await startRepServer(await freePort()));
    let most = 0;
    const tags = Array.from({ length: 200 }, (_, index) => `t${index}`);
    await Promise.all(
      tags.map(async (tag) => {
        const onSent = () => {
          most = Math.max(most, legacy.load('live').inFlight);
        };
        const answer = await ask(legacy, { tag }, { onSent });
        expect(JSON.parse(answer.body.toString())).toEqual({ tag });
      }),
    );
    expect(most).toBe(1);
    expect(await executed(legacy)).toEqual(tags);
  });

  test('counts a call as sent only when its bytes are handed over', async () => {
    const server = await startRepServer(await freePort());
    const legacy = await connectTo(server);
    server.child.kill('SIGSTOP');
    const sent: string[] = [];
    const first = ask(legacy, { tag: 'a' }, { onSent: () => sent.push('first') });
    const second = ask(legacy, { tag: 'b' }, { onSent: () => sent.push('second') });
    await eventually('the first is handed over', () => sent.length > 0);
    await sleep(80);
    expect(sent).toEqual(['first']);
    server.child.kill('SIGCONT');
    await Promise.all([first, second]);
    expect(sent).toEqual(['first', 'second']);
  });

  test('that hangs: the sent call ends unknown at its deadline, queued ones unsent', async () => {
    const legacy = await connectTo(await startRepServer(await freePort()));
    const startedAtMs = clock.now();
    const hanging = failureOf(ask(legacy, { do: 'sleep', ms: 3_000 }, { ms: 200 }));
    const queued = failureOf(ask(legacy, { tag: 'withdrawn' }, { ms: 300 }));
    const patient = ask(legacy, { tag: 'patient' });
    expect(await hanging).toMatchObject({ effect: 'unknown', reason: 'timeout' });
    expect(await queued).toMatchObject({ effect: 'not_applied', reason: 'deadline' });
    // Both long before the server is through with what hangs.
    expect(clock.now() - startedAtMs).toBeLessThan(1_500);
    await patient;
    expect(clock.now() - startedAtMs).toBeGreaterThan(2_900);
    expect(await executed(legacy)).toEqual(['patient']);
  });

  test('that answers late: the reply is matched once, to its own call', async () => {
    const legacy = await connectTo(await startRepServer(await freePort()));
    const late: string[] = [];
    const call = ask(
      legacy,
      { do: 'sleep', ms: 800, tag: 'slow' },
      { ms: 100, onLate: (reply) => late.push(reply.body.toString()) },
    );
    expect(await failureOf(call)).toMatchObject({ effect: 'unknown' });
    await ask(legacy, { tag: 'next' });
    await eventually('the late reply', () => late.length > 0);
    await ask(legacy, { tag: 'once more' });
    expect(late).toEqual(['{"do":"sleep","ms":800,"tag":"slow"}']);
  });

  test('killed during a call: the call ends unknown at once, later calls are refused', async () => {
    const port = await freePort();
    const server = await startRepServer(port);
    const legacy = await connectTo(server);
    let isSent = false;
    const lost = failureOf(ask(legacy, { do: 'hang', tag: 'lost' }, { onSent: () => (isSent = true) }));
    await eventually('the call is in flight', () => isSent);
    const killedAtMs = clock.now();
    await server.kill();
    expect(await lost).toMatchObject({ effect: 'unknown', reason: 'reset' });
    // Its deadline is 15 s away.
    expect(clock.now() - killedAtMs).toBeLessThan(5_000);
    expect(await failureOf(ask(legacy, { tag: 'while-down' }))).toMatchObject({
      effect: 'not_applied',
      reason: 'unreachable',
    });
    await startRepServer(port);
    const purposes = ['live', 'probe'] as const;
    await eventually('it is connected again', () =>
      purposes.every((purpose) => legacy.load(purpose).isConnected),
    );
    await ask(legacy, { tag: 'after' });
    expect(await executed(legacy)).toEqual(['after']);
  });

  test('that never existed: a call is refused unsent after the grace time', async () => {
    const legacy = await connect(`tcp://127.0.0.1:${await freePort()}`);
    const startedAtMs = clock.now();
    const error = await failureOf(ask(legacy, 'x'));
    expect(error).toMatchObject({ effect: 'not_applied', reason: 'unreachable' });
    // The grace is 200 ms, the deadline 15 s away.
    expect(clock.now() - startedAtMs).toBeLessThan(3_000);
  });

  test('stopped with SIGSTOP: calls end at their deadline', async () => {
    const server = await startRepServer(await freePort());
    const legacy = await connectTo(server);
    server.child.kill('SIGSTOP');
    const startedAtMs = clock.now();
    expect(await failureOf(ask(legacy, 'x', { ms: 300 }))).toMatchObject({ effect: 'unknown' });
    expect(clock.now() - startedAtMs).toBeLessThan(2_000);
    server.child.kill('SIGCONT');
    await ask(legacy, 'y');
  });

  test('a hanging shadow call blocks no live call', async () => {
    const server = await startRepServer(await freePort());
    const legacy = await connectTo(server);
    server.child.kill('SIGSTOP');
    const sent: string[] = [];
    const shadow = ask(legacy, 'x', { purpose: 'shadow', onSent: () => sent.push('shadow') });
    await eventually('the shadow call is sent', () => sent.length === 1);
    const live = ask(legacy, 'x', { onSent: () => sent.push('live') });
    await eventually('the live call is sent', () => sent.length === 2);
    expect(legacy.load('shadow')).toMatchObject({ inFlight: 1, queued: 0 });
    server.child.kill('SIGCONT');
    await Promise.all([shadow, live]);
  });

  test('two answered probes free the slot of a missing reply', async () => {
    const legacy = await connectTo(await startRepServer(await freePort()));
    await failureOf(ask(legacy, { do: 'sleep', ms: 600 }, { ms: 50 }));
    expect(legacy.load('live').inFlight).toBe(1);
    await ask(legacy, 'probe 1', { purpose: 'probe' });
    await ask(legacy, 'probe 2', { purpose: 'probe' });
    expect(legacy.load('live').inFlight).toBe(0);
    await ask(legacy, 'goes through');
  });

  test('a full queue refuses at once', async () => {
    const legacy = await connectTo(await startRepServer(await freePort()), { queueLimit: 2 });
    const calls = Array.from({ length: 3 }, () => ask(legacy, { do: 'sleep', ms: 30 }));
    expect(await failureOf(ask(legacy, 'x'))).toMatchObject({ effect: 'not_applied', reason: 'queue_full' });
    await Promise.all(calls);
  });

  test.runIf(existsSync('/proc/self/fd'))('that comes and goes costs no file descriptor', async () => {
    const endpoint = `tcp://127.0.0.1:${await freePort()}`;
    const legacy = await connect(endpoint);
    const openFiles = () => readdirSync('/proc/self/fd').length;
    const counts: number[] = [];
    for (let round = 0; round < 12; round += 1) {
      const server = new ReplySocket({ linger: 0 });
      await expect.poll(() => server.bind(endpoint).then(() => true), { timeout: 20_000 }).toBe(true);
      const answering = server.receive().then(() => server.send('pong'));
      const answered = () =>
        ask(legacy, 'ping').then(
          () => true,
          () => false,
        );
      await expect.poll(answered, { timeout: 20_000 }).toBe(true);
      await answering;
      server.close();
      counts.push(openFiles());
    }
    // ZeroMQ closes what it is done with in a thread of its own.
    await eventually('what it opened is closed', () => openFiles() < (counts[0] ?? 0) + 15);
  });

  test('the connection state is known without a call', async () => {
    const port = await freePort();
    const legacy = await connect(`tcp://127.0.0.1:${port}`);
    const isConnected = () => legacy.load('live').isConnected;
    await expect.poll(isConnected, { timeout: 20_000 }).toBe(false);
    const server = await startRepServer(port);
    await expect.poll(isConnected, { timeout: 20_000 }).toBe(true);
    await server.kill();
    await expect.poll(isConnected, { timeout: 20_000 }).toBe(false);
  });

  test('consecutive failures open only that circuit; a new connection closes it', async () => {
    const port = await freePort();
    const server = await startRepServer(port);
    const legacy = await connectTo(server, {
      breaker: { shadow: { failures: 2, halfOpenAfterMs: 60_000 } },
      inFlightLimit: 0,
    });
    server.child.kill('SIGSTOP');
    await failureOf(ask(legacy, 'x', { purpose: 'shadow', ms: 30 }));
    await failureOf(ask(legacy, 'x', { purpose: 'shadow', ms: 30 }));
    await eventually('the circuit opens', () => legacy.load('shadow').breaker === 'open');
    expect(legacy.load('live').breaker).toBe('closed');
    expect(await failureOf(ask(legacy, 'x', { purpose: 'shadow' }))).toMatchObject({
      effect: 'not_applied',
      reason: 'breaker_open',
    });
    await server.kill();
    await startRepServer(port);
    await expect.poll(() => legacy.load('shadow').breaker, { timeout: 20_000 }).toBe('closed');
    await ask(legacy, 'y', { purpose: 'shadow' });
  });

  /** The server stands still, and a trial call is due after 200 ms. */
  async function withOpenCircuit() {
    const server = await startRepServer(await freePort());
    const breaker = { shadow: { failures: 1, halfOpenAfterMs: 200 } };
    const legacy = await connectTo(server, { breaker, inFlightLimit: 0 });
    server.child.kill('SIGSTOP');
    await failureOf(ask(legacy, 'x', { purpose: 'shadow', ms: 30 }));
    await eventually('the circuit opens', () => legacy.load('shadow').breaker === 'open');
    return { server, legacy };
  }

  test('after a pause one trial call closes the circuit again', async () => {
    const { server, legacy } = await withOpenCircuit();
    server.child.kill('SIGCONT');
    await sleep(250);
    const trials = await Promise.allSettled(
      ['a', 'b', 'c'].map((each) => ask(legacy, each, { purpose: 'shadow' })),
    );
    // The calls beside the trial wait for its end.
    expect(trials.map(({ status }) => status)).toEqual(['fulfilled', 'fulfilled', 'fulfilled']);
    expect(legacy.load('shadow').breaker).toBe('closed');
  });

  test('calls beside a trial that takes long are refused', async () => {
    const { legacy } = await withOpenCircuit();
    await sleep(250);
    const trial = failureOf(ask(legacy, 'a', { purpose: 'shadow', ms: 3_000 }));
    const beganAtMs = performance.now();
    const beside = await failureOf(ask(legacy, 'b', { purpose: 'shadow', ms: 3_000 }));
    expect(beside).toMatchObject({ effect: 'not_applied', reason: 'breaker_open' });
    expect(performance.now() - beganAtMs).toBeLessThan(1_500);
    expect(await trial).toMatchObject({ reason: 'timeout' });
  });
});
