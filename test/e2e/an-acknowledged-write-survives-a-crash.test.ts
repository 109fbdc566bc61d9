import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { acknowledgedIn, agentsRun, killAt, takeUp } from './crash.ts';
import { startStage, type CrashStage } from './crash-stage.ts';
import { findingsOf, runAll, workOf } from './crash-workload.ts';

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

describe('everything acknowledged is on both stores, once and in order, when the proxy is killed', () => {
  test.each(STEPS)('exactly at %s', async (name) => {
    const one = await stage.begin();
    const works = workOf(one.prefix);
    const proxy = await one.startProxy(name);
    await killAt(proxy, { name }, (lost) => runAll(works, one.endpoints, { round: 1, lost }));
    expect(works.some(({ done }) => done.at(-1)?.certainty === 'unanswered')).toBe(true);
    expect(await takeUp(one, works)).toEqual([]);
    await one.end();
  });

  test.each(STEPS)('soon after the ninth %s', async (name) => {
    const one = await stage.begin();
    const works = workOf(one.prefix);
    const proxy = await one.startProxy();
    await killAt(proxy, { name, count: 9 }, (lost) => runAll(works, one.endpoints, { round: 1, lost }));
    expect(acknowledgedIn(works)).toBeGreaterThan(0);
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
    await agentsRun(one, works, 1);
    await one.settled();
    expect(findingsOf(works, await one.stores())).toEqual([]);
    await stage.orchestratorStore.query(sql, [`${one.prefix}-s1`]);
    expect(findingsOf(works, await one.stores())).toHaveLength(1);
    await one.end();
  });
});
