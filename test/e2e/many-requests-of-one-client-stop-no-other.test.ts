import { setTimeout as sleep } from 'node:timers/promises';
import { Pool } from 'undici';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { Context, Dealer } from 'zeromq';
import { startDeployment, type Deployment } from '../support/deployment.ts';
import {
  addInteraction,
  createSession,
  createSessionAgent,
  freshSession,
  getContext,
} from '../support/session-agent.ts';
import { quantile } from '../support/latency.ts';

/** More than fit into the queue of the service. */
const IN_FLIGHT = 14_000;
const CONNECTIONS = 350;
/** With it the requests of the one client would take 28 s. */
const LEGACY_MS = 2;
/** Longer than the agents' deadline, so that requests of the one client also end there. */
const FOR_MS = 6_000;
/** Behind 2,000 requests of the one client it would take 4,000. */
const P90_MS = 1_500;

let deployment: Deployment;

beforeAll(async () => {
  deployment = await startDeployment({
    only: ['session-memory'],
    asked: { dualWrite: true, shadowRead: 0, readCutover: 0 },
  });
  deployment.standIns.setFaults('session-memory', { delayMs: LEGACY_MS });
});

afterAll(() => deployment?.end());

const proxyUrl = (): string => `${deployment.httpUrl}/v1/services/session-memory`;
const body = (request: object): string => JSON.stringify(request);
const request = (turn: number): string =>
  body(
    turn % 4 === 0 ? addInteraction(`flood-${turn % 5_000}`, 'again') : getContext(`flood-${turn % 5_000}`),
  );

type Flood = (ended: AbortSignal) => Promise<unknown>;

/** Sends again for every reply. */
const overOneSocket: Flood = async (ended) => {
  const context = new Context();
  const socket = new Dealer({
    context,
    linger: 0,
    sendHighWaterMark: 0,
    receiveHighWaterMark: 0,
    receiveTimeout: 500,
  });
  socket.connect(deployment.endpoints['session-memory']);
  let sent = 0;
  for (; sent < IN_FLIGHT; sent += 1) await socket.send(['', request(sent)]);
  while (!ended.aborted) {
    const isReceived = await socket.receive().then(
      () => true,
      () => false,
    );
    if (isReceived) await socket.send(['', request((sent += 1))]);
  }
  socket.close();
};

const overManyConnections: Flood = async (ended) => {
  const pool = new Pool(deployment.httpUrl, {
    connections: CONNECTIONS,
    pipelining: IN_FLIGHT / CONNECTIONS,
  });
  const again = async (turn: number): Promise<void> => {
    for (let at = turn; !ended.aborted; at += IN_FLIGHT) {
      const path = '/v1/services/session-memory';
      const answered = pool.request({ path, method: 'POST', body: request(at) });
      await answered.then(
        (answer) => answer.body.dump(),
        () => undefined,
      );
    }
  };
  const all = Array.from({ length: IN_FLIGHT }, (_, turn) => again(turn));
  ended.addEventListener('abort', () => void pool.destroy());
  await Promise.all(all);
};

/** What other agents see: how long each of their requests took, and the answers that were no success. */
interface Seen {
  readonly durations: number[];
  readonly failures: string[];
}

async function asking(ask: (request: object) => Promise<string>, ended: AbortSignal): Promise<Seen> {
  const session = freshSession();
  const seen: Seen = { durations: [], failures: [] };
  await ask(createSession(session));
  for (let turn = 0; !ended.aborted; turn += 1) {
    const startedAtMs = performance.now();
    const reply = await ask(turn % 2 === 0 ? addInteraction(session, 'water') : getContext(session));
    seen.durations.push(performance.now() - startedAtMs);
    if (!reply.includes('"status": "success"')) seen.failures.push(reply);
    await sleep(20);
  }
  return seen;
}

async function overZmq(ended: AbortSignal): Promise<Seen> {
  const agent = createSessionAgent(deployment.endpoints['session-memory']);
  try {
    return await asking(async (asked) => (await agent.ask({ ...asked })).text, ended);
  } finally {
    agent.close();
  }
}

async function overHttp(ended: AbortSignal): Promise<Seen> {
  const headers = { 'crossfade-agent': 'kitchen' };
  return asking(
    async (asked) => (await fetch(proxyUrl(), { method: 'POST', headers, body: body(asked) })).text(),
    ended,
  );
}

test.each<[string, Flood]>([
  ['a ZeroMQ socket', overOneSocket],
  ['a pool of HTTP connections', overManyConnections],
])('14,000 requests in flight of %s delay no other agent', async (_, flood) => {
  const ended = new AbortController();
  const flooding = flood(ended.signal);
  await sleep(500);
  const others = [overZmq(ended.signal), overHttp(ended.signal)];
  await sleep(FOR_MS);
  ended.abort();
  for (const { durations, failures } of await Promise.all(others)) {
    expect(durations.length).toBeGreaterThan(10);
    // On a busy machine a heartbeat may be late, and the proxy then refuses writes for a moment.
    if (failures.length > durations.length / 10) expect(failures).toEqual([]);
    expect(quantile(durations, 0.9)).toBeLessThan(P90_MS);
  }
  await flooding;
});
