import { afterAll, beforeAll, expect, test } from 'vitest';
import { acknowledgedIn, agentsRun, failedIn } from './crash.ts';
import { startStage, type CrashStage } from './crash-stage.ts';
import { findingsOf, workOf } from './crash-workload.ts';
import { createTcpGate } from './tcp-gate.ts';

let stage: CrashStage;
beforeAll(async () => {
  stage = await startStage();
});
afterAll(() => stage.end());

test('without the journal legacy answers every write, and both stores become equal', async () => {
  const target = Number(new URL(stage.postgres.url('journal')).port);
  const gate = await createTcpGate(target);
  const journalVia = (url: string): string => url.replace(`:${target}/`, `:${gate.port}/`);
  const one = await stage.begin({ deadlineMs: 4_000, journalVia, spills: true });
  const works = workOf(one.prefix);
  const proxy = await one.startProxy();
  await agentsRun(one, works, 1);
  const before = acknowledgedIn(works);
  await gate.close();
  await agentsRun(one, works, 2);
  expect(failedIn(works)).toBe(0);
  expect(acknowledgedIn(works)).toBeGreaterThan(before);
  await gate.open();
  await proxy.events.seen('spill:replayed', 1);
  await agentsRun(one, works, 3);
  await one.settled();
  expect(findingsOf(works, await one.stores())).toEqual([]);
  await gate.close();
  await one.end();
});
