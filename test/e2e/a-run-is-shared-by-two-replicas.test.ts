import { afterAll, beforeAll, expect, test } from 'vitest';
import { createAgent } from '../../src/sandbox/agent.ts';
import { startDeployment, type Deployment } from '../support/deployment.ts';
import { eventually } from '../support/eventually.ts';
import type { Program } from '../support/processes.ts';
import { startSecondReplica } from '../support/second-replica.ts';

/** Five pages of a backfill, two of a reconciliation. */
const SESSIONS = 250;
const TURNS = 3;
const PATIENCE_MS = 180_000;

let deployment: Deployment;
let second: Program | undefined;

beforeAll(async () => {
  deployment = await startDeployment({
    config: { copies: { concurrency: 2, automatic: false } },
    asked: { dualWrite: true, shadowRead: 0, readCutover: 0 },
  });
  const agent = createAgent({ endpoint: deployment.direct['session-memory'] });
  for (let index = 0; index < SESSIONS; index += 1) {
    const session_id = `s${index}`;
    await agent.call(JSON.stringify({ action: 'create_session', session_id, user_id: 'u' }));
    for (let turn = 0; turn < TURNS; turn += 1)
      await agent.call(
        JSON.stringify({ action: 'add_interaction', session_id, role: 'user', content: `turn ${turn}` }),
      );
  }
  agent.close();
}, 180_000);

afterAll(async () => {
  await second?.stop();
  await deployment?.end();
});

interface Shown {
  readonly run: number;
  readonly state: string;
  readonly lanes_done: number;
  readonly services: Readonly<Record<string, Readonly<Record<string, number>>>>;
}

async function begin(kind: string, rate: number): Promise<number> {
  const body = JSON.stringify({ kind, rate, service: 'session-memory', person: 'ann', reason: 'a test' });
  const headers = { 'content-type': 'application/json' };
  const response = await fetch(`${deployment.httpUrl}/v1/runs`, { method: 'POST', headers, body });
  const begun = (await response.json()) as Shown;
  expect({ status: response.status, begun }).toMatchObject({ status: 200 });
  return begun.run;
}

const show = async (run: number): Promise<Shown> =>
  (await (await fetch(`${deployment.httpUrl}/v1/runs/${run}`)).json()) as Shown;

async function finished(run: number): Promise<Shown> {
  await eventually(`run ${run} finished`, async () => (await show(run)).state === 'finished', PATIENCE_MS);
  return show(run);
}

/** Kills the second replica with -9 while each of both has a page. */
async function killSecond(run: number): Promise<void> {
  await eventually(
    'both replicas at work',
    async () => {
      const claimants = await deployment.journal(`
        select distinct claim_replica from run_pages
        where run_id = ${run} and done_at is null and claim_replica is not null`);
      return claimants.length === 2;
    },
    PATIENCE_MS,
  );
  await second?.kill();
}

/** Resolves when the lease of one that was killed is over. */
async function oneReplica(): Promise<void> {
  await eventually(
    'one replica',
    async () => {
      const living = "select id from replicas where heartbeat_at > now() - interval '3 seconds'";
      return (await deployment.journal(living)).length === 1;
    },
    PATIENCE_MS,
  );
}

async function expectEachItemOnce(): Promise<void> {
  const rows = await deployment.store<{ items: number; texts: number }>(`
    select count(*)::int as items, count(distinct content ->> 'text')::int as texts
    from memory_entries where is_active group by session_id`);
  expect(rows.length).toBe(SESSIONS);
  expect(rows.filter(({ items, texts }) => items !== TURNS || texts !== TURNS)).toEqual([]);
}

test('two replicas share a backfill, and the survivor ends it after a kill', async () => {
  await oneReplica();
  second = await startSecondReplica(deployment);
  const run = await begin('backfill', 300);
  await killSecond(run);
  const { services } = await finished(run);
  expect(services['session-memory']).toMatchObject({
    lanes: SESSIONS,
    items: SESSIONS * TURNS,
    lanes_left: 0,
  });
  await expectEachItemOnce();
}, 400_000);

test('so is a reconciliation: every lane is compared, and none differs', async () => {
  await oneReplica();
  second = await startSecondReplica(deployment);
  const run = await begin('reconcile', 400);
  await killSecond(run);
  const { services } = await finished(run);
  expect(services['session-memory']).toMatchObject({ lanes: SESSIONS, lanes_equal: SESSIONS });
  expect(services['session-memory']?.['findings'] ?? 0).toBe(0);
  await expectEachItemOnce();
}, 400_000);
