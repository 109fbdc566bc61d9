import type { AbStatus } from '../../src/operator/api/status.ts';
import { execFile } from 'node:child_process';
import { fileURLToPath } from 'node:url';
import { promisify } from 'node:util';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { startDeployment, type Deployment } from '../support/deployment.ts';
import { eventually } from '../support/eventually.ts';
import { everythingDelivered } from '../support/lane-view.ts';
import {
  addInteraction,
  createSession,
  createSessionAgent,
  getContext,
  type SessionAgent,
} from '../support/session-agent.ts';

const SERVICE = 'session-memory';
const SESSIONS = Array.from({ length: 60 }, (_, index) => `ab-${index}`);
const DELAY_MS = 40;
const MAIN = fileURLToPath(new URL('../../src/main.ts', import.meta.url));

let deployment: Deployment;
let agent: SessionAgent;

beforeAll(async () => {
  deployment = await startDeployment();
  await deployment.ask({ dualWrite: true, shadowRead: 100, readCutover: 50 });
  agent = createSessionAgent(deployment.endpoints[SERVICE]);
  for (const session of SESSIONS) {
    await agent.ask(createSession(session));
    await agent.ask(addInteraction(session, 'a turn'));
  }
  await everythingDelivered(deployment);
});

afterAll(async () => {
  agent?.close();
  await deployment?.end();
});

async function ab(): Promise<AbStatus> {
  const { ab: actions } = await deployment.serviceStatus<{ readonly ab: Record<string, AbStatus> }>(SERVICE);
  const found = actions['get_context'];
  if (found === undefined) throw new Error('nothing is compared');
  return found;
}

async function readAll(rounds: number): Promise<void> {
  for (let round = 0; round < rounds; round += 1)
    for (const session of SESSIONS) await agent.ask(getContext(session));
}

const metric = async (name: string, labels: string): Promise<number> => {
  const text = await (await fetch(`${deployment.httpUrl}/metrics`)).text();
  const line = text.split('\n').find((one) => one.startsWith(`${name}{`) && one.includes(labels));
  return Number(line?.split(' ').at(-1));
};

test('a slower orchestrator shows between lanes and in pairs, in every output', async () => {
  deployment.orchestratorPath.delay(DELAY_MS);
  await readAll(3);
  await eventually('pairs', async () => (await ab()).paired.pairs >= SESSIONS.length * 3);
  const seen = await ab();
  expect(seen.orchestrator.reads + seen.legacy.reads).toBe(SESSIONS.length * 3);
  expect(Math.min(seen.orchestrator.reads, seen.legacy.reads)).toBeGreaterThan(SESSIONS.length / 2);
  expect(seen.orchestrator.p50_ms).toBeGreaterThan(DELAY_MS);
  expect(seen.legacy.p50_ms).toBeLessThan((seen.orchestrator.p50_ms ?? 0) / 2);
  for (const ratio of [seen.latency_ratio, seen.paired.latency_ratio]) {
    const [value, lower, upper] = ratio ?? [0, 0, 0];
    expect(lower).toBeGreaterThan(2);
    expect(value).toBeGreaterThan(lower);
    expect(upper).toBeGreaterThan(value);
  }
  for (const difference of [seen.failure_difference, seen.paired.failure_difference]) {
    const [value, lower, upper] = difference ?? [1, 1, 1];
    expect(value).toBe(0);
    expect(lower).toBeLessThan(0);
    expect(upper).toBeGreaterThan(0);
  }
  const labels = `service="${SERVICE}",action="get_context"`;
  const lower = await metric('crossfade_ab_latency_ratio', `${labels},design="paired",bound="lower"`);
  expect(lower).toBeGreaterThan(2);
  expect(await metric('crossfade_ab_reads', `${labels},arm="paired"`)).toBe(seen.paired.pairs);
  expect(
    await metric('crossfade_ab_failure_difference', `${labels},design="lanes",bound="upper"`),
  ).toBeGreaterThan(0);
  const args = [MAIN, 'status', '--url', deployment.httpUrl];
  const { stdout } = await promisify(execFile)(process.execPath, args);
  expect(stdout).toMatch(/Orchestrator and legacy compared, last 60 minutes of all replicas\n/);
  expect(stdout).toContain('An agent failure is a timeout');
  expect(stdout).toMatch(/get_context the same read on both +\d+ +× [\d.]+ \(× [\d.]+ – × [\d.]+\) +±0 %/);
});

test('a silent orchestrator counts against it in pairs, and its lanes fall back', async () => {
  deployment.orchestratorPath.delay(0);
  await deployment.orchestratorPath.refuse();
  const before = await ab();
  await readAll(2);
  await eventually('failed pairs', async () => ((await ab()).paired.failure_difference?.[1] ?? 0) > 0);
  const seen = await ab();
  expect(seen.orchestrator.fallbacks).toBeGreaterThan(before.orchestrator.fallbacks);
  // No agent saw any of it.
  expect(seen.orchestrator.failure_rate?.[0]).toBe(0);
  await deployment.orchestratorPath.pass();
});
