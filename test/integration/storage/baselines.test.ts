import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import type { LaneKey } from '../../../src/domain/ids.ts';
import type { Database } from '../../../src/storage/database.ts';
import { PostgresBaselines } from '../../../src/storage/runs/baselines.ts';
import { startPostgres, type TestPostgres } from '../../support/postgres.ts';
import { createJournalDatabase, DATABASES } from './journal-under-test.ts';

let postgres: TestPostgres;
beforeAll(async () => {
  postgres = await startPostgres();
});
afterAll(() => postgres?.stop());

const LIST = [{ digest: 'ab'.repeat(16), atMs: 1 }];
const OTHER_LIST = [{ digest: 'cd'.repeat(16), atMs: 2 }];
const STATES = { legacy: '1:ab x', orchestrator: 'ef'.repeat(16) };

describe.each(DATABASES)('baselines on %s', (kind) => {
  let database: Database;
  let baselines: PostgresBaselines;
  let made = 0;
  beforeAll(async () => {
    database = await createJournalDatabase(kind, postgres);
    baselines = new PostgresBaselines(database);
  });
  afterAll(() => database?.close());

  async function lane(): Promise<LaneKey> {
    const key = `session-memory/${++made}` as LaneKey;
    await database.query('insert into lanes (key, service, owner) values ($1, $2, $3)', [
      key,
      'session-memory',
      String(made),
    ]);
    return key;
  }
  const summary = async (key: LaneKey) => (await baselines.summaries([key])).get(key);

  test('states that were found equal are kept beside a list, and come when the list was there before', async () => {
    const key = await lane();
    await baselines.save({ lane: key, sequence: 3, items: LIST });
    expect(await summary(key)).toMatchObject({ sequence: 3, items: 1, states: undefined });
    await baselines.save({ lane: key, sequence: 3, items: LIST, states: STATES });
    expect((await summary(key))?.states).toEqual(STATES);
  });

  test('when a list became what it is stays, until there is another one', async () => {
    const key = await lane();
    await baselines.save({ lane: key, sequence: 3, items: LIST });
    await database.query(`update lane_baselines set at = now() - interval '1 day'`);
    const { atMs: before } = (await summary(key)) ?? {};
    await baselines.save({ lane: key, sequence: 3, items: LIST, states: STATES });
    expect((await summary(key))?.atMs).toBe(before);
    await baselines.save({ lane: key, sequence: 3, items: OTHER_LIST });
    expect((await summary(key))?.atMs).toBeGreaterThan(before ?? 0);
  });

  test('they stay when another list is written down without any: what was once found equal stays true', async () => {
    const key = await lane();
    await baselines.save({ lane: key, sequence: 3, items: LIST, states: STATES });
    await baselines.save({ lane: key, sequence: 4, items: OTHER_LIST });
    expect(await summary(key)).toMatchObject({ sequence: 4, states: STATES });
    expect((await baselines.of(key))?.items).toEqual(OTHER_LIST);
  });

  test('an older list takes the place of none', async () => {
    const key = await lane();
    await baselines.save({ lane: key, sequence: 4, items: LIST, states: STATES });
    const stale = { legacy: 'x', orchestrator: 'y' };
    await baselines.save({ lane: key, sequence: 3, items: OTHER_LIST, states: stale });
    expect(await summary(key)).toMatchObject({ sequence: 4, states: STATES });
  });
});
