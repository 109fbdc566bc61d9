import { connect, type Socket } from 'node:net';
import { setTimeout as sleep } from 'node:timers/promises';
import { afterEach, expect, test } from 'vitest';
import { Context, Publisher, Request } from 'zeromq';
import { systemClock } from '../../../src/shared/clock.ts';
import { serviceName } from '../../../src/domain/ids.ts';
import { ByteBudget } from '../../../src/frontends/byte-budget.ts';
import {
  createZmqFrontend,
  type ZmqFrontend,
  type ZmqFrontendSettings,
} from '../../../src/frontends/zmq/router.ts';
import { eventually } from '../../support/eventually.ts';
import { freePort } from '../../support/ports.ts';

const closing: (() => unknown)[] = [];
afterEach(async () => {
  for (const close of closing.splice(0).reverse()) await close();
});

interface Served {
  readonly frontend: ZmqFrontend;
  readonly port: number;
  readonly problems: string[];
}

async function serve(
  drainMs = 0,
  clock = systemClock,
  more: Partial<ZmqFrontendSettings> = {},
): Promise<Served> {
  const port = await freePort();
  const problems: string[] = [];
  const frontend = createZmqFrontend({
    service: serviceName('session-memory'),
    host: '127.0.0.1',
    port,
    clock,
    handler: { handle: async ({ body }) => ({ body }) },
    farewell: { drainMs },
    onProblem: (problem) => problems.push(problem),
    ...more,
  });
  await frontend.start();
  closing.push(() => frontend.stop());
  return { frontend, port, problems };
}

/** A peer that is spelled out byte by byte. */
class RawPeer {
  readonly socket: Socket;
  isClosed = false;
  #received = Buffer.alloc(0);

  constructor(port: number) {
    this.socket = connect({ port, host: '127.0.0.1', allowHalfOpen: true });
    this.socket.on('data', (chunk) => (this.#received = Buffer.concat([this.#received, chunk])));
    this.socket.on('close', () => (this.isClosed = true));
    this.socket.on('end', () => (this.isClosed = true));
    this.socket.on('error', () => undefined);
    closing.push(() => this.socket.destroy());
  }

  say(...parts: (Buffer | string | number[])[]): void {
    this.socket.write(
      Buffer.concat(parts.map((part) => (Array.isArray(part) ? Buffer.from(part) : Buffer.from(part)))),
    );
  }

  /** So many of the next bytes. */
  async hear(length: number): Promise<Buffer> {
    await eventually(`${length} bytes`, () => this.#received.length >= length);
    const heard = this.#received.subarray(0, length);
    this.#received = this.#received.subarray(length);
    return heard;
  }

  async greet(mechanism = 'NULL', kind = 'REQ'): Promise<void> {
    this.say(SIGNATURE, [3, 0], mechanism.padEnd(20, '\0'), Buffer.alloc(32));
    if (mechanism !== 'NULL') return;
    const ready = Buffer.concat([
      Buffer.from('\u0005READY\u000bSocket-Type'),
      Buffer.from([0, 0, 0, kind.length]),
      Buffer.from(kind),
    ]);
    this.say([4, ready.length], ready);
    await this.hear(64);
    const [flags, length = 0] = await this.hear(2);
    expect(flags).toBe(4);
    expect(String(await this.hear(length))).toContain('\u0005READY\u000bSocket-Type\0\0\0\u0006ROUTER');
  }
}

const SIGNATURE = Buffer.from([0xff, 0, 0, 0, 0, 0, 0, 0, 1, 0x7f]);
const ENVELOPE = [1, 0];

test('a request in single bytes, and a heartbeat in the middle of it, are answered', async () => {
  const peer = new RawPeer((await serve()).port);
  await peer.greet();
  const ping = Buffer.from('\u0004PING\0\u0001context');
  for (const byte of Buffer.concat([
    Buffer.from(ENVELOPE),
    Buffer.from([4, ping.length]),
    ping,
    Buffer.from([0, 2]),
    Buffer.from('hi'),
  ])) {
    peer.say([byte]);
    await sleep(1);
  }
  expect(String(await peer.hear(14))).toBe('\u0004\u000c\u0004PONGcontext');
  expect([...(await peer.hear(6))]).toEqual([...ENVELOPE, 0, 2, ...Buffer.from('hi')]);
});

test('agents of libzmq 3.2, which speak ZMTP 2.0, are served', async () => {
  const peer = new RawPeer((await serve()).port);
  peer.say(SIGNATURE, [1, 3], [0, 0]);
  const [revision, kind, ...identity] = (await peer.hear(14)).subarray(10);
  expect([revision, kind, ...identity]).toEqual([3, 6, 0, 0]);
  peer.say(ENVELOPE, [0, 2], 'hi');
  expect([...(await peer.hear(6))]).toEqual([...ENVELOPE, 0, 2, ...Buffer.from('hi')]);
});

test.for([
  ['no ZeroMQ at all', (peer: RawPeer) => peer.say('GET / HTTP/1.1\r\n\r\n')],
  ['an older protocol', (peer: RawPeer) => peer.say([1, 0], 'something longer than that')],
  ['a mechanism that is not ours', (peer: RawPeer) => peer.greet('CURVE')],
  ['a socket that does not ask', (peer: RawPeer) => peer.greet('NULL', 'SUB')],
  [
    'a frame without an end',
    async (peer: RawPeer) => {
      await peer.greet();
      peer.say([2], Buffer.alloc(8, 0x7f));
    },
  ],
] as const)('%s ends the connection, and harms no other', async ([, speak]) => {
  const { port } = await serve();
  const peer = new RawPeer(port);
  await speak(peer);
  await eventually('the end', () => peer.isClosed);
  const agent = new Request({ context: new Context(), linger: 0, receiveTimeout: 5_000 });
  closing.push(() => agent.close());
  agent.connect(`tcp://127.0.0.1:${port}`);
  await agent.send('still there?');
  expect(String(await agent.receive())).toBe('still there?');
});

test('an incomplete message closes its connection in time, an idle agent stays', async () => {
  const { port } = await serve(0, systemClock, { wholeWithinMs: 300 });
  const [idle, pinging, head, half, frames] = Array.from({ length: 5 }, () => new RawPeer(port));
  for (const peer of [idle, pinging, head, half, frames]) await peer?.greet();
  // A heartbeat in two pieces is whole in the end.
  pinging?.say([4, 7], '\u0004PI');
  await sleep(50);
  pinging?.say('NG\0\u0001');
  head?.say([0]);
  half?.say(ENVELOPE, [0, 100], 'half of it');
  frames?.say(ENVELOPE, ENVELOPE);
  await eventually('the end of the unfinished', () => [head, half, frames].every((peer) => peer?.isClosed));
  await sleep(300);
  expect([idle?.isClosed, pinging?.isClosed]).toEqual([false, false]);
});

test('unfinished messages are counted, and dropped if others need their budget', async () => {
  const messageBytes = 1_000_000;
  const budget = new ByteBudget({ limitBytes: 4 * messageBytes, patienceMs: 5_000, clock: systemClock });
  const { port } = await serve(0, systemClock, {
    admission: { budget, messageBytes, busyReply: Buffer.from('busy') },
  });
  const idle = Array.from({ length: 8 }, () => new RawPeer(port));
  for (const peer of idle) await peer.greet();
  const length = Buffer.alloc(8);
  length.writeBigUInt64BE(BigInt(messageBytes));
  for (const peer of idle) peer.say(ENVELOPE, [2], length);
  await sleep(100);
  expect(budget.arrivals.usedBytes).toBeLessThan(8 * 1_000);
  for (const peer of idle) peer.say(Buffer.alloc(messageBytes - 10));
  const agent = new Request({ context: new Context(), linger: 0, receiveTimeout: 10_000 });
  closing.push(() => agent.close());
  agent.connect(`tcp://127.0.0.1:${port}`);
  let most = 0;
  const look = setInterval(() => (most = Math.max(most, budget.arrivals.usedBytes)), 5);
  for (const body of ['small', 'x'.repeat(messageBytes), 'small']) {
    await agent.send(body);
    expect(String(await agent.receive())).toBe(body);
  }
  clearInterval(look);
  // Two messages' worth, one that goes on where all are paused, and what one read brings of each before it is paused.
  expect(most).toBeLessThan(3 * messageBytes + 9 * 2 * 65_536);
});

test('a publisher that connects by mistake is not read', async () => {
  const { port } = await serve();
  const publisher = new Publisher({ linger: 0 });
  closing.push(() => publisher.close());
  const failed = new Promise((resolve) => publisher.events.on('disconnect', resolve));
  publisher.connect(`tcp://127.0.0.1:${port}`);
  await failed;
});

test('the last reply arrives with the close, and a later request is reported', async () => {
  let nowMs = 0;
  const { frontend, port, problems } = await serve(3_000, { ...systemClock, now: () => nowMs });
  const [busy, quiet] = [new RawPeer(port), new RawPeer(port)];
  await quiet.greet();
  await busy.greet();
  nowMs = 900;
  busy.say(ENVELOPE, [0, 2], 'hi');
  await busy.hear(6);
  quiet.socket.once('end', () => quiet.say(ENVELOPE, [0, 4], 'late'));
  // A second after its last word an agent is quiet.
  nowMs = 1_100;
  const stopping = frontend.stop();
  await eventually('the end of the quiet one', () => quiet.isClosed);
  expect(busy.isClosed).toBe(false);
  busy.say(ENVELOPE, [0, 4], 'last');
  expect(String(await busy.hear(8)).slice(4)).toBe('last');
  await eventually('the end of the busy one', () => busy.isClosed);
  await stopping;
  expect(problems).toEqual(['asked_too_late']);
});

test('a connection stays open if the process was paused during the last reply', async () => {
  let nowMs = 0;
  let stallMs = 0;
  const now = (): number => (nowMs += stallMs);
  const { frontend, port } = await serve(3_000, { ...systemClock, now });
  const agent = new RawPeer(port);
  await agent.greet();
  const stopping = frontend.stop();
  // Every look at the clock comes later than the one before: the agent may have read the reply, and asked again.
  stallMs = 10;
  agent.say(ENVELOPE, [0, 5], 'first');
  expect(String(await agent.hear(9)).slice(4)).toBe('first');
  stallMs = 0;
  agent.say(ENVELOPE, [0, 4], 'last');
  expect(String(await agent.hear(8)).slice(4)).toBe('last');
  await eventually('the end', () => agent.isClosed);
  await stopping;
});
