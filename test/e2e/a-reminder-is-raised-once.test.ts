import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { createAgent, type Agent } from '../../src/sandbox/agent.ts';
import { startDeployment, type Deployment } from '../support/deployment.ts';
import { eventually } from '../support/eventually.ts';
import { freePort } from '../support/ports.ts';
import { startWireTap, type WireTap } from '../support/wire-tap.ts';

const SERVICE = 'jarvis-memory';
const BEFORE = 5;
const DURING = 20;

let deployment: Deployment;
let tap: WireTap;
let agent: Agent;

beforeAll(async () => {
  const front = `tcp://127.0.0.1:${await freePort()}`;
  deployment = await startDeployment({
    // What is not answered at once is sent again.
    config: { orchestrator: { endpoint: front, deliveryTimeoutMs: 300 } },
  });
  tap = await startWireTap(front, `tcp://127.0.0.1:${deployment.orchestratorPath.port}`);
  agent = createAgent({ endpoint: deployment.endpoints[SERVICE] });
});

afterAll(async () => {
  agent?.close();
  tap?.stop();
  await deployment?.end();
});

async function remind(text: string): Promise<string> {
  const request = { action: 'add_memory', user_id: 'ann', memory: { type: 'reminder', text } };
  return (await agent.call(JSON.stringify(request))).toString();
}

/** The stand-in announces what it stores, as the original does: once for each item of its file. */
function raisedByLegacy(): string[] {
  const text = readFileSync(join(deployment.legacyFolder, 'jarvis_memory_store.json'), 'utf8');
  const { ann = [] } = JSON.parse(text) as { ann?: { memory: { type: string; text: string } }[] };
  return ann.filter(({ memory }) => memory.type === 'reminder').map(({ memory }) => memory.text);
}

const reminders = () => tap.operations.filter(({ payload }) => JSON.stringify(payload).includes('remind me'));

test('legacy raises each reminder once; copies, deliveries and redrives raise none', async () => {
  const texts = Array.from({ length: BEFORE + DURING }, (_, index) => `remind me ${index}`);
  for (const text of texts.slice(0, BEFORE)) await remind(text);
  await deployment.ask({ dualWrite: true, shadowRead: 100, readCutover: 0 });
  await eventually(
    'the lane is copied',
    async () => (await deployment.serviceStatus(SERVICE)).lanes['seeded'] === 1,
  );
  const copied = reminders().length;
  for (const [index, text] of texts.slice(BEFORE).entries()) {
    // Answers come too late for a while: the same deliveries go out again and again.
    if (index === DURING / 2) deployment.orchestratorPath.delay(400);
    // The reply says that announcing it has failed, as the original's does; the reminder is stored.
    expect(await remind(text)).toContain('send_proactive_event');
  }
  await eventually('deliveries are sent again', () => reminders().length > copied + DURING);
  await deployment.orchestratorPath.pass();
  const key = `select count(*)::int as n from memory_entries where content::text like '%remind me%' and is_active`;
  await eventually('all are on the orchestrator', async () => {
    const [row] = await deployment.store<{ n: number }>(key);
    return row?.n === texts.length;
  });
  expect(copied).toBeGreaterThanOrEqual(BEFORE);
  expect(raisedByLegacy()).toEqual(texts);
  // The orchestrator was asked to hold them, and never to announce one.
  expect(reminders().length).toBeGreaterThan(texts.length);
  expect(reminders().filter(({ payload }) => payload['suppress_events'] !== true)).toEqual([]);
});
