import { afterEach, describe, expect, test } from 'vitest';
import { setTimeout as sleep } from 'node:timers/promises';
import { Context, Dealer, Request } from 'zeromq';
import { systemClock as clock } from '../../../src/shared/clock.ts';
import { serviceName } from '../../../src/domain/ids.ts';
import { ByteBudget } from '../../../src/frontends/byte-budget.ts';
import { createZmqFrontend, type ZmqFrontendSettings } from '../../../src/frontends/zmq/router.ts';
import type { Reply } from '../../../src/engine/ports/ports.ts';
import type { AgentRequest } from '../../../src/engine/ports/operation.ts';
import { eventually } from '../../support/eventually.ts';
import { freePort } from '../../support/ports.ts';

const closing: (() => unknown)[] = [];
const context = new Context();
const host = '127.0.0.1';

afterEach(async () => {
  for (const close of closing.splice(0).reverse()) await close();
});

type Handle = (request: AgentRequest) => Promise<Reply>;

/** One after the other. */
function chained(one: () => void, next: () => void): () => void {
  return () => {
    one();
    next();
  };
}

const echo: Handle = async ({ body }) => ({ body });

async function serve(handle: Handle, more: Partial<ZmqFrontendSettings> = {}): Promise<number> {
  const port = await freePort();
  const service = serviceName('session-memory');
  const frontend = createZmqFrontend({ service, host, port, clock, handler: { handle }, ...more });
  await frontend.start();
  closing.push(() => frontend.stop());
  return port;
}

function requester(port: number): Request {
  const socket = new Request({ context, linger: 0, receiveTimeout: 25_000 });
  socket.connect(`tcp://${host}:${port}`);
  closing.push(() => socket.close());
  return socket;
}

function dealer(port: number): Dealer {
  const socket = new Dealer({ context, linger: 0, receiveTimeout: 25_000 });
  socket.connect(`tcp://${host}:${port}`);
  closing.push(() => socket.close());
  return socket;
}

async function exchange(socket: Request, body: string): Promise<string[]> {
  await socket.send(body);
  return (await socket.receive()).map((frame) => frame.toString());
}

test('an agent that reads gets every reply, even after 12,000 requests ahead', async () => {
  const problems: string[] = [];
  const port = await serve(echo, { onProblem: (problem) => problems.push(problem), inFlightLimit: 10_000 });
  const agent = dealer(port);
  const count = 12_000;
  const body = 'x'.repeat(2_048);
  const replies = (async () => {
    // Slower than the proxy answers, as an agent that works with each reply is.
    for (let received = 0; received < count; received += 1) {
      if (received % 100 === 0) await sleep(5);
      await agent.receive();
    }
  })();
  for (let sent = 0; sent < count; sent += 1) await agent.send(['', body]);
  await replies;
  expect(problems).toEqual([]);
});

test('replies that an agent has not read share one wait, and reading then continues', async () => {
  const warnings: string[] = [];
  const onWarning = ({ name, message }: Error) => {
    if (name === 'MaxListenersExceededWarning') warnings.push(message);
  };
  process.on('warning', onWarning);
  closing.push(() => process.off('warning', onWarning));
  const count = 40;
  const reply = Buffer.alloc(1_000_000);
  const all = Promise.withResolvers<void>();
  let received = 0;
  const agent = dealer(
    await serve(async () => {
      received += 1;
      if (received === count) all.resolve();
      await all.promise;
      return { body: reply };
    }),
  );
  // All replies are sent at once, so the last 20 exceed what an agent may have unread.
  for (let sent = 0; sent < count; sent += 1) await agent.send(['', 'x']);
  for (let answered = 0; answered < count; answered += 1)
    expect((await agent.receive()).at(-1)).toHaveLength(reply.length);
  await agent.send(['', 'x']);
  expect((await agent.receive()).at(-1)).toHaveLength(reply.length);
  expect(warnings).toEqual([]);
});

describe('while requests exceed the memory budget', () => {
  const busyReply = Buffer.from('busy');
  const messageBytes = 1_000;
  const admissionOf = (patienceMs: number) => ({
    budget: new ByteBudget({ limitBytes: 4 * messageBytes, patienceMs, clock }),
    messageBytes,
    busyReply,
  });
  const large = 'x'.repeat(messageBytes);

  test('requests wait in ZeroMQ, and all are answered in the end', async () => {
    let most = 0;
    let now = 0;
    const port = await serve(
      async ({ body }) => {
        now += body.length;
        most = Math.max(most, now);
        await sleep(20);
        now -= body.length;
        return { body };
      },
      { admission: admissionOf(20_000) },
    );
    const agents = Array.from({ length: 30 }, () => requester(port));
    const answers = await Promise.all(agents.map((agent) => exchange(agent, large)));
    expect(answers).toEqual(agents.map(() => [large]));
    expect(most).toBeLessThanOrEqual(5 * messageBytes);
  });

  test('a request without room in time is refused; time counts from its arrival', async () => {
    const problems: string[] = [];
    const waitedMs: number[] = [];
    let goOn: () => void = () => undefined;
    const port = await serve(
      async ({ body, receivedAtMs }) => {
        if (body.length < messageBytes) return { body };
        waitedMs.push(clock.now() - receivedAtMs);
        await new Promise<void>((resolve) => (goOn = chained(goOn, resolve)));
        return { body };
      },
      { admission: admissionOf(2_000), onProblem: (problem) => problems.push(problem) },
    );
    const agents = Array.from({ length: 30 }, () => requester(port));
    await Promise.all(agents.map((agent) => exchange(agent, 'connected')));
    const answered = Promise.all(agents.map((agent) => exchange(agent, large)));
    await eventually('the first are in', () => waitedMs.length >= 4);
    await sleep(300);
    const first = waitedMs.length;
    goOn();
    await eventually(
      'the others are in or refused',
      () => waitedMs.length + problems.length === agents.length,
    );
    goOn();
    const answers = await answered;
    const refused = answers.filter(([answer]) => answer === 'busy').length;
    expect(waitedMs.length).toBeGreaterThan(first);
    expect(waitedMs.length + refused).toBe(agents.length);
    expect(refused).toBeGreaterThan(10);
    expect(problems).toEqual(Array.from({ length: refused }, () => 'overloaded'));
    expect(Math.max(...waitedMs)).toBeGreaterThan(200);
    expect(await exchange(requester(port), 'after')).toEqual(['after']);
  });

  test('a message longer than the budget is not received, and affects no other agent', async () => {
    const port = await serve(echo, { admission: admissionOf(1_000) });
    const greedy = requester(port);
    greedy.receiveTimeout = 300;
    await greedy.send('x'.repeat(5 * messageBytes));
    await expect(greedy.receive()).rejects.toThrow();
    expect(await exchange(requester(port), large)).toEqual([large]);
  });

  test('a message above the limit is refused with a reply, and not kept', async () => {
    const admission = {
      ...admissionOf(1_000),
      budget: new ByteBudget({ limitBytes: 40 * messageBytes, patienceMs: 1_000, clock }),
    };
    const refuse: Handle = async ({ body, problem }) => ({
      body: Buffer.from(`${body.length} ${problem?.kind} ${problem?.detail}`),
    });
    const agent = requester(await serve(refuse, { admission }));
    expect(await exchange(agent, 'x'.repeat(30 * messageBytes))).toEqual([
      '0 too_large the message has 30000 bytes, but the limit is 1000',
    ]);
  });

  test('a request long after an overload counts from its arrival', async () => {
    let nowMs = clock.now();
    const moved = { ...clock, now: () => nowMs };
    const budget = new ByteBudget({ limitBytes: messageBytes, patienceMs: 20_000, clock });
    const waitedMs: number[] = [];
    const handle: Handle = async ({ body, receivedAtMs }) => {
      waitedMs.push(nowMs - receivedAtMs);
      return { body };
    };
    const port = await serve(handle, { admission: { budget, messageBytes, busyReply }, clock: moved });
    const agent = requester(port);
    await exchange(agent, 'connected');
    expect(await budget.take(messageBytes)).toBe(true);
    const held = exchange(agent, large);
    await sleep(100);
    budget.give(messageBytes);
    expect(await held).toEqual([large]);
    await sleep(50);
    nowMs += 10_000;
    expect(await exchange(agent, 'later')).toEqual(['later']);
    expect(waitedMs.at(-1)).toBe(0);
  });
});
