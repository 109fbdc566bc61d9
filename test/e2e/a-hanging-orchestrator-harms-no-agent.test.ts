import { setTimeout as sleep } from 'node:timers/promises';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { startDeployment, type Deployment } from '../support/deployment.ts';
import { eventually } from '../support/eventually.ts';
import { everythingDelivered } from '../support/lane-view.ts';
import { median, quantile } from '../support/latency.ts';
import {
  addInteraction,
  createSession,
  createSessionAgent,
  freshSession,
  getContext,
} from '../support/session-agent.ts';

const CLIENTS = 4;
const ROUNDS = 5;
/** Two writes and one read each. */
const TURNS_OF_A_CLIENT = 30;
/** Between two calls of a client: what is measured is how long a call takes, not how many fit on two cores. */
const PAUSE_MS = 5;
/** On a machine that needs so long by itself that two milliseconds are no part of it, a quarter. A timeout waited for would be 150 and more. */
const LIMIT = { ms: 2, ofHealthy: 0.25 };
/** The machine is shared: only a rise that stays is one. */
const ATTEMPTS = 3;

const DUAL_WRITE = { dualWrite: true, shadowRead: 0, readCutover: 0 };
const SHADOW_READ = { dualWrite: true, shadowRead: 100, readCutover: 0 };
const READ_CUTOVER = { dualWrite: true, shadowRead: 0, readCutover: 100 };
const OFF = { dualWrite: false, shadowRead: 0, readCutover: 0 };

type Orchestrator = 'healthy' | 'hanging';

let deployment: Deployment;

beforeAll(async () => {
  deployment = await startDeployment({ config: { shadow: { timeoutMs: 300 } } });
});

afterAll(async () => {
  await deployment?.end();
});

/** The calls of all clients, milliseconds each. @throws where one failed */
async function measure(sessions: readonly string[]): Promise<number[]> {
  const durations = await Promise.all(sessions.map((session) => converse(session)));
  return durations.flat();
}

async function converse(session: string): Promise<number[]> {
  const agent = createSessionAgent(deployment.endpoints['session-memory']);
  const durations: number[] = [];
  for (let turn = 0; turn < TURNS_OF_A_CLIENT; turn += 1) {
    const requests = [
      addInteraction(session, `question ${turn}`),
      addInteraction(session, `answer ${turn}`),
      { ...getContext(session), max_tokens: 20 },
    ];
    for (const request of requests) {
      const { status, ms, text } = await agent.ask(request);
      if (status !== 'success') throw new Error(`an agent got ${text.slice(0, 200)}`);
      durations.push(ms);
      await sleep(PAUSE_MS);
    }
  }
  agent.close();
  return durations;
}

async function openSessions(): Promise<string[]> {
  const agent = createSessionAgent(deployment.endpoints['session-memory']);
  const sessions = Array.from({ length: CLIENTS }, () => freshSession());
  for (const session of sessions) expect((await agent.ask(createSession(session))).status).toBe('success');
  agent.close();
  return sessions;
}

/** Nothing of an earlier measurement is still being made up for. */
async function isCalm(): Promise<void> {
  await deployment.orchestratorPath.pass();
  await eventually('nothing waits any more', async () => {
    const { deliveries, copies, shadow_reads: shadowReads } = (await deployment.status()).backlog;
    return deliveries + copies + shadowReads === 0;
  });
}

interface Scene {
  readonly asked: typeof DUAL_WRITE;
  /** Brings about what is measured, with the orchestrator as it is to be. */
  prepare(sessions: readonly string[], orchestrator: Orchestrator): Promise<void>;
}

async function p99Of(scene: Scene, orchestrator: Orchestrator): Promise<number> {
  await isCalm();
  const sessions = await openSessions();
  await everythingDelivered(deployment);
  if (orchestrator === 'hanging') deployment.orchestratorPath.silence();
  await scene.prepare(sessions, orchestrator);
  return quantile(await measure(sessions), 0.99);
}

interface Measured {
  readonly healthy: readonly number[];
  readonly hanging: readonly number[];
  readonly riseMs: number;
  readonly limitMs: number;
}

async function compare(scene: Scene): Promise<Measured> {
  const p99: Record<Orchestrator, number[]> = { healthy: [], hanging: [] };
  for (let round = 0; round < ROUNDS; round += 1) {
    const order = ['healthy', 'hanging'] as const;
    for (const orchestrator of round % 2 === 0 ? order : order.toReversed()) {
      p99[orchestrator].push(await p99Of(scene, orchestrator));
    }
  }
  const healthyMs = median(p99.healthy);
  const limitMs = Math.max(LIMIT.ms, LIMIT.ofHealthy * healthyMs);
  return { ...p99, limitMs, riseMs: median(p99.hanging) - healthyMs };
}

const spell = ({ healthy, hanging, riseMs }: Measured): string => {
  const list = (numbers: readonly number[]): string => numbers.map((ms) => ms.toFixed(1)).join(' ');
  return `p99 healthy ${list(healthy)} ms, hanging ${list(hanging)} ms: medians differ by ${riseMs.toFixed(1)} ms`;
};

async function expectNoHarm(scene: Scene): Promise<void> {
  await isCalm();
  await deployment.ask(scene.asked);
  const tries: Measured[] = [];
  while (tries.length < ATTEMPTS) {
    const measured = await compare(scene);
    tries.push(measured);
    if (process.env['TEST_LOG'] !== undefined) console.log(spell(measured));
    if (measured.riseMs <= measured.limitMs) return;
  }
  expect.fail(
    `a hanging orchestrator costs agents more than ${LIMIT.ms} ms, and more than a quarter of what they wait anyway:\n${tries.map(spell).join('\n')}`,
  );
}

const nothing = async (): Promise<void> => undefined;

/** Reads miss until the orchestrator is not asked any more. */
async function openBreaker(sessions: readonly string[], orchestrator: Orchestrator): Promise<void> {
  if (orchestrator === 'healthy') return;
  const agent = createSessionAgent(deployment.endpoints['session-memory']);
  await eventually('the breaker open', async () => {
    const before = (await deployment.serviceStatus('session-memory')).fallbacks['breaker_open'] ?? 0;
    for (const session of sessions) await agent.ask(getContext(session));
    return ((await deployment.serviceStatus('session-memory')).fallbacks['breaker_open'] ?? 0) > before;
  });
  agent.close();
}

/** Dual writes end and begin anew: all lanes are unseeded, and copied. */
async function beginCopies(): Promise<void> {
  await deployment.ask(OFF);
  await deployment.ask(DUAL_WRITE);
}

test.each([
  { where: 'in stage dual_write', asked: DUAL_WRITE, prepare: nothing },
  { where: 'in stage shadow_read', asked: SHADOW_READ, prepare: nothing },
  { where: 'with the breaker open', asked: READ_CUTOVER, prepare: openBreaker },
  { where: 'while lanes are copied', asked: DUAL_WRITE, prepare: beginCopies },
])('a hanging orchestrator fails no call and delays none $where', { timeout: 480_000 }, (scene) =>
  expectNoHarm(scene),
);
