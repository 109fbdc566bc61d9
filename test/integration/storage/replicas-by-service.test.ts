import { randomUUID } from 'node:crypto';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { replicaId, type ServiceName } from '../../../src/domain/ids.ts';
import { createCoverageStore } from '../../../src/storage/coverage.ts';
import type { Database } from '../../../src/storage/database.ts';
import { createReplicaStore } from '../../../src/storage/replicas.ts';
import { startPostgres, type TestPostgres } from '../../support/postgres.ts';
import { DATABASES } from '../../support/tier.ts';
import { beginJournal, createJournalDatabase } from './journal-under-test.ts';

let postgres: TestPostgres;
beforeAll(async () => {
  postgres = await startPostgres();
});
afterAll(() => postgres.stop());

describe.for(DATABASES)('replicas with different services, on %s', (kind) => {
  let database: Database;
  beforeAll(async () => {
    database = await createJournalDatabase(kind, postgres);
  });
  afterAll(() => database.close());

  /** A replica that serves these, with a spill that may hold writes. */
  const join = async (services?: readonly ServiceName[]) => {
    const [store, id, spill] = [
      createReplicaStore({ database }, services),
      replicaId(randomUUID()),
      randomUUID(),
    ];
    await store.register(id, spill);
    const beat = (isSpilling: boolean) => store.heartbeat(id, { coverage: {}, shares: {}, isSpilling });
    return { id, spill, beat };
  };

  // An embedded database has one proxy.
  test.skipIf(kind === 'pglite')('a spill blocks the lanes of the services of its replica', async () => {
    const [ours, theirs] = [beginJournal(database), beginJournal(database)];
    for (const one of [ours, theirs]) await one.write('ann', 'applied');
    const [here, there] = [await join([ours.service]), await join([theirs.service])];
    const isSilent = async ({ journal, laneOf }: typeof ours) =>
      (await journal.fence(laneOf('ann')))?.isReplicaSilent;
    await here.beat(false);
    await there.beat(true);
    expect([await isSilent(ours), await isSilent(theirs)]).toEqual([false, true]);
    expect((await here.beat(false)).isAnySpilled).toBe(false);
    // One of an older version does not say what it serves.
    const old = await join();
    await old.beat(true);
    expect((await here.beat(false)).isAnySpilled).toBe(true);
    expect(await isSilent(ours)).toBe(true);
    await old.beat(false);
    await there.beat(false);
  });

  test('an abandoned spill renews the coverage of its services only', async () => {
    const [ours, theirs] = [beginJournal(database), beginJournal(database)];
    const coverage = createCoverageStore(database);
    const [before, lost] = [await coverage.begin(ours.service), await coverage.begin(theirs.service)];
    const { id, spill } = await join([theirs.service]);
    await database.query('delete from replicas where id = $1', [id]);
    await database.query("update spills set open_since = now() - interval '1 hour' where id = $1", [spill]);
    await coverage.renewAfterLoss(600);
    expect((await coverage.current(ours.service)).number).toBe(before);
    expect((await coverage.current(theirs.service)).number).toBeGreaterThan(lost);
  });
});
