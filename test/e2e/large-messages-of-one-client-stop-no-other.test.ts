import { setTimeout as sleep } from 'node:timers/promises';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { createAgent } from '../../src/sandbox/agent.ts';
import { startDeployment, type Deployment } from '../support/deployment.ts';
import { quantile } from '../support/latency.ts';
import { addInteraction, createSession, freshSession, getContext } from '../support/session-agent.ts';

const MESSAGE_BYTES = 4 * 1024 * 1024;
/** Of each kind, in a row. */
const MESSAGES = 4;
const QUIET_MS = 2_000;
/** A replica is taken for dead after it. */
const LEASE_MS = 3_000;
/** One message of 4 MiB of small values once stopped all agents for more than a second. */
const MOST_ADDED_MS = 800;
const PATIENCE_MS = 30_000;

let deployment: Deployment;

beforeAll(async () => {
  deployment = await startDeployment({ asked: { dualWrite: true, shadowRead: 0, readCutover: 0 } });
});

afterAll(() => deployment?.end());

type Ask = (body: string) => Promise<string>;

async function overZmq(endpoint: string, work: (ask: Ask) => Promise<void>): Promise<void> {
  const agent = createAgent({ endpoint, receiveTimeoutMs: PATIENCE_MS });
  try {
    await work(async (body) => String(await agent.call(body)));
  } finally {
    agent.close();
  }
}

const overHttp =
  (url: string): Ask =>
  async (body) =>
    (await fetch(url, { method: 'POST', body, signal: AbortSignal.timeout(PATIENCE_MS) })).text();

const proxyUrl = (): string => `${deployment.httpUrl}/v1/services/session-memory`;

interface Door {
  readonly door: string;
  /** The most that it takes in a message. */
  readonly values: number;
  readonly bodyOf: (list: string) => string;
  readonly through: (work: (ask: Ask) => Promise<void>) => Promise<void>;
}

const ofProxy = {
  values: 100_000,
  bodyOf: (list: string) =>
    `{"action":"add_interaction","session_id":"large","role":"user","content":"x","metadata":{"list":[${list}]}}`,
};
const ofOrchestrator = {
  values: 500_000,
  bodyOf: (list: string) =>
    `{"action":"create","session_id":"large","payload":{"memory_type":"fact","content":{"list":[${list}]}}}`,
};
const DOORS: readonly Door[] = [
  {
    door: 'the proxy over ZeroMQ',
    ...ofProxy,
    through: (work) => overZmq(deployment.endpoints['session-memory'], work),
  },
  { door: 'the proxy over HTTP', ...ofProxy, through: (work) => work(overHttp(proxyUrl())) },
  {
    door: 'the orchestrator over ZeroMQ',
    ...ofOrchestrator,
    through: (work) => overZmq(`tcp://127.0.0.1:${deployment.orchestratorPath.port}`, work),
  },
  {
    door: 'the orchestrator over HTTP',
    ...ofOrchestrator,
    through: (work) => work(overHttp(`${deployment.orchestratorUrl}/v1/create`)),
  },
];

/** Repeats the requests until the work has ended. Resolves with the p99 of their durations, milliseconds. */
async function p99Of(ask: Ask, requests: readonly object[], ended: AbortSignal): Promise<number> {
  const durations: number[] = [];
  for (let turn = 0; !ended.aborted; turn += 1) {
    const startedAtMs = performance.now();
    const reply = await ask(JSON.stringify(requests[turn % requests.length]));
    durations.push(performance.now() - startedAtMs);
    expect(JSON.parse(reply)).toMatchObject({ status: 'success' });
    await sleep(2);
  }
  return quantile(durations, 0.99);
}

/** The longest time without a heartbeat of the proxy until the work has ended, milliseconds. */
async function longestSilence(ended: AbortSignal): Promise<number> {
  let silentMs = 0;
  while (!ended.aborted) {
    const [row] = await deployment.journal<{ ms: number }>(
      'select extract(epoch from clock_timestamp() - max(heartbeat_at))::float8 * 1000 as ms from replicas',
    );
    silentMs = Math.max(silentMs, row?.ms ?? Infinity);
    await sleep(50);
  }
  return silentMs;
}

/** What other agents and the journal see while something happens. */
async function beside(work: () => Promise<void>): Promise<{ p99: number; silentMs: number }> {
  const [one, other] = [freshSession(), freshSession()];
  const post = overHttp(proxyUrl());
  for (const session of [one, other]) await post(JSON.stringify(createSession(session)));
  const requestsOf = (session: string) => [addInteraction(session, 'water the roses'), getContext(session)];
  const ended = new AbortController();
  const { signal } = ended;
  let ofAgent = 0;
  const others = [
    overZmq(deployment.endpoints['session-memory'], async (ask) => {
      ofAgent = await p99Of(ask, requestsOf(one), signal);
    }),
    p99Of(post, requestsOf(other), signal),
    p99Of(overHttp(`${deployment.orchestratorUrl}/v1/ping`), [{}], signal),
  ] as const;
  const silence = longestSilence(signal);
  await work().finally(() => ended.abort());
  const [, ofPost, ofPing] = await Promise.all(others);
  return { p99: Math.max(ofAgent, ofPost, ofPing), silentMs: await silence };
}

test.each(DOORS)('4 MiB messages of small values through $door delay no other client', async (door) => {
  const allowed = Array.from({ length: door.values - 20 }, () => '{}').join();
  const bodies = [door.bodyOf('{},'.repeat(MESSAGE_BYTES / 3 - 100).slice(0, -1)), door.bodyOf(allowed)];
  for (const body of bodies) expect(Buffer.byteLength(body)).toBeLessThanOrEqual(MESSAGE_BYTES);
  await overHttp(proxyUrl())(JSON.stringify(createSession('large')));
  const quiet = await beside(() => sleep(QUIET_MS));
  const attacked = await beside(() =>
    door.through(async (ask) => {
      for (let sent = 0; sent < 2 * MESSAGES; sent += 1) await ask(bodies[sent % 2] ?? '');
    }),
  );
  expect(attacked.p99).toBeLessThanOrEqual(3 * quiet.p99 + MOST_ADDED_MS);
  expect(attacked.silentMs).toBeLessThan(LEASE_MS);
});

/** Together they have all bytes that HTTP may have in progress. */
const HTTP_REQUESTS = 6;

test('large HTTP requests in progress delay no agent over ZeroMQ', async () => {
  deployment.standIns.setFaults('session-memory', { delayMs: 3_000 });
  const large = JSON.stringify(addInteraction('large', 'x'.repeat(MESSAGE_BYTES - 1_000)));
  const posted = Array.from({ length: HTTP_REQUESTS }, () => overHttp(proxyUrl())(large));
  await sleep(1_000);
  await overZmq(deployment.endpoints['jarvis-memory'], async (ask) => {
    const startedAtMs = performance.now();
    expect(await ask('{"action": "unknown"}')).not.toContain('no room');
    expect(performance.now() - startedAtMs).toBeLessThan(1_000);
  });
  await Promise.all(posted);
});
