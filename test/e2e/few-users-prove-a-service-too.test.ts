import { afterAll, beforeAll, expect, test } from 'vitest';
import { createAgent } from '../../src/sandbox/agent.ts';
import { startDeployment, type Deployment } from '../support/deployment.ts';
import { eventually } from '../support/eventually.ts';

const SERVICE = 'jarvis-memory';

let deployment: Deployment;

beforeAll(async () => {
  deployment = await startDeployment({
    only: [SERVICE],
    asked: { dualWrite: true, shadowRead: 100, readCutover: 0 },
    config: { shadow: { repeatsPerMinute: 600 } },
  });
});

afterAll(async () => {
  await deployment?.end();
});

async function ask(request: object): Promise<void> {
  const agent = createAgent({ endpoint: deployment.endpoints[SERVICE], receiveTimeoutMs: 20_000 });
  await agent.call(JSON.stringify(request));
  agent.close();
}

const matches = async (): Promise<number> => (await deployment.serviceStatus(SERVICE)).comparisons.match;

/** As if the agent had been away for two minutes. */
const rest = () => deployment.journal("update kept_reads set last_at = now() - interval '2 minutes'");

const asked = async (): Promise<number> => {
  const [row] = await deployment.journal<{ asked: string }>(
    `select count(*) as asked from kept_reads k join lanes l on l.key = k.lane
     where k.asked_for like l.generation || '.' || l.sequence || ' %'`,
  );
  return Number(row?.asked);
};

test('each distinct read is repeated once per state of its lane, without an agent', async () => {
  for (const user_id of ['ann', 'bob']) {
    await ask({ action: 'add_memory', user_id, memory: 'tea' });
    await ask({ action: 'get_memories', user_id });
  }
  await eventually('both reads are compared and kept', async () => {
    const kept = await deployment.journal('select from kept_reads');
    return kept.length === 2 && (await matches()) === 2;
  });
  await ask({ action: 'add_memory', user_id: 'ann', memory: 'coffee' });
  expect(await asked()).toBe(0);
  await rest();
  await eventually('both are asked again', async () => (await asked()) === 2 && (await matches()) === 4);
  await ask({ action: 'add_memory', user_id: 'ann', memory: 'water' });
  await eventually(
    'one is asked on the new state',
    async () => (await asked()) === 2 && (await matches()) === 5,
  );
  expect((await deployment.serviceStatus(SERVICE)).comparisons).toMatchObject({ match: 5, mismatch: 0 });
});
