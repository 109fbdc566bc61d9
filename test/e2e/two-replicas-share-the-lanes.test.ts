import { afterAll, beforeAll, expect, test } from 'vitest';
import { eventually } from '../support/eventually.ts';
import { acknowledgedIn, killAt } from './crash.ts';
import { startStage, type CrashCase, type CrashStage } from './crash-stage.ts';
import { findingsOf, workOf, type LaneWork, type Round } from './crash-workload.ts';

let stage: CrashStage;
beforeAll(async () => {
  stage = await startStage();
});
afterAll(() => stage.end());

/** The promise is ten seconds on a machine of one's own; this one is shared. */
const TAKEN_OVER_WITHIN_MS = 20_000;

const NEVER = new Promise<'unanswered'>(() => undefined);

/** Every lane is written through one replica in even rounds, through the other in odd ones; neighbours through different ones. */
function share(one: CrashCase, works: readonly LaneWork[], round: Round): Promise<unknown> {
  return Promise.all(
    works.map((work, index) => {
      const isFirst = (round.round + index) % 2 === 0;
      return work.run(isFirst ? one.endpoints : one.secondEndpoints, round);
    }),
  );
}

/** What one replica wrote and the other must deliver is on its way for a moment that no status shows. */
function isEqual(one: CrashCase, works: readonly LaneWork[]): Promise<unknown> {
  return eventually('equal stores', async () => findingsOf(works, await one.stores()).length === 0);
}

test('lanes that two replicas write to in turn hold everything once and in order', async () => {
  const one = await stage.begin();
  await one.startProxy();
  await one.startSecond();
  const works = [...workOf(one.prefix), ...workOf(`${one.prefix}-b`)];
  for (let round = 1; round <= 6; round += 1) await share(one, works, { round, lost: NEVER });
  expect(acknowledgedIn(works)).toBeGreaterThan(works.length * 20);
  await isEqual(one, works);
  await one.settled('first');
  await one.settled('second');
  expect(findingsOf(works, await one.stores())).toEqual([]);
  await one.end();
});

test('open and waiting work of a killed replica is taken over within ten seconds', async () => {
  const one = await stage.begin();
  await one.startProxy();
  const second = await one.startSecond();
  const works = workOf(one.prefix);
  await share(one, works, { round: 1, lost: NEVER });
  await killAt(second, { name: 'write:recorded', count: 12 }, async (lost) => {
    for (let round = 2; round <= 4; round += 1) await share(one, works, { round, lost });
  });
  const killedAtMs = performance.now();
  await eventually('the survivor to know that it is alone', async () => {
    const { live, silent } = (await one.settled('first')).replicas;
    return live + silent === 1;
  });
  await isEqual(one, works);
  expect(performance.now() - killedAtMs).toBeLessThan(TAKEN_OVER_WITHIN_MS);
  expect(findingsOf(works, await one.stores())).toEqual([]);
  const before = acknowledgedIn(works);
  for (const work of works) await work.run(one.endpoints, { round: 9, lost: NEVER });
  expect(acknowledgedIn(works) - before).toBeGreaterThan(works.length * 4);
  await isEqual(one, works);
  await one.end();
});
