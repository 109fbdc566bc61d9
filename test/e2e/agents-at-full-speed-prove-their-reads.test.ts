import { afterAll, beforeAll, expect, test } from 'vitest';
import { createAgent } from '../../src/sandbox/agent.ts';
import { runCommand } from '../support/command.ts';
import { startDeployment, type Deployment } from '../support/deployment.ts';
import { eventually } from '../support/eventually.ts';

const SERVICE = 'jarvis-memory';
const AGENTS = 8;
const TURNS = 40;

let deployment: Deployment;

beforeAll(async () => {
  const asked = { dualWrite: true, shadowRead: 100, readCutover: 0 };
  deployment = await startDeployment({ only: [SERVICE], asked });
});

afterAll(async () => {
  await deployment?.end();
});

/** Writes and reads by turns, without a pause. */
async function live(user_id: string, turns: number): Promise<void> {
  const agent = createAgent({ endpoint: deployment.endpoints[SERVICE], receiveTimeoutMs: 20_000 });
  for (let turn = 0; turn < turns; turn += 1) {
    await agent.call(JSON.stringify({ action: 'add_memory', user_id, memory: `note ${turn}` }));
    await agent.call(JSON.stringify({ action: 'get_memories', user_id }));
  }
  agent.close();
}

const compared = async (): Promise<number> => {
  const { comparisons } = await deployment.serviceStatus(SERVICE);
  return Object.values(comparisons).reduce((sum, one) => sum + one, 0);
};

test('most reads of agents that write all the time count as proof', async () => {
  const users = Array.from({ length: AGENTS }, (_, index) => `user-${index}`);
  await Promise.all(users.map((user) => live(user, 1)));
  await eventually('every lane is seeded', async () => {
    const { lanes } = await deployment.serviceStatus(SERVICE);
    return lanes?.seeded === AGENTS && (await compared()) === AGENTS;
  });
  const before = await deployment.serviceStatus(SERVICE);
  await Promise.all(users.map((user) => live(user, TURNS)));
  await eventually('every read is compared', async () => (await compared()) === AGENTS * (TURNS + 1));
  const { comparisons, proofs, no_proof_by: others } = await deployment.serviceStatus(SERVICE);
  expect(comparisons.mismatch).toBe(0);
  expect(proofs + Object.values(others).reduce((sum, one) => sum + one, 0)).toBe(await compared());
  expect(proofs - before.proofs, JSON.stringify(others)).toBeGreaterThan((AGENTS * TURNS) / 2);
  const { stdout } = await runCommand(['status', '--url', deployment.httpUrl]);
  expect(stdout).toMatch(new RegExp(`own answers +${AGENTS * (TURNS + 1)} +${proofs} +0 `));
});
