import { afterAll, beforeAll, expect, test } from 'vitest';
import { createPostgresDatabase } from '../../src/storage/database.ts';
import { eventually } from '../support/eventually.ts';
import { agentsRun, killAt } from './crash.ts';
import { type CrashCase, type CrashStage, startStage } from './crash-stage.ts';
import { findingsOf, type LaneWork, runAll, workOf } from './crash-workload.ts';

let stage: CrashStage;
beforeAll(async () => {
  stage = await startStage();
});
afterAll(() => stage?.end());

/** The keys of the lanes for which the statement returns a row. */
async function lanesOf({ journalUrl }: CrashCase, sql: string): Promise<readonly string[]> {
  const database = createPostgresDatabase({ url: journalUrl, poolSize: 1 });
  try {
    return (await database.query<{ key: string }>(sql)).map(({ key }) => key);
  } finally {
    await database.close();
  }
}

/** Makes the orchestrator the primary of every lane, as flips do. */
const FLIP = `update lanes set primary_backend = 'orchestrator', epoch = epoch + 1
  where delivered_sequence = sequence and condition = 'clean' returning key`;

/** Lanes with a write that legacy lacks, or may lack. */
const BEHIND = `select distinct key from lanes l join writes w on w.lane_id = l.id and w.sequence > l.delivered_sequence
  left join outcomes o on o.lane_id = w.lane_id and o.sequence = w.sequence
  where coalesce(o.outcome, 'applied') = 'applied'`;

async function foundWhenSettled(
  one: CrashCase,
  works: readonly LaneWork[],
  of: 'first' | 'second' = 'first',
): Promise<string[]> {
  await eventually('every write on legacy', async () => (await lanesOf(one, BEHIND)).length === 0);
  await one.settled(of);
  return findingsOf(works, await one.stores());
}

/** K11 is after the first of these steps, K12 after the second. */
test.each(['reverse:begun', 'reverse:answered', 'reverse:sent'])(
  'legacy has each acknowledged write once, in order, after a kill at %s',
  async (name) => {
    const one = await stage.begin();
    const works = workOf(one.prefix);
    const before = await one.startProxy();
    await agentsRun(one, works, 0);
    await one.settled();
    expect(await lanesOf(one, FLIP)).toHaveLength(works.length);
    await before.stop();
    const proxy = await one.startProxy(name);
    await killAt(proxy, { name }, (lost) => runAll(works, one.endpoints, { round: 1, lost }));
    await one.startProxy();
    expect(await foundWhenSettled(one, works)).toEqual([]);
    await agentsRun(one, works, 2);
    expect(await foundWhenSettled(one, works)).toEqual([]);
    await one.end();
  },
);

test.each(['reverse:begun', 'reverse:answered'])(
  'another replica sends what a killed one has not, after a kill at %s',
  async (name) => {
    const one = await stage.begin();
    const works = workOf(one.prefix);
    const before = await one.startProxy();
    await agentsRun(one, works, 0);
    await one.settled();
    expect(await lanesOf(one, FLIP)).toHaveLength(works.length);
    await before.stop();
    const proxy = await one.startProxy(name);
    await one.startSecond();
    await killAt(proxy, { name }, (lost) => runAll(works, one.endpoints, { round: 1, lost }));
    expect(await foundWhenSettled(one, works, 'second')).toEqual([]);
    await one.end();
  },
);
