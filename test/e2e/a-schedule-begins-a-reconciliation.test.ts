import { afterAll, beforeAll, expect, test } from 'vitest';
import { startDeployment, type Deployment } from '../support/deployment.ts';
import { eventually } from '../support/eventually.ts';
import type { Program } from '../support/processes.ts';
import { startSecondReplica } from '../support/second-replica.ts';
import { addInteraction, createSession, createSessionAgent } from '../support/session-agent.ts';

const SERVICE = 'session-memory';
const PATIENCE_MS = 200_000;

let deployment: Deployment;
let second: Program | undefined;

beforeAll(async () => {
  deployment = await startDeployment({
    // Every minute: often enough to wait for, and both replicas look at the same time of the schedule.
    config: { reconciliation: { changed: 'off', full: '* * * * *' } },
    asked: { dualWrite: true, shadowRead: 0, readCutover: 0 },
  });
}, 120_000);

afterAll(async () => {
  await second?.stop();
  await deployment?.end();
});

interface Scheduled {
  readonly state: string;
  readonly scheduled: string;
  readonly lanes: number | null;
}

async function scheduledRuns(): Promise<readonly Scheduled[]> {
  return deployment.journal(`
    select state, request ->> 'scheduled' as scheduled,
      (report #>> '{services,${SERVICE},lanes_equal}')::int as lanes
    from runs where kind = 'reconcile' order by id`);
}

test('a due reconciliation starts by itself, once for two replicas', async () => {
  // What was due before the installation concerns nobody.
  await deployment.journal(`update schema_steps set applied_at = now() - interval '2 days'`);
  const agent = createSessionAgent(deployment.endpoints[SERVICE]);
  await agent.ask(createSession('s-1'));
  await agent.ask(addInteraction('s-1', 'hello'));
  agent.close();
  second = await startSecondReplica(deployment);
  const finished = await eventually(
    'two times of the schedule',
    async () => {
      const runs = await scheduledRuns();
      return runs.filter(({ state }) => state === 'finished').length >= 2 && runs;
    },
    PATIENCE_MS,
  );
  const times = finished.map(({ scheduled }) => scheduled);
  expect(new Set(times).size).toBe(times.length);
  expect(finished[0]?.lanes).toBe(1);
}, 240_000);
