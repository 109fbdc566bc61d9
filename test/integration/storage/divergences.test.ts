import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { serviceName, type Owner } from '../../../src/domain/ids.ts';
import type { Database } from '../../../src/storage/database.ts';
import { createReportFactStore } from '../../../src/storage/reports/report-facts.ts';
import { createDivergenceStore } from '../../../src/storage/runs/divergences.ts';
import { startPostgres, type TestPostgres } from '../../support/postgres.ts';
import { createJournalDatabase, DATABASES } from './journal-under-test.ts';

const SERVICE = serviceName('session-memory');
const SIDE = { items: 1, digest: '0'.repeat(32) };
const DAY_MS = 86_400_000;
const [again, better] = ['again', 'better'] as readonly string[] as readonly [Owner, Owner];

let postgres: TestPostgres;
beforeAll(async () => {
  postgres = await startPostgres();
});
afterAll(() => postgres?.stop());

describe.each(DATABASES)('divergences on %s', (kind) => {
  let database: Database;
  beforeAll(async () => {
    database = await createJournalDatabase(kind, postgres);
  });
  afterAll(() => database?.close());

  test('a lane that is found unequal run after run is one, and is not equal again', async () => {
    const store = createDivergenceStore(database);
    const findings = [{ side: 'orchestrator', kind: 'altered' }] as const;
    const found = { service: SERVICE, findings, before: SIDE, after: SIDE, state: 'open' } as const;
    for (const run of [1, 2, 3]) await store.add(run, { ...found, owner: again });
    await store.add(1, { ...found, owner: better });
    await store.equal(SERVICE, [better]);

    const now = Date.now();
    const span = { fromMs: now - DAY_MS, toMs: now + DAY_MS };
    const { divergences } = await createReportFactStore(database).of(SERVICE, span);
    expect(divergences).toMatchObject({ open: 1, found: 2, gone: 1 });

    const states = (await store.ofRun(1, 10)).map(({ owner, state, foundAgainBy }) => [
      owner,
      state,
      foundAgainBy,
    ]);
    expect(states).toEqual([
      [again, 'gone', 2],
      [better, 'gone', null],
    ]);
  });
});
