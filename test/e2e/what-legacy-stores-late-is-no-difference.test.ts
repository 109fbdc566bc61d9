import { setTimeout as sleep } from 'node:timers/promises';
import { afterAll, afterEach, beforeAll, expect, test } from 'vitest';
import { createAgent } from '../../src/sandbox/agent.ts';
import { startDeployment, type Deployment } from '../support/deployment.ts';
import { eventually } from '../support/eventually.ts';
import { everythingDelivered } from '../support/lane-view.ts';

const SERVICE = 'jarvis-memory';
/** Times of answers may be 5 s apart. */
const STOOD_STILL_MS = 7_000;
const READS = 8;

type Agent = ReturnType<typeof createAgent>;

let deployment: Deployment;
const agents: Agent[] = [];

beforeAll(async () => {
  deployment = await startDeployment({ asked: { dualWrite: true, shadowRead: 100, readCutover: 0 } });
}, 120_000);

afterEach(() => {
  for (const agent of agents.splice(0)) agent.close();
});

afterAll(async () => {
  await deployment?.end();
});

function newAgent(): Agent {
  const agent = createAgent({ endpoint: deployment.endpoints[SERVICE] });
  agents.push(agent);
  return agent;
}

async function ask(agent: Agent, request: object): Promise<Record<string, unknown>> {
  return JSON.parse((await agent.call(JSON.stringify(request))).toString()) as Record<string, unknown>;
}

const remember = (memory: string) => ({ action: 'add_memory', user_id: 'household', memory });

async function comparedAfter(reads: number): Promise<Readonly<Record<'match' | 'mismatch', number>>> {
  const before = (await deployment.serviceStatus(SERVICE)).comparisons;
  const agent = newAgent();
  for (let read = 0; read < reads; read += 1)
    await ask(agent, { action: 'get_memories', user_id: 'household' });
  return eventually('every read is compared', async () => {
    const { match, mismatch } = (await deployment.serviceStatus(SERVICE)).comparisons;
    const since = { match: match - before.match, mismatch: mismatch - before.mismatch };
    return since.match + since.mismatch === reads && since;
  });
}

test('a write that the service stores seconds late has the service’s time', async () => {
  await ask(newAgent(), remember('in time'));
  await everythingDelivered(deployment);

  deployment.standIns.setFaults(SERVICE, { hang: 'before_effect' });
  const waiting = ask(newAgent(), remember('late'));
  await sleep(STOOD_STILL_MS);
  // The reply to the late write is here before those to the probes: no copy is needed to know its outcome.
  deployment.standIns.setFaults(SERVICE, { delayMs: 500 });
  expect(await waiting).toMatchObject({ status: 'error' });
  await everythingDelivered(deployment);
  await eventually('a clean lane', async () => (await deployment.serviceStatus(SERVICE)).lanes.dirty === 0);

  expect(await comparedAfter(READS)).toEqual({ match: READS, mismatch: 0 });
}, 60_000);
