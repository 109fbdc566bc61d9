import { setTimeout as sleep } from 'node:timers/promises';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { createAgent } from '../../src/sandbox/agent.ts';
import { eventually } from '../support/eventually.ts';
import { acknowledgedIn, agentsRun, failedIn } from './crash.ts';
import { startOwnPostgres } from '../support/postgres.ts';
import { startStage, type CrashStage } from './crash-stage.ts';
import { findingsOf, workOf } from './crash-workload.ts';
import { createTcpGate } from './tcp-gate.ts';

let stage: CrashStage;
beforeAll(async () => {
  stage = await startStage(startOwnPostgres);
});
afterAll(() => stage.end());

/** Steps of one round of all agents. */
const OF_A_ROUND = 25;
/** No reply is late on a busy machine: an error then says that nothing was done. */
const PATIENT = { deadlineMs: 4_000 };

test('a kill of the orchestrator during deliveries costs no agent an answer', async () => {
  const one = await stage.begin(PATIENT);
  const works = workOf(one.prefix);
  const proxy = await one.startProxy();
  const agents = agentsRun(one, works, 1);
  await proxy.events.seen('delivery:applied', 3);
  await stage.killOrchestrator();
  await agents;
  await agentsRun(one, works, 2);
  expect(failedIn(works)).toBe(0);
  expect(acknowledgedIn(works)).toBeGreaterThan(OF_A_ROUND * 2);
  await stage.startOrchestrator();
  await one.settled();
  expect(findingsOf(works, await one.stores())).toEqual([]);
  await one.end();
});

test('while the journal is away writes are refused without effect, then all continues', async () => {
  const target = Number(new URL(stage.postgres.url('journal')).port);
  const gate = await createTcpGate(target);
  const journalVia = (url: string): string => url.replace(`:${target}/`, `:${gate.port}/`);
  const one = await stage.begin({ ...PATIENT, journalVia });
  const works = workOf(one.prefix);
  const proxy = await one.startProxy();
  await agentsRun(one, works, 1);
  const during = agentsRun(one, works, 2);
  await proxy.events.seen('write:journaled', OF_A_ROUND + 3);
  await gate.close();
  await during;
  const refused = failedIn(works);
  expect(refused).toBeGreaterThan(0);
  const before = acknowledgedIn(works);
  await agentsRun(one, works, 3);
  expect(acknowledgedIn(works)).toBe(before);
  await gate.open();
  const again = failedIn(works);
  await agentsRun(one, works, 4);
  expect(failedIn(works)).toBe(again);
  await one.settled();
  expect(findingsOf(works, await one.stores())).toEqual([]);
  await gate.close();
  await one.end();
});

test('a PostgreSQL that crashes and recovers loses no acknowledged write', async () => {
  const one = await stage.begin(PATIENT);
  const works = workOf(one.prefix);
  const proxy = await one.startProxy();
  const agents = agentsRun(one, works, 1);
  await proxy.events.seen('write:journaled', 5);
  // A server process that dies takes all of them with it: PostgreSQL restarts itself from its log.
  const [backend] = await stage.postgres.execute(
    `select pid from pg_stat_activity where datname = '${new URL(one.journalUrl).pathname.slice(1)}' limit 1`,
  );
  process.kill((backend as { pid: number }).pid, 'SIGKILL');
  await agents;
  await one.settled();
  // A replica holds its writes for a while after a heartbeat that was missed.
  const probe = createAgent({ endpoint: one.endpoints.jarvis, receiveTimeoutMs: 20_000 });
  const request = JSON.stringify({
    action: 'add_memory',
    user_id: `${one.prefix}-probe`,
    memory: 'is it back?',
  });
  const takesWrites = async (): Promise<boolean> =>
    String(await probe.call(request)).includes('"status": "ok"');
  await eventually('writes are taken again', takesWrites);
  // The next heartbeat may find that the crash took this replica's row. It then holds its writes for two seconds more.
  await sleep(3_000);
  await eventually('writes are still taken', takesWrites);
  probe.close();
  await agentsRun(one, works, 2);
  await one.settled();
  expect(acknowledgedIn(works)).toBeGreaterThan(OF_A_ROUND);
  expect(findingsOf(works, await one.stores())).toEqual([]);
  await one.end();
});
