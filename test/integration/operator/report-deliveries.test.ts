import { randomUUID } from 'node:crypto';
import { setTimeout as sleep } from 'node:timers/promises';
import { afterAll, afterEach, beforeAll, beforeEach, expect, test } from 'vitest';
import { replicaId } from '../../../src/domain/ids.ts';
import type { ReportStore } from '../../../src/engine/report/report-ports.ts';
import { DailyReports } from '../../../src/operator/report/daily-reports.ts';
import { createSchedule } from '../../../src/operator/report/schedule.ts';
import type { Database } from '../../../src/storage/database.ts';
import { createReportFactStore } from '../../../src/storage/reports/report-facts.ts';
import { createReportStore } from '../../../src/storage/reports/reports.ts';
import { eventually } from '../../support/eventually.ts';
import { startPostgres, type TestPostgres } from '../../support/postgres.ts';
import { createJournalDatabase } from '../storage/journal-under-test.ts';

const NOW_MS = Date.UTC(2026, 10, 21, 6, 0, 30);
const OWED = ['2026-11-18', '2026-11-19', '2026-11-20'];

let postgres: TestPostgres;
let database: Database;
let running: DailyReports | undefined;
let taken: string[];
let problems: string[];

beforeAll(async () => {
  postgres = await startPostgres();
  database = await createJournalDatabase('postgres', postgres);
  await database.query("update schema_steps set applied_at = '2026-11-18T12:00:00Z'");
});

afterAll(async () => {
  await database.close();
  await postgres.stop();
});

beforeEach(async () => {
  await database.script('delete from reports; delete from replicas');
  [taken, problems] = [[], []];
});

afterEach(() => running?.stop());

async function start(store: ReportStore, oddDate?: string): Promise<void> {
  const id = replicaId(randomUUID());
  await database.query("insert into replicas (id, heartbeat_at) values ($1, now() + interval '1 hour')", [
    id,
  ]);
  running = new DailyReports({
    store,
    facts: createReportFactStore(database),
    make: async (date) => {
      if (date === oddDate) throw new Error('there is something odd in it');
      return {
        date,
        failedCriteria: 0,
        texts: { html: 'x', md: 'x', json: '{}' },
        totals: {},
        services: [],
        isWhole: true,
      };
    },
    schedule: createSchedule('0 6 * * *', 'UTC'),
    zone: 'UTC',
    services: [],
    keepDays: 30,
    deliveries: new Map([['folder', async ({ date }) => void taken.push(date)]]),
    replica: { id },
    // Looks again soon.
    clock: { now: () => performance.now(), wallMs: () => NOW_MS, sleep: () => sleep(20) },
    onProblem: (problem) => problems.push(problem),
  });
  await running.start();
}

test('a delivery that could not be recorded as done is tried again', async () => {
  let tries = 0;
  const store = createReportStore(database);
  await start({
    ...store,
    delivered: async (delivery) => {
      if (tries++ === 0) throw new Error('the database was away');
      await store.delivered(delivery);
    },
  });
  await eventually('all is written down', async () => {
    const open = await database.query('select from report_deliveries where delivered_at is null');
    return tries > OWED.length && open.length === 0;
  });
  expect(taken).toEqual(['2026-11-18', ...OWED]);
  expect(problems).toEqual(['a report could not be delivered yet: the database was away']);
});

test.each(OWED)('a report that cannot be made does not block the others: %s', async (odd) => {
  await start(createReportStore(database), odd);
  await eventually('the others are delivered', () => taken.length === 2);
});
