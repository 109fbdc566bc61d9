import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { agentsRun, takeUp } from './crash.ts';
import { startStage, type CrashStage } from './crash-stage.ts';
import { workOf } from './crash-workload.ts';

let stage: CrashStage;
beforeAll(async () => {
  stage = await startStage();
});
afterAll(() => stage.end());

describe('lanes from before dual writes are copied, whenever the proxy is killed', () => {
  test.each(['lane:copying', 'lane:copied'])('exactly at the first %s', async (step) => {
    const one = await stage.begin({ dualWrite: false });
    const works = workOf(one.prefix);
    const proxy = await one.startProxy(step);
    await agentsRun(one, works, 1);
    one.ask(true);
    await proxy.events.seen(step);
    await proxy.kill();
    expect(await takeUp(one, works)).toEqual([]);
    await one.end();
  });

  test('soon after the third lane:copied', async () => {
    const one = await stage.begin({ dualWrite: false });
    const works = workOf(one.prefix);
    const proxy = await one.startProxy();
    await agentsRun(one, works, 1);
    one.ask(true);
    await proxy.events.seen('lane:copied', 3);
    await proxy.kill();
    expect(await takeUp(one, works)).toEqual([]);
    await one.end();
  });

  test('between the batches of a large lane', async () => {
    // Thirty batches: from the sight of the first to the kill may take the time of several.
    const count = 12_000;
    const one = await stage.begin({ dualWrite: false, memories: { user: 'big', count } });
    const proxy = await one.startProxy();
    const session = `jarvis:${one.prefix}-big`;
    const stored = async (): Promise<number> => {
      const sql = 'select count(*) as stored from memory_entries where session_id = $1 and is_active';
      const [row] = await stage.orchestratorStore.query<{ stored: number }>(sql, [session]);
      return row?.stored ?? 0;
    };
    one.ask(true);
    await proxy.events.seen('lane:copying');
    while ((await stored()) === 0) await new Promise((resolve) => setTimeout(resolve, 2));
    await proxy.kill();
    const broken = await stored();
    expect(broken).toBeGreaterThan(0);
    expect(broken).toBeLessThan(count);
    await one.startProxy();
    await one.settled();
    const { legacy, orchestrator } = await one.stores();
    expect(legacy.memories.get(`${one.prefix}-big`)).toHaveLength(count);
    expect(orchestrator.memories.get(`${one.prefix}-big`)).toEqual(legacy.memories.get(`${one.prefix}-big`));
    await one.end();
  });
});
