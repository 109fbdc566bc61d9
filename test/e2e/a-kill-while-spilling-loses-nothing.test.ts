import { afterAll, beforeAll, expect, test } from 'vitest';
import { acknowledgedIn, agentsRun, failedIn, killAt } from './crash.ts';
import { startStage, type CrashStage } from './crash-stage.ts';
import { findingsOf, runAll, workOf } from './crash-workload.ts';
import { createTcpGate } from './tcp-gate.ts';

let stage: CrashStage;
beforeAll(async () => {
  stage = await startStage();
});
afterAll(() => stage.end());

/** Behind the first round's 25 writes: in the middle of what is spilled. */
const KILLED_AT = { name: 'write:answered', count: 34 };

test('a proxy killed while it spills starts without its journal, and replays all later', async () => {
  const target = Number(new URL(stage.postgres.url('journal')).port);
  const gate = await createTcpGate(target);
  const journalVia = (url: string): string => url.replace(`:${target}/`, `:${gate.port}/`);
  const one = await stage.begin({ deadlineMs: 4_000, journalVia, spills: true });
  const works = workOf(one.prefix);
  const first = await one.startProxy();
  await agentsRun(one, works, 1);
  const beforeTheOutage = acknowledgedIn(works);
  await gate.close();
  await killAt(first, KILLED_AT, (lost) => runAll(works, one.endpoints, { round: 2, lost }));
  expect(first.events.lines.filter(({ name }) => name === 'spill:began')).toHaveLength(1);
  const beforeTheKill = acknowledgedIn(works);
  expect(beforeTheKill).toBeGreaterThan(beforeTheOutage);
  const second = await one.startProxy();
  await agentsRun(one, works, 3);
  expect(acknowledgedIn(works)).toBeGreaterThan(beforeTheKill);
  expect(failedIn(works)).toBe(0);
  await gate.open();
  await second.events.seen('spill:replayed', 1);
  await agentsRun(one, works, 4);
  await one.settled();
  expect(findingsOf(works, await one.stores())).toEqual([]);
  await gate.close();
  await one.end();
});
