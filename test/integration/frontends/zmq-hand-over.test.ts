import { type ChildProcess, fork } from 'node:child_process';
import { once } from 'node:events';
import { setTimeout as sleep } from 'node:timers/promises';
import { fileURLToPath } from 'node:url';
import { afterEach, expect, test } from 'vitest';
import { Context, Request } from 'zeromq';
import { freePort } from '../../support/ports.ts';

const PROGRAM = fileURLToPath(new URL('front-process.ts', import.meta.url));
const REPLACEMENTS = 12;
/** How long each of the agents thinks. Below a fraction of a millisecond an overloaded machine may be slower than they are. */
const THINK_MS = [1, 1, 3, 3, 3, 10, 50, 700];

/**
 * A strict agent: it asks, waits longer than any answer takes, and never repeats. Each has its own context, as agents in processes of
 * their own have.
 */
function createAgent(
  port: number,
  context = new Context(),
): { call(request: string): Promise<string>; close(): void } {
  const socket = new Request({ context, linger: 0, receiveTimeout: 20_000 });
  socket.connect(`tcp://127.0.0.1:${port}`);
  return {
    async call(request) {
      await socket.send(request);
      return String((await socket.receive())[0]);
    },
    close: () => socket.close(),
  };
}

const running = new Set<ChildProcess>();
afterEach(() => {
  for (const child of running) child.kill('SIGKILL');
});

function startFront(port: number, answerMs: number): { child: ChildProcess; ready: Promise<unknown> } {
  const child = fork(PROGRAM, [String(port), String(answerMs)]);
  running.add(child);
  child.once('exit', () => running.delete(child));
  return { child, ready: once(child, 'message') };
}

/** Asks and pauses, on one connection, until it is over. */
async function keepAsking(port: number, thinkMs: number, isOver: () => boolean): Promise<number> {
  const agent = createAgent(port);
  let count = 0;
  for (; !isOver(); count += 1) {
    const request = `{"think": ${thinkMs}, "count": ${count}}`;
    expect(await agent.call(request)).toBe(request);
    await sleep(thinkMs * (0.5 + Math.random()));
  }
  agent.close();
  return count;
}

/** One after the other, each a new connection, without a pause: some come in the very moment the port changes hands. */
async function keepComing(port: number, isOver: () => boolean): Promise<number> {
  // These ask once, and thousands of contexts would need more files than a process may open.
  const context = new Context();
  let count = 0;
  for (; !isOver(); count += 1) {
    const agent = createAgent(port, context);
    expect(await agent.call('hello')).toBe('hello');
    agent.close();
  }
  return count;
}

test('no agent loses a reply at the hand-over to a successor', async () => {
  const port = await freePort();
  let isOver = false;
  const over = () => isOver;
  let front = startFront(port, 3);
  await front.ready;
  const thinking = THINK_MS.map((thinkMs) => keepAsking(port, thinkMs, over));
  const asking = Promise.all([...thinking, keepComing(port, over), keepComing(port, over)]);
  const problems: string[] = [];
  const replaced = (async () => {
    for (let replacement = 0; replacement < REPLACEMENTS; replacement += 1) {
      const successor = startFront(port, 3);
      await sleep(200 + 100 * Math.random());
      const told = once(front.child, 'message');
      front.child.send('stop');
      const [{ problems: its }] = (await told) as [{ problems: string[] }];
      problems.push(...its.filter((problem) => problem !== 'reply_undeliverable'));
      await successor.ready;
      front = successor;
    }
    isOver = true;
  })();
  await Promise.race([replaced, asking]);
  const counts = await asking;
  expect(problems).toEqual([]);
  for (const count of counts) expect(count).toBeGreaterThan(REPLACEMENTS / 3);
}, 180_000);
