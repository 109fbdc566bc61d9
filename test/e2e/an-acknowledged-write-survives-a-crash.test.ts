import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { startStage, type CrashCase, type CrashStage } from './crash-stage.ts';
import { findingsOf, runAll, workOf, type LaneWork } from './crash-workload.ts';

let stage: CrashStage;
beforeAll(async () => {
  stage = await startStage();
});
afterAll(async () => {
  console.log(stage.orchestratorOutput().slice(-1500));
  await stage.end();
});

/** Every step of a write that the engine reports. */
const STEPS = [
  'operation:received',
  'operation:decided',
  'write:journaled',
  'write:sent',
  'write:answered',
  'operation:replied',
  'write:settled',
  'delivery:applied',
  'delivery:recorded',
];

/** Agents whose proxy stands still lose their replies after this long. */
const LOST_MS = 400;

/** A new proxy on the same journal, new agents who write on, and the stores once nothing is on its way any more. */
async function takeUp(one: CrashCase, works: readonly LaneWork[]): Promise<string[]> {
  const before = works.reduce((total, { acknowledged }) => total + acknowledged, 0);
  await one.startProxy();
  await one.settled();
  const findings = findingsOf(works, await one.stores());
  await runAll(works, one.endpoints, { round: 2 });
  await one.settled();
  const after = works.reduce((total, { acknowledged }) => total + acknowledged, 0);
  expect(after).toBeGreaterThanOrEqual(before + 25);
  return [...findings, ...findingsOf(works, await one.stores())];
}

describe('everything acknowledged is on both stores, once and in order, when the proxy is killed', () => {
  test.each(STEPS)('exactly at %s', async (step) => {
    const one = await stage.begin();
    const works = workOf(one.prefix);
    const proxy = await one.startProxy(step);
    const work = runAll(works, one.endpoints, { round: 1, receiveTimeoutMs: LOST_MS });
    await proxy.events.seen(step);
    await proxy.kill();
    await work;
    expect(works.some(({ done }) => done.at(-1)?.certainty === 'unanswered')).toBe(true);
    expect(await takeUp(one, works)).toEqual([]);
    await one.end();
  });

  test.each(STEPS)('soon after the ninth %s', async (step) => {
    const one = await stage.begin();
    const works = workOf(one.prefix);
    const proxy = await one.startProxy();
    const work = runAll(works, one.endpoints, { round: 1, receiveTimeoutMs: LOST_MS });
    await proxy.events.seen(step, 9);
    await proxy.kill();
    await work;
    expect(works.reduce((total, { acknowledged }) => total + acknowledged, 0)).toBeGreaterThan(0);
    expect(await takeUp(one, works)).toEqual([]);
    await one.end();
  });
});

describe('the checks notice', () => {
  const CHANGES = {
    'an item that is missing': `update memory_entries set is_active = false where memory_id = (select max(memory_id) from memory_entries where session_id = $1)`,
    'an item that is there twice': `update memory_entries set content = (select content from memory_entries where session_id = $1 and is_active order by position limit 1) where memory_id = (select max(memory_id) from memory_entries where session_id = $1 and is_active)`,
    'an order that differs': `update memory_entries set position = -position where session_id = $1 and is_active`,
    'a deleted item that is back': `update memory_entries set is_active = true where session_id = $1`,
  };
  test.each(Object.entries(CHANGES))('%s', async (_name, sql) => {
    const one = await stage.begin();
    const works = workOf(one.prefix);
    await one.startProxy();
    await runAll(works, one.endpoints, { round: 1 });
    await one.settled();
    expect(findingsOf(works, await one.stores())).toEqual([]);
    await stage.orchestratorStore.query(sql, [`${one.prefix}-s1`]);
    expect(findingsOf(works, await one.stores())).toHaveLength(1);
    await one.end();
  });
});
