import { afterAll, beforeAll, expect, test } from 'vitest';
import { createPostgresDatabase } from '../../src/storage/database.ts';
import { eventually } from '../support/eventually.ts';
import { acknowledgedIn } from './crash.ts';
import { startStage, type CrashStage } from './crash-stage.ts';
import { findingsOf, workOf } from './crash-workload.ts';

let stage: CrashStage;
beforeAll(async () => {
  stage = await startStage();
});
afterAll(() => stage.end());

const NEVER = new Promise<'unanswered'>(() => undefined);

test('both stores stay equal and ordered while replicas’ clocks jump by an hour', async () => {
  const one = await stage.begin({ jumpsClock: true });
  const replicas = [await one.startProxy(), await one.startSecond()];
  const works = workOf(one.prefix);
  for (let round = 1; round <= 6; round += 1) {
    const isFirst = round % 2 === 0;
    const lane = Promise.all(
      works.map((work) => work.run(isFirst ? one.endpoints : one.secondEndpoints, { round, lost: NEVER })),
    );
    replicas[round % 2]?.signal('SIGUSR2');
    await lane;
  }
  expect(acknowledgedIn(works)).toBeGreaterThan(works.length * 20);
  await eventually('equal stores', async () => findingsOf(works, await one.stores()).length === 0);
  await one.settled('first');
  await one.settled('second');
  expect(findingsOf(works, await one.stores())).toEqual([]);
  const journal = createPostgresDatabase({ url: one.journalUrl, poolSize: 1 });
  const [span] = await journal.query<{ hours: number }>(
    'select (extract(epoch from max(accepted_at) - min(accepted_at)) / 3600)::float8 as hours from writes',
  );
  await journal.close();
  // They did jump: the writes of a minute are an hour or two apart.
  expect(span?.hours).toBeGreaterThan(0.9);
  await one.end();
}, 120_000);
