import { afterAll, beforeAll, expect, test } from 'vitest';
import { acknowledgedIn, killAt } from './crash.ts';
import { startStage, type CrashCase, type CrashStage } from './crash-stage.ts';
import { findingsOf, workOf, type LaneWork, type Round } from './crash-workload.ts';

let stage: CrashStage;
beforeAll(async () => {
  stage = await startStage();
});
afterAll(() => stage.end());

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

test('lanes that two replicas write to in turns hold everything once and in order', async () => {
  const one = await stage.begin();
  await one.startProxy();
  await one.startSecond();
  const works = [...workOf(one.prefix), ...workOf(`${one.prefix}-b`)];
  for (let round = 1; round <= 6; round += 1) await share(one, works, { round, lost: NEVER });
  await one.settled('first');
  await one.settled('second');
  expect(acknowledgedIn(works)).toBeGreaterThan(works.length * 20);
  expect(findingsOf(works, await one.stores())).toEqual([]);
  await one.end();
});

test('what a killed replica had open or waiting is taken over by the other within ten seconds', async () => {
  const one = await stage.begin();
  await one.startProxy();
  const second = await one.startSecond();
  const works = workOf(one.prefix);
  await share(one, works, { round: 1, lost: NEVER });
  await killAt(second, { name: 'write:settled', count: 12 }, async (lost) => {
    for (let round = 2; round <= 4; round += 1) await share(one, works, { round, lost });
  });
  const killedAtMs = performance.now();
  const { replicas } = await one.settled('first');
  expect(performance.now() - killedAtMs).toBeLessThan(10_000);
  expect(replicas).toEqual({ live: 1, silent: 0 });
  expect(findingsOf(works, await one.stores())).toEqual([]);
  const before = acknowledgedIn(works);
  for (const work of works) await work.run(one.endpoints, { round: 9, lost: NEVER });
  expect(acknowledgedIn(works) - before).toBeGreaterThan(works.length * 4);
  await one.settled('first');
  expect(findingsOf(works, await one.stores())).toEqual([]);
  await one.end();
});
