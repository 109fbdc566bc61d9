import { randomUUID } from 'node:crypto';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import type { Database } from '../../../src/storage/database.ts';
import { startPostgres, type TestPostgres } from '../../support/postgres.ts';
import { DATABASES } from '../../support/tier.ts';
import { beginJournal, createJournalDatabase } from './journal-under-test.ts';

let postgres: TestPostgres;
beforeAll(async () => {
  postgres = await startPostgres();
});
afterAll(() => postgres.stop());

/** The part of the older group commit that gives a write its sequence: the statement of the last version without flips. */
const OLDER_COMMIT = `
with locked as (
  insert into lanes (key, service, owner, sequence, writer_replica, claim_replica, claim_fence)
  select key, service, owner, 1, $4, $4, 1
  from unnest($1::text[], $2::text[], $3::text[]) as asked(key, service, owner) order by key
  on conflict (key) do update set
    sequence = lanes.sequence + 1,
    writer_replica = $4,
    claim_replica = $4,
    claim_fence = lanes.claim_fence + case when lanes.claim_replica = $4 then 0 else 1 end
  returning id, key, sequence
)
select * from locked`;

describe.each(DATABASES)('a proxy of an older version on %s', (kind) => {
  let database: Database;
  beforeAll(async () => {
    database = await createJournalDatabase(kind, postgres);
  });
  afterAll(() => database.close());

  const setUp = () => {
    const { journal, intent, laneOf, service } = beginJournal(database);
    const commitOlder = (owner: string) =>
      database.query<{ sequence: number }>(OLDER_COMMIT, [[laneOf(owner)], [service], [owner], randomUUID()]);
    return { journal, intent, laneOf, commitOlder };
  };

  test('cannot journal a write of a lane whose primary is the orchestrator', async () => {
    const { journal, intent, laneOf, commitOlder } = setUp();
    await journal.append(intent('ann'));
    await database.query(
      `update lanes set primary_backend = 'orchestrator', epoch = 1, obeyed_sequence = sequence where key = $1`,
      [laneOf('ann')],
    );
    await expect(commitOlder('ann')).rejects.toThrow(/lanes_primary_is_obeyed/);
    expect(await journal.append(intent('ann'))).toMatchObject({ sequence: 2, primary: 'orchestrator' });
  });

  test('journals writes of other lanes, whose flip then counts them', async () => {
    const { journal, intent, laneOf, commitOlder } = setUp();
    await journal.append(intent('ann'));
    expect(await commitOlder('ann')).toMatchObject([{ sequence: 2 }]);
    expect(await commitOlder('bob')).toMatchObject([{ sequence: 1 }]);
    const asked = database.query(`update lanes set primary_backend = 'orchestrator' where key = $1`, [
      laneOf('ann'),
    ]);
    await expect(asked).rejects.toThrow(/lanes_primary_is_obeyed/);
  });
});
