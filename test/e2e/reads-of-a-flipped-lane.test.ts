import { afterAll, beforeAll, beforeEach, expect, test } from 'vitest';
import { createAgent } from '../../src/sandbox/agent.ts';
import { startDeployment, type Deployment } from '../support/deployment.ts';
import { eventually } from '../support/eventually.ts';
import { everythingDelivered } from '../support/lane-view.ts';
import type { Program } from '../support/processes.ts';
import { startSecondReplica } from '../support/second-replica.ts';
import { addInteraction, askOnce, createSession, getContext } from '../support/session-agent.ts';

const SESSION = 's-flipped';
const [FLIPPED_USER, BEHIND_USER] = ['ann', 'bea'];

let deployment: Deployment;
let second: Program | undefined;

beforeAll(async () => {
  deployment = await startDeployment();
  // No flag lets a read move.
  await deployment.ask({ dualWrite: true, shadowRead: 0, readCutover: 0 });
  for (const session of [SESSION, 's-later']) {
    await askSession(createSession(session));
    await askSession(addInteraction(session, 'before'));
  }
  for (const user of [FLIPPED_USER, BEHIND_USER]) await jarvis(remember(user, 'before'));
  await everythingDelivered(deployment);
  await flip(`session-memory/${SESSION}`, `jarvis-memory/${FLIPPED_USER}`, `jarvis-memory/${BEHIND_USER}`);
  // A flip that a replica makes itself is in its memory.
  await deployment.restart();
});

afterAll(async () => {
  await second?.stop();
  await deployment?.end();
});

beforeEach(async () => {
  deployment.standIns.setFaults('jarvis-memory', {});
  await deployment.legacyPath.pass();
  await deployment.orchestratorPath.pass();
});

/** As a flip does it: within a share that every replica has reported. */
async function flip(...lanes: readonly string[]): Promise<void> {
  const services = [...new Set(lanes.map((lane) => lane.split('/')[0]))];
  for (const service of services)
    await deployment.journal(
      `insert into flip_shares (service, number, percentage, version) values ('${service}', 1, 100, '')
       on conflict do nothing`,
    );
  await deployment.journal(
    `update lanes set primary_backend = 'orchestrator', epoch = epoch + 1
     where key in (${lanes.map((lane) => `'${lane}'`).join(', ')})`,
  );
}

async function askSession(request: object): Promise<string> {
  return (await askOnce(deployment.endpoints['session-memory'], { ...request })).text;
}

async function jarvis(request: object): Promise<string> {
  const agent = createAgent({ endpoint: deployment.endpoints['jarvis-memory'], receiveTimeoutMs: 20_000 });
  const reply = (await agent.call(JSON.stringify(request))).toString();
  agent.close();
  return reply;
}

const remember = (user_id: string, memory: string) => ({ action: 'add_memory', user_id, memory });
const recall = (user_id: string) => ({ action: 'get_memories', user_id });

/** Reads of the service that a backend has answered. */
async function readsBy(backend: 'legacy' | 'orchestrator', service = 'session-memory'): Promise<number> {
  return (await deployment.serviceStatus(service)).reads_by[backend];
}

/** The counters of reads that no backend was allowed to answer. */
async function unanswered(): Promise<string> {
  const text = await (await fetch(`${deployment.httpUrl}/metrics`)).text();
  return text
    .split('\n')
    .filter((line) => line.startsWith('crossfade_reads_unanswered_total'))
    .join('\n');
}

test('legacy that hangs fails no read of a flipped lane, and no write', async () => {
  deployment.legacyPath.silence();
  const startedAtMs = performance.now();
  await askSession(addInteraction(SESSION, 'after'));
  const context = await askSession(getContext(SESSION));
  expect(context).toContain('after');
  // Legacy would have cost the deadline.
  expect(performance.now() - startedAtMs).toBeLessThan(4_000);
});

test('an owner beside a flipped one is still read from legacy', async () => {
  const before = await readsBy('legacy');
  expect(await askSession(getContext('s-later'))).toContain('before');
  expect(await readsBy('legacy')).toBe(before + 1);
});

test('legacy answers for a hung orchestrator where it has every write', async () => {
  expect(await jarvis(recall(FLIPPED_USER))).toContain('before');
  deployment.orchestratorPath.silence();
  const before = await readsBy('legacy', 'jarvis-memory');
  expect(await jarvis(recall(FLIPPED_USER))).toContain('before');
  expect(await readsBy('legacy', 'jarvis-memory')).toBe(before + 1);
});

test('a write that legacy lacks is never missing from an answer', async () => {
  deployment.standIns.setFaults('jarvis-memory', { hang: 'before_effect' });
  expect(await jarvis(remember(BEHIND_USER, 'after'))).not.toContain('error');
  expect(await jarvis(recall(BEHIND_USER))).toContain('after');
  await deployment.orchestratorPath.refuse();
  expect(await jarvis(recall(BEHIND_USER))).toContain('error');
  expect(await unanswered()).toMatch(/service="jarvis-memory"[^\n]*reason="behind"/);
});

test('what legacy may have forgotten is never missing from an answer', async () => {
  await deployment.orchestratorPath.refuse();
  expect(await askSession(getContext(SESSION))).toContain('error');
  await eventually('an orchestrator that answers', async () => {
    await deployment.orchestratorPath.pass();
    return (await askSession(getContext(SESSION))).includes('before');
  });
});

test('a lane that one replica has flipped is read from its primary by others at once', async () => {
  second = await startSecondReplica(deployment);
  const before = await readsBy('orchestrator');
  expect(await askSession(getContext('s-later'))).toContain('before');
  expect(await readsBy('orchestrator')).toBe(before);
  await flip('session-memory/s-later');
  expect(await askSession(getContext('s-later'))).toContain('before');
  expect(await readsBy('orchestrator')).toBe(before + 1);
});
