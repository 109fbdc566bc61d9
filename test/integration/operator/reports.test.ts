import { randomUUID } from 'node:crypto';
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, test } from 'vitest';
import { replicaId, serviceName, type ReplicaId, type ServiceName } from '../../../src/domain/ids.ts';
import { noCounts } from '../../../src/engine/guard/guard-counts.ts';
import type { MadeReport, ReportTarget } from '../../../src/engine/report/report-ports.ts';
import type { Deliver } from '../../../src/operator/report/deliver-report.ts';
import { spanOf } from '../../../src/operator/report/calendar-day.ts';
import { DailyReports } from '../../../src/operator/report/daily-reports.ts';
import { createSchedule } from '../../../src/operator/report/schedule.ts';
import type { Database } from '../../../src/storage/database.ts';
import { createMinuteStore } from '../../../src/storage/evidence.ts';
import { createReportFactStore } from '../../../src/storage/reports/report-facts.ts';
import { createReportStore } from '../../../src/storage/reports/reports.ts';
import { eventually } from '../../support/eventually.ts';
import { startPostgres, type TestPostgres } from '../../support/postgres.ts';
import { createJournalDatabase } from '../storage/journal-under-test.ts';
import { DATABASES } from '../../support/tier.ts';

const NOW_MS = Date.UTC(2026, 10, 21, 6, 0, 30);
const INSTALLED = '2026-11-18T12:00:00Z';
/** Of these days reports are owed: the first one is of the day of the installation. */
const OWED = ['2026-11-18', '2026-11-19', '2026-11-20'];

const SERVICES = [serviceName('session-memory')];

let postgres: TestPostgres;

beforeAll(async () => {
  postgres = await startPostgres();
});

afterAll(() => postgres.stop());

const reportOf = (date: string, by: string): MadeReport => ({
  date,
  failedCriteria: 2,
  texts: { html: `<p>${by}</p>`, md: by, json: `{"by":"${by}"}` },
  totals: { 'a b': 7 },
  services: SERVICES,
  isWhole: true,
});

describe.each(DATABASES)('on %s', (kind) => {
  let database: Database;
  let running: DailyReports[];
  let made: { readonly date: string; readonly by: ReplicaId }[];
  let taken: { readonly date: string; readonly target: ReportTarget }[];
  let problems: string[];

  beforeAll(async () => {
    database = await createJournalDatabase(kind, postgres);
    await database.query('update schema_steps set applied_at = $1', [INSTALLED]);
  });

  afterAll(() => database.close());

  beforeEach(async () => {
    await database.script('delete from reports; delete from replicas');
    [running, made, taken, problems] = [[], [], [], []];
  });

  afterEach(async () => {
    await Promise.all(running.map((dailyReports) => dailyReports.stop()));
  });

  async function newReplica(isAlive = true): Promise<ReplicaId> {
    const id = replicaId(randomUUID());
    const seconds = isAlive ? -3_600 : 60;
    await database.query(
      'insert into replicas (id, heartbeat_at) values ($1, now() - make_interval(secs => $2))',
      [id, seconds],
    );
    return id;
  }

  interface Differing {
    readonly services?: readonly ServiceName[];
    readonly make?: (date: string) => Promise<MadeReport>;
    readonly deliver?: Deliver;
    readonly keepDays?: number;
  }

  async function dailyReports({
    services = SERVICES,
    make,
    deliver,
    keepDays = 30,
  }: Differing = {}): Promise<DailyReports> {
    const by = await newReplica();
    const deliverTo =
      (target: ReportTarget): Deliver =>
      async (report) => {
        const problem = await deliver?.(report);
        if (problem === undefined) taken.push({ date: report.date, target });
        return problem;
      };
    const one = new DailyReports({
      store: createReportStore(database),
      facts: createReportFactStore(database),
      make:
        make ??
        (async (date) => {
          made.push({ date, by });
          await new Promise((resolve) => setTimeout(resolve, 20));
          return reportOf(date, by);
        }),
      schedule: createSchedule('0 6 * * *', 'UTC'),
      zone: 'UTC',
      services,
      keepDays,
      deliveries: new Map([
        ['webhook', deliverTo('webhook')],
        ['folder', deliverTo('folder')],
      ]),
      replica: { id: by },
      // Looks again soon.
      clock: {
        now: () => performance.now(),
        wallMs: () => NOW_MS,
        sleep: (_, signal) =>
          new Promise((resolve) => {
            const timer = setTimeout(resolve, 20);
            signal?.addEventListener('abort', () => (clearTimeout(timer), resolve()), { once: true });
          }),
      },
      onProblem: (problem) => problems.push(problem),
    });
    running.push(one);
    await one.start();
    return one;
  }

  const dates = async (): Promise<string[]> =>
    (await createReportStore(database).list(100)).map(({ date }) => date).toReversed();

  test('replicas that race make each report once and deliver it once per target', async () => {
    const offices = await Promise.all([dailyReports(), dailyReports(), dailyReports()]);
    await eventually('all is delivered', () => taken.length >= 2 * OWED.length);
    // Time enough for a second one.
    await new Promise((resolve) => setTimeout(resolve, 200));
    expect(made.map(({ date }) => date)).toEqual(OWED);
    expect(await dates()).toEqual(OWED);
    const names = taken.map(({ date, target }) => `${date} ${target}`);
    expect(names).toHaveLength(2 * OWED.length);
    expect(new Set(names).size).toBe(names.length);
    await eventually('all know of it', () => offices.every((one) => one.counts().lastMadeAtMs !== undefined));
    expect(problems).toEqual([]);
  });

  test('a dead replica’s claim is taken over, and a live one’s is respected', async () => {
    const store = createReportStore(database);
    const [living, dead] = [await newReplica(), await newReplica(false)];
    expect(await store.claim('2026-11-19', living, SERVICES)).toBe(true);
    expect(await store.claim('2026-11-20', dead, SERVICES)).toBe(true);
    await dailyReports();
    await eventually('the others are delivered', () => taken.length >= 4);
    expect(await dates()).toEqual(['2026-11-18', '2026-11-20']);
    // The dead one comes back: its report is of no use any more.
    expect(await store.put(reportOf('2026-11-20', 'late'), dead, ['webhook'])).toBe(false);
    await database.query("update replicas set heartbeat_at = now() - interval '1 minute' where id = $1", [
      living,
    ]);
    await eventually('the third is there', async () => (await dates()).length === 3);
  });

  test('a failed delivery is retried by any replica until it succeeds', async () => {
    let tries = 0;
    const failing = await dailyReports({
      deliver: async () => (++tries > 3 ? undefined : 'it answered 503'),
    });
    const failures = async () =>
      (await database.query<{ sum: number }>('select sum(failures)::int as sum from report_deliveries'))[0]
        ?.sum;
    await eventually('it failed, and that is written down', async () => (await failures()) === 3);
    await database.query('update report_deliveries set not_before = now()');
    await eventually('all is delivered', () => taken.length === 2 * OWED.length);
    expect([...failing.counts().failedDeliveries.values()].reduce((sum, count) => sum + count, 0)).toBe(3);
    expect(problems[0]).toBe('the report of 2026-11-18 did not reach its folder: it answered 503');
    expect(await failures()).toBe(3);
  });

  test('proxies with different services add theirs to one report', async () => {
    const store = createReportStore(database);
    const [session, jarvis] = [serviceName('session-memory'), serviceName('jarvis-memory')];
    const addingTo = (service: ServiceName) => async (date: string) => {
      const text = (await store.read(date, 'md')) ?? '';
      const services = [...text.split(' '), service].filter((name) => name !== '');
      const isWhole = services.length === 2;
      return { ...reportOf(date, services.join(' ')), services, isWhole };
    };
    const first = await dailyReports({ services: [session], make: addingTo(session) });
    await eventually('the first has made all', async () => (await dates()).length === 3);
    await first.stop();
    // A minute is left for the other proxy.
    expect(taken).toEqual([]);
    await dailyReports({ services: [jarvis], make: addingTo(jarvis) });
    await eventually('all is delivered', () => taken.length === 2 * OWED.length);
    for (const date of OWED) expect(await store.read(date, 'md')).toBe('session-memory jarvis-memory');
    await dailyReports({ services: [session, jarvis], make: addingTo(jarvis) });
    // Time enough for a third one.
    await new Promise((resolve) => setTimeout(resolve, 200));
    expect(taken).toHaveLength(2 * OWED.length);
    expect(problems).toEqual([]);
  });

  test('a delivered report is delivered again after another proxy has added to it', async () => {
    await dailyReports();
    await eventually('all is delivered', () => taken.length === 2 * OWED.length);
    const jarvis = serviceName('jarvis-memory');
    const make = async (date: string) => ({
      ...reportOf(date, 'both'),
      services: [...SERVICES, jarvis],
    });
    await dailyReports({ services: [jarvis], make });
    await eventually('all is delivered again', () => taken.length === 4 * OWED.length);
  });

  test('services of departed proxies are not waited for', async () => {
    const store = createReportStore(database);
    const [living, dead] = [await newReplica(), await newReplica(false)];
    const serves = 'update replicas set services = $2::text[] where id = $1';
    await database.query(serves, [living, ['jarvis-memory', 'session-memory']]);
    await database.query(serves, [dead, ['contextual-memory']]);
    expect(await store.servedElsewhere(SERVICES)).toEqual(['jarvis-memory']);
  });

  test('a report that could not be made is made later', async () => {
    let tries = 0;
    await dailyReports({
      make: async (date) => {
        tries += 1;
        if (tries < 3) throw new Error('the database was away');
        return reportOf(date, 'at last');
      },
    });
    await eventually('all are there', async () => (await dates()).length === 3);
    expect(problems).toHaveLength(2);
  });

  test('reports are read in every format with their totals, and expire', async () => {
    const store = createReportStore(database);
    const replica = await newReplica();
    await store.claim('2026-11-20', replica, SERVICES);
    expect(await store.read('2026-11-20', 'md')).toBeUndefined();
    expect(await store.list(10)).toEqual([]);
    await store.put(reportOf('2026-11-20', 'ann'), replica, []);
    expect(await store.read('2026-11-20', 'html')).toBe('<p>ann</p>');
    expect(await store.totals('2026-11-20')).toEqual({ 'a b': 7 });
    expect(await store.totals('2026-11-19')).toBeUndefined();
    await store.prune('2026-11-20');
    expect(await store.list(10)).toHaveLength(1);
    await store.prune('2026-11-21');
    expect(await store.list(10)).toEqual([]);
  });

  test('a day that is no longer kept is neither made nor delivered again', async () => {
    const store = createReportStore(database);
    const replica = await newReplica();
    await store.claim('2026-11-18', replica, SERVICES);
    await store.put(reportOf('2026-11-18', 'ann'), replica, []);
    const one = await dailyReports({ keepDays: 2 });
    await eventually('what is kept is delivered', () => taken.length >= 4);
    await eventually('the old one is gone', async () => !(await dates()).includes('2026-11-18'));
    await one.stop();
    await dailyReports({ keepDays: 2 });
    // Time enough for an old one to come again.
    await new Promise((resolve) => setTimeout(resolve, 200));
    expect(made.map(({ date }) => date)).toEqual(['2026-11-19', '2026-11-20']);
    expect(new Set(taken.map(({ date }) => date))).toEqual(new Set(['2026-11-19', '2026-11-20']));
    expect(taken).toHaveLength(4);
  });

  test('the facts of a day are those between its two midnights', async () => {
    const service = serviceName('session-memory');
    const span = spanOf('2026-11-20', 'Europe/Berlin');
    const minutes = createMinuteStore(database);
    const counts = (operations: number) => ({
      ...noCounts(),
      operations,
      added: [operations, ...Array(12).fill(0)],
    });
    const row = (minuteMs: number, operations: number) => ({
      service,
      action: 'get_context',
      minuteMs,
      counts: counts(operations),
    });
    const HOUR_MS = 3_600_000;
    for (const replica of [await newReplica(), await newReplica()])
      await minutes.write(replica, [
        row(span.fromMs - 60_000, 1_000),
        row(span.fromMs, 1),
        row(span.fromMs + HOUR_MS - 60_000, 2),
        row(span.fromMs + HOUR_MS, 4),
        row(span.toMs - 60_000, 8),
        row(span.toMs, 1_000),
      ]);
    const day = await createReportFactStore(database).of(service, span);
    expect(day.hours.map(({ hour, counts: { operations, added } }) => [hour, operations, added[0]])).toEqual([
      [0, 6, 6],
      [1, 8, 8],
      [23, 16, 16],
    ]);
    expect(day).toMatchObject({
      letters: { open: 0, lanes: 0, added: 0 },
      backlog: { writes: 0, oldestSeconds: 0 },
      coverage: { beganAtMs: null, endedInDay: 0 },
      lastFull: null,
      trips: [],
    });
    expect(await createReportFactStore(database).installedAtMs()).toBe(Date.parse(INSTALLED));
  });

  test('a day has records if a minute was counted, a change made, or a run finished', async () => {
    const facts = createReportFactStore(database);
    const has = (day: string) => facts.hasRecords(spanOf(day, 'Europe/Berlin'));
    await createMinuteStore(database).write(await newReplica(), [
      {
        service: serviceName('session-memory'),
        action: 'get_context',
        minuteMs: Date.parse('2026-10-01T21:59:00Z'),
        counts: noCounts(),
      },
    ]);
    await database.query(
      `insert into audit (at, person, command, service, reason) values ('2026-10-03T22:00:00Z', 'ann', 'flags set', 'all', 'why')`,
    );
    await database.query(
      `insert into runs (kind, request, state, finished_at, survey, report)
       values ('reconcile', '{}', 'finished', '2026-10-05T21:59:59Z', '{}', '{}')`,
    );
    const days = ['01', '02', '03', '04', '05', '06'].map((day) => `2026-10-${day}`);
    expect(await Promise.all(days.map(has))).toEqual([true, false, false, true, true, false]);
  });

  test('runs, trips, dead letters and changes count for their own service and day', async () => {
    const [service, other] = [serviceName('session-memory'), serviceName('jarvis-memory')];
    const span = spanOf('2026-11-20', 'UTC');
    const inside = '2026-11-20T12:00:00Z';
    for (const [id, at] of [
      [service, inside],
      [other, inside],
      [service, '2026-11-21T00:00:00Z'],
    ] as const) {
      const run = JSON.stringify({ services: { [id]: { lanes: 9, lanes_different: 2, skipped: [] } } });
      await database.query(
        `insert into runs (kind, request, state, finished_at, survey, report)
         values ('reconcile', jsonb_build_object('services', jsonb_build_array($1::text)), 'finished', $2, '{}', $3::jsonb)`,
        [id, at, run],
      );
      await database.query(
        `insert into latches (service, finding, replica, tripped_at, cool_down_until, released_at)
         values ($1, '{"trigger": "errors"}', $2, $3, $3, $3)`,
        [id, randomUUID(), at],
      );
      await database.query(
        "insert into audit (service, at, person, command, reason) values ($1, $2, 'ann', 'guard release', 'x')",
        [id, at],
      );
    }
    const day = await createReportFactStore(database).of(service, span);
    expect(day.runs).toMatchObject([
      { kind: 'reconcile', scope: 'full', counts: { lanes: 9, lanes_different: 2 } },
    ]);
    expect(day.runs[0]?.counts).not.toHaveProperty('skipped');
    expect(day.lastFull?.finishedAtMs).toBe(Date.parse('2026-11-21T00:00:00Z'));
    expect(day.trips).toMatchObject([{ trigger: 'errors', action: null, trippedAtMs: Date.parse(inside) }]);
    expect(day.audited).toEqual([{ command: 'guard release', count: 1 }]);
  });
});
