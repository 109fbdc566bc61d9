import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import type { LaneKey } from '../../../src/domain/ids.ts';
import type { Database } from '../../../src/storage/database.ts';
import { PostgresBaselines } from '../../../src/storage/runs/baselines.ts';
import { startPostgres, type TestPostgres } from '../../support/postgres.ts';
import { beginJournal, createJournalDatabase, present } from './journal-under-test.ts';
import { DATABASES } from '../../support/tier.ts';

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

  test('equal states are stored with a list, also with an existing one', async () => {
    const key = await lane();
    await baselines.save({ lane: key, sequence: 3, items: LIST });
    expect(await summary(key)).toMatchObject({ sequence: 3, items: 1, states: undefined });
    await baselines.save({ lane: key, sequence: 3, items: LIST, states: STATES });
    expect((await summary(key))?.states).toEqual(STATES);
  });

  test('the time of a list stays until there is another list', async () => {
    const key = await lane();
    await baselines.save({ lane: key, sequence: 3, items: LIST });
    await database.query(`update lane_baselines set at = now() - interval '1 day'`);
    const { atMs: before } = (await summary(key)) ?? {};
    await baselines.save({ lane: key, sequence: 3, items: LIST, states: STATES });
    expect((await summary(key))?.atMs).toBe(before);
    await baselines.save({ lane: key, sequence: 3, items: OTHER_LIST });
    expect((await summary(key))?.atMs).toBeGreaterThan(before ?? 0);
  });

  test('equal states stay if another list is written without any', async () => {
    const key = await lane();
    await baselines.save({ lane: key, sequence: 3, items: LIST, states: STATES });
    await baselines.save({ lane: key, sequence: 4, items: OTHER_LIST });
    expect(await summary(key)).toMatchObject({ sequence: 4, states: STATES });
    expect((await baselines.of(key))?.items).toEqual(OTHER_LIST);
  });

  test('an older list replaces nothing', async () => {
    const key = await lane();
    await baselines.save({ lane: key, sequence: 4, items: LIST, states: STATES });
    const stale = { legacy: 'x', orchestrator: 'y' };
    await baselines.save({ lane: key, sequence: 3, items: OTHER_LIST, states: stale });
    expect(await summary(key)).toMatchObject({ sequence: 4, states: STATES });
  });

  test('a finished copy stores its list, an overtaken one does not', async () => {
    const { journal, laneOf, state } = beginJournal(database);
    const key = laneOf('ann');
    const { generation } = present(await journal.beginCopy(key));
    const facts = { generation, sequence: 0, coverage: 1, exceptions: [] };
    await journal.finishCopy(key, { ...facts, baseline: LIST });
    expect(await state('ann')).toMatchObject({ condition: 'clean', seededCoverage: 1 });
    expect((await baselines.of(key))?.items).toEqual(LIST);
    await baselines.save({ lane: key, sequence: 0, items: LIST, states: STATES });

    present(await journal.beginCopy(key));
    expect(await journal.finishCopy(key, { ...facts, baseline: OTHER_LIST })).toBeUndefined();
    expect((await baselines.of(key))?.items).toEqual(LIST);
    await journal.finishCopy(key, { ...facts, generation: generation + 1, baseline: [] });
    expect(await summary(key)).toMatchObject({ items: 0, states: STATES });
  });

  test('a copy with exceptions keeps the previous list', async () => {
    const { journal, laneOf } = beginJournal(database);
    const [key, other] = [laneOf('ann'), laneOf('bob')];
    for (const lane of [key, other]) await journal.beginCopy(lane);
    const facts = { generation: 1, sequence: 0, coverage: 1, exceptions: [] };
    await Promise.all([
      journal.finishCopy(key, facts),
      journal.finishCopy(other, { ...facts, baseline: LIST }),
    ]);
    expect(await summary(key)).toBeUndefined();
    expect((await baselines.of(other))?.items).toEqual(LIST);
  });

  test('finished copies and other list writes do not wait for each other', async () => {
    const { journal, laneOf } = beginJournal(database);
    const others = new PostgresBaselines(database);
    const keys = Array.from({ length: 40 }, (_, index) => laneOf(`owner-${index}`));
    for (let generation = 1; generation <= 25; generation += 1) {
      await Promise.all(keys.map((key) => journal.beginCopy(key)));
      if (generation % 5 === 0) await database.query('delete from lane_baselines');
      const facts = { generation, sequence: generation, coverage: 1, exceptions: [], baseline: LIST };
      await Promise.all([
        ...keys.map((key) => journal.finishCopy(key, facts)),
        ...keys.toReversed().map((lane) => others.save({ lane, sequence: generation, items: OTHER_LIST })),
      ]);
    }
    expect((await baselines.summaries(keys)).size).toBe(keys.length);
  });
});
