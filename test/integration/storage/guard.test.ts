import { randomUUID } from 'node:crypto';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { replicaId, serviceName, type ServiceName } from '../../../src/domain/ids.ts';
import type { Finding } from '../../../src/engine/ports/finding.ts';
import { noCounts } from '../../../src/engine/guard/guard-counts.ts';
import { auditedServices } from '../../../src/engine/ports/run.ts';
import { createAuditStore } from '../../../src/storage/audit.ts';
import { createComparedSince, createSummedMinutes } from '../../../src/storage/summed-minutes.ts';
import type { Database } from '../../../src/storage/database.ts';
import { createEvidenceStore, createMinuteStore } from '../../../src/storage/evidence.ts';
import { createInterlockStore } from '../../../src/storage/interlocks.ts';
import { createLatchStore } from '../../../src/storage/latches.ts';
import { createTripBundleStore } from '../../../src/storage/trip-bundles.ts';
import { createReportFactStore } from '../../../src/storage/reports/report-facts.ts';
import { startPostgres, type TestPostgres } from '../../support/postgres.ts';
import { DATABASES } from '../../support/tier.ts';
import { beginJournal, createJournalDatabase } from './journal-under-test.ts';

let postgres: TestPostgres;

beforeAll(async () => {
  postgres = await startPostgres();
});

afterAll(async () => {
  await postgres.stop();
});

const REPLICA = replicaId(randomUUID());
const ANN = { person: 'ann', reason: 'it was the deployment' };
const MINUTE_MS = Date.UTC(2026, 0, 2, 3, 4);

let made = 0;
const newService = (): ServiceName => serviceName(`guarded-${++made}`);

function findingOf(service: ServiceName): Finding {
  return {
    service,
    trigger: 'inconsistency',
    steps: ['reads_to_legacy'],
    action: 'get_context',
    detail: '1m',
    numbers: { hits: 5, of: 10, lower_bound: 0.123, limit: 0.001 },
  };
}

describe.each(DATABASES)('on %s', (kind) => {
  let database: Database;

  beforeAll(async () => {
    database = await createJournalDatabase(kind, postgres);
  });

  afterAll(async () => {
    await database.close();
  });

  const trip = (service: ServiceName, firstCoolDownMs = 0) =>
    createLatchStore(database).trip(findingOf(service), { replica: REPLICA, firstCoolDownMs });

  test('concurrent trips set one latch, and all see it', async () => {
    const service = newService();
    const trips = await Promise.all(Array.from({ length: 5 }, () => trip(service)));
    expect(trips.filter(({ isNew }) => isNew)).toHaveLength(1);
    expect(new Set(trips.map(({ latch }) => latch.id)).size).toBe(1);
    const { open } = await createLatchStore(database).state();
    expect(open.filter((latch) => latch.service === service)).toEqual([trips[0]?.latch]);
    expect(trips[0]?.latch).toMatchObject({ finding: findingOf(service), replica: REPLICA });
  });

  test('a trip says how many lanes it does not move', async () => {
    const { service, write, laneOf } = beginJournal(database);
    for (const owner of ['ann', 'bob', 'eve']) await write(owner, 'applied');
    await database.query("update lanes set primary_backend = 'orchestrator' where key = any($1::text[])", [
      [laneOf('ann'), laneOf('bob')],
    ]);
    expect(await trip(service)).toMatchObject({ flippedLanes: 2 });
  });

  test('a release needs a person and a reason, and is audited', async () => {
    const service = newService();
    const store = createLatchStore(database);
    const { latch } = await trip(service);
    expect(await store.release(service, ANN)).toEqual({ result: 'released', latch });
    expect(await store.release(service, ANN)).toEqual({ result: 'not_latched' });
    const { open, releasedAtMs } = await store.state();
    expect(open.filter((one) => one.service === service)).toEqual([]);
    expect(releasedAtMs.get(service)).toBeGreaterThanOrEqual(latch.trippedAtMs);
    const [entry] = await createAuditStore(database).recent({ limit: 1 });
    expect(entry).toMatchObject({ ...ANN, service, command: 'guard release', details: { latch: latch.id } });
  });

  test('a trip is audited once, with its trigger', async () => {
    const service = newService();
    const [{ latch }] = await Promise.all([trip(service), trip(service)]);
    const entries = await createAuditStore(database).recent({ service, limit: 10 });
    expect(entries).toHaveLength(1);
    expect(entries[0]).toMatchObject({ person: 'guard', command: 'guard trip', reason: 'inconsistency' });
    expect(entries[0]?.details).toMatchObject({ latch: latch.id, action: 'get_context', hits: 5, of: 10 });
  });

  test('an act on several services is one entry, found for each of them', async () => {
    const [first, second, other] = [newService(), newService(), newService()];
    const store = createAuditStore(database);
    await store.add({ ...ANN, command: 'runs begin', ...auditedServices([first, second], { run: 1 }) });
    for (const service of [first, second]) {
      const entries = await store.recent({ service, limit: 10 });
      expect(entries.map(({ details }) => details)).toEqual([{ run: 1, services: [first, second] }]);
    }
    expect(await store.recent({ service: other, limit: 10 })).toEqual([]);
  });

  test('comparisons since an instant are counted over all replicas and actions', async () => {
    const [service, minutes] = [newService(), createMinuteStore(database)];
    const counts = { ...noCounts(), comparable: 10, mismatches: 2 };
    const row = { service, minuteMs: MINUTE_MS, counts };
    await minutes.write(REPLICA, [
      { ...row, action: 'get_context' },
      { ...row, action: 'search', minuteMs: MINUTE_MS - 60_000 },
    ]);
    await minutes.write(replicaId(randomUUID()), [{ ...row, action: 'search' }]);
    const since = createComparedSince(database);
    const of = async (fromMs: number) => (await since(fromMs)).find((one) => one.service === service);
    expect(await of(MINUTE_MS)).toEqual({ service, compared: 20, differ: 4 });
    expect(await of(MINUTE_MS - 60_000)).toEqual({ service, compared: 30, differ: 6 });
    expect(await of(MINUTE_MS + 60_000)).toBeUndefined();
  });

  test('minutes are summed in steps, over all replicas', async () => {
    const [service, minutes] = [newService(), createMinuteStore(database)];
    const counts = { ...noCounts(), operations: 3 };
    const row = { service, action: 'get_context', counts };
    const offsets = [0, 1, 10];
    await minutes.write(
      REPLICA,
      offsets.map((offset) => ({ ...row, minuteMs: MINUTE_MS + offset * 60_000 })),
    );
    await minutes.write(replicaId(randomUUID()), [{ ...row, minuteMs: MINUTE_MS }]);
    const summed = await createSummedMinutes(database)(service, { fromMs: MINUTE_MS, stepSeconds: 600 });
    expect(summed.map(({ step, counts: { operations } }) => [step, operations])).toEqual([
      [0, 9],
      [1, 3],
    ]);
    expect(summed[0]?.counts.added).toEqual(noCounts().added);
  });

  test('no latch is released before its cool-down, which doubles with each trip', async () => {
    const service = newService();
    const store = createLatchStore(database);
    await trip(service);
    await store.release(service, ANN);
    const { latch } = await trip(service, 60_000);
    expect(Math.round((latch.coolDownUntilMs - latch.trippedAtMs) / 1_000)).toBe(120);
    expect(await store.release(service, ANN)).toEqual({ result: 'too_early', latch });
    expect((await store.state()).open.map(({ id }) => id)).toContain(latch.id);
  });

  test('flags that a trip switched off are stored once, audited, and shown later', async () => {
    const service = newService();
    const store = createLatchStore(database);
    const { latch } = await trip(service);
    const flags = [`crossfade.${service}.read-cutover`];
    expect(await store.areFlagsDue(latch.id)).toBe(true);
    await Promise.all(
      [flags, ['later'], []].map((off) => store.flagsAreOff(latch.id, { service, flags: off })),
    );
    expect(await store.areFlagsDue(latch.id)).toBe(false);
    const entries = await createAuditStore(database).recent({ service, limit: 10 });
    expect(entries.map(({ command }) => command)).toEqual(['flags off', 'guard trip']);
    expect(entries[0]).toMatchObject({ person: 'guard', command: 'flags off', reason: 'inconsistency' });
    const open = (await store.state()).open.find(({ id }) => id === latch.id);
    expect(entries[0]?.details).toEqual({ latch: latch.id, flags: open?.flagsOff });
    expect(await store.release(service, ANN)).toEqual({ result: 'released', latch: open });
  });

  test('after a release no flag is due any more', async () => {
    const service = newService();
    const store = createLatchStore(database);
    const { latch } = await trip(service);
    expect((await store.release(service, ANN)).result).toBe('released');
    expect(await store.areFlagsDue(latch.id)).toBe(false);
  });

  test('bundles are listed newest first, replaced, and limited per service', async () => {
    const [service, other] = [newService(), newService()];
    const bundles = createTripBundleStore(database, { keep: 2 });
    const { latch: others } = await trip(other);
    await bundles.put(others, '"other"');
    const latches = [];
    for (const text of ['"first"', '"second"', '"third, ä"']) {
      const { latch } = await trip(service);
      await bundles.put(latch, '"begun"');
      await bundles.put(latch, text);
      await createLatchStore(database).release(service, ANN);
      latches.push(latch.id);
    }
    const [first = 0, second = 0, third = 0] = latches;
    expect((await bundles.list()).map(({ latch }) => latch)).toEqual([third, second, others.id]);
    const [head] = await bundles.list();
    expect(head).toMatchObject({ service, trigger: 'inconsistency', bytes: 11 });
    expect(Math.abs((head?.atMs ?? 0) - Date.now())).toBeLessThan(60_000);
    expect(await Promise.all([first, third, others.id].map((id) => bundles.read(id)))).toEqual([
      undefined,
      '"third, ä"',
      '"other"',
    ]);
  });

  test('lanes with dead letters or lost items are shown with their ages', async () => {
    const { journal, service, write, laneOf } = beginJournal(database);
    for (const owner of ['ann', 'bob']) {
      const ref = await write(owner, 'applied');
      await journal.deadLetter({ ref, code: 'validation_error', reason: 'no' });
    }
    await write('eve', 'applied');
    await journal.stopLane(laneOf('eve'), 'lost');
    await database.query(
      `update dead_letters set at = now() - interval '6 minutes' where lane_id = (select id from lanes where key = $1)`,
      [laneOf('bob')],
    );
    const troubled = (await createLatchStore(database).state()).troubled.get(service);
    expect(troubled?.lost).toBe(1);
    const ages = troubled?.deadLetterAgesMs.toSorted((a, b) => a - b) ?? [];
    expect(ages).toHaveLength(2);
    expect(ages[0]).toBeLessThan(60_000);
    expect(ages[1]).toBeGreaterThanOrEqual(360_000);
    await database.query('update dead_letters set resolved_at = now()');
    expect((await createLatchStore(database).state()).troubled.get(service)?.deadLetterAgesMs).toEqual([]);
  });

  test('a minute that is written twice is stored once, with its last counts', async () => {
    const store = createMinuteStore(database);
    const service = newService();
    const row = { service, action: 'get_context', minuteMs: MINUTE_MS };
    await store.write(REPLICA, [{ ...row, counts: { ...noCounts(), comparable: 3 } }]);
    await store.write(REPLICA, [{ ...row, counts: { ...noCounts(), comparable: 7, mismatches: 1 } }]);
    const other = replicaId(randomUUID());
    await store.write(other, [{ ...row, minuteMs: MINUTE_MS + 60_000, counts: noCounts() }]);
    const rows = (await store.since(MINUTE_MS)).filter((one) => one.service === service);
    expect(rows.map(({ replica }) => replica)).toEqual([REPLICA, other]);
    expect(rows[0]).toEqual({
      ...row,
      replica: REPLICA,
      counts: { ...noCounts(), comparable: 7, mismatches: 1 },
    });
    await store.prune(MINUTE_MS + 60_000);
    expect((await store.since(MINUTE_MS)).filter((one) => one.service === service)).toHaveLength(1);
  });

  test('evidence adds up, and is reset by another definition', async () => {
    const store = createEvidenceStore(database);
    const service = newService();
    const row = { service, action: 'get_context', digest: 'one' };
    const evidence = { comparable: 10, errors: 2, mismatches: 1, laneComparable: 7, laneMismatches: 4 };
    await Promise.all([1, 2, 3].map(() => store.add([{ ...row, evidence }])));
    const sum = { comparable: 30, errors: 6, mismatches: 3, laneComparable: 21, laneMismatches: 12 };
    expect(await store.of(service, () => 'one')).toEqual(new Map([['get_context', sum]]));
    expect(await store.of(service, () => 'two')).toEqual(new Map());
  });

  test('interlocks see replicas, lanes and the oldest delivery', async () => {
    const { service, write, journal } = beginJournal(database);
    const store = createInterlockStore(database);
    const delivered = await write('ann', 'applied');
    await journal.delivered(delivered);
    await write('bob', 'applied');
    await write('eve', 'refused');
    await database.query(
      `update writes set accepted_at = now() - interval '1 minute' where lane_id in (select id from lanes where service = $1)`,
      [service],
    );
    await database.query('insert into replicas (id, coverage) values ($1, $2::jsonb), ($3, $4::jsonb)', [
      randomUUID(),
      JSON.stringify({ [service]: 4 }),
      randomUUID(),
      JSON.stringify({ [service]: 3 }),
    ]);
    const facts = await store.facts(service, 4);
    expect(facts).toMatchObject({ replicas: 2, acting: 1, lanes: 3, unseeded: 3, unwell: 0 });
    expect(facts.oldestDeliverySeconds).toBeGreaterThanOrEqual(60);
    expect(facts.oldestDeliverySeconds).toBeLessThan(90);
    await journal.markDirty(delivered.lane, 'unknown_outcome');
    expect(await store.facts(service, 0)).toMatchObject({ unseeded: 0, unwell: 1, acting: 0 });
    await database.query("update replicas set heartbeat_at = now() - interval '6 seconds'");
    expect((await store.facts(service, 4)).replicas).toBe(0);
  });

  test('interlocks see lanes on legacy, writers without the proxy, and versions', async () => {
    const { service, write } = beginJournal(database);
    const store = createInterlockStore(database);
    await write('ann', 'applied');
    await write('bob', 'applied');
    await database.query('delete from replicas');
    const none = { lanesNotFlipped: 2, reverseBacklog: 0, bypassedAgoSeconds: null };
    expect(await store.facts(service, 1)).toMatchObject({ versions: 0, ends: none });
    for (const version of ['1-a', '1-a', '1-b'])
      await database.query(
        `insert into replicas (id, versions, heartbeat_at) values ($1, $2, now() - interval '1 hour')`,
        [randomUUID(), JSON.stringify({ [service]: version })],
      );
    await database.query(
      `update lanes set primary_backend = 'orchestrator', obeyed_sequence = sequence where service = $1 and owner = 'ann'`,
      [service],
    );
    await database.query(
      `update writes set accepted_at = now() - interval '1 minute' where lane_id in (select id from lanes where service = $1)`,
      [service],
    );
    expect(await store.facts(service, 1)).toMatchObject({
      replicas: 0,
      versions: 2,
      ends: { lanesNotFlipped: 1, reverseBacklog: 1, bypassedAgoSeconds: null },
    });
    await database.query('delete from replicas where versions ? $1', [service]);
    const found = (findings: readonly object[]) =>
      database.query(
        `insert into divergences (run_id, service, owner, found_at, findings, before, after)
         values (1, $1, 'ann', now() - interval '1 hour', $2, '{}', '{}')`,
        [service, JSON.stringify(findings)],
      );
    // What legacy lost, or what changed on the orchestrator, is no writer without the proxy.
    await found([
      { side: 'legacy', kind: 'lost' },
      { side: 'orchestrator', kind: 'altered' },
    ]);
    expect((await store.facts(service, 1)).ends.bypassedAgoSeconds).toBeNull();
    await database.query(`update divergences set state = 'gone' where service = $1`, [service]);
    await found([{ side: 'legacy', kind: 'added' }]);
    expect((await store.facts(service, 1)).ends.bypassedAgoSeconds).toBeCloseTo(3_600, -2);
    await database.query(
      `insert into foreign_changes (service, owner, kind, digest, changes, found_at)
       values ($1, 'bob', 'reader', 'r', '{}', now()), ($1, 'bob', 'writer', 'w', '{}', now() - interval '1 minute')`,
      [service],
    );
    expect((await store.facts(service, 1)).ends.bypassedAgoSeconds).toBeCloseTo(60, -1.5);
  });

  test('the last day shows unknown actions, and the number of comparisons', async () => {
    const service = newService();
    const minutes = createMinuteStore(database);
    const now = Date.now();
    const counts = { ...noCounts(), comparable: 5, independent: 4, bothErrors: 2, operations: 9 };
    await minutes.write(REPLICA, [
      { service, action: 'other', minuteMs: now, counts },
      { service, action: 'get_context', minuteMs: now, counts },
      { service, action: 'get_context', minuteMs: now - 60_000, counts },
      { service, action: 'get_context', minuteMs: now - 25 * 3_600_000, counts },
    ]);
    const facts = await createInterlockStore(database).facts(service, 1);
    expect(facts.unclassified).toBe(9);
    // Ten minutes at least: a day has 144 times as many.
    expect(facts.traffic.get('get_context')?.comparablePerDay).toBeCloseTo(8 * 144);
    expect(facts.traffic.get('get_context')?.notErrorsPerDay).toBeCloseTo(6 * 144);
    expect(facts.lanesPerDay).toBe(0);
  });

  test('whole lanes are counted separately from an action’s own answers', async () => {
    const service = newService();
    const counts = { ...noCounts(), comparable: 50, independent: 40, wholeLanes: 30, bothErrors: 5 };
    await createMinuteStore(database).write(REPLICA, [
      { service, action: 'get_context', minuteMs: Date.now(), counts },
      { service, action: 'search', minuteMs: Date.now(), counts: { ...counts, wholeLanes: 1 } },
    ]);
    const { traffic, lanesPerDay } = await createInterlockStore(database).facts(service, 1);
    expect(traffic.get('get_context')?.comparablePerDay).toBeCloseTo(10 * 144);
    expect(lanesPerDay).toBeCloseTo(31 * 144);
  });

  test.each([
    { hoursAgo: 1 / 3, perDay: 72 * 41 },
    { hoursAgo: 12, perDay: 2 * 41 },
    { hoursAgo: 23.9, perDay: 41 },
  ])('traffic since $hoursAgo h ago is $perDay per day', async ({ hoursAgo, perDay }) => {
    const service = newService();
    const counts = { ...noCounts(), comparable: 41, independent: 41, operations: 41 };
    const minuteMs = Date.now() - hoursAgo * 3_600_000;
    await createMinuteStore(database).write(REPLICA, [{ service, action: 'get_context', minuteMs, counts }]);
    const { traffic } = await createInterlockStore(database).facts(service, 1);
    const { comparablePerDay = 0 } = traffic.get('get_context') ?? {};
    // A minute is stored by its beginning.
    expect(Math.abs(comparablePerDay / perDay - 1)).toBeLessThan(0.06);
  });

  test('a run that left a service out has neither copied nor compared it', async () => {
    const service = newService();
    const store = createInterlockStore(database);
    const finished = (kind: string, found: object): Promise<unknown> =>
      database.query(
        `insert into runs (kind, request, state, finished_at, survey)
         values ($1, jsonb_build_object('services', jsonb_build_array($2::text)), 'finished', now(), jsonb_build_object($2::text, $3::jsonb))`,
        [kind, service, JSON.stringify(found)],
      );
    const lastFull = async () =>
      (await createReportFactStore(database).of(service, { fromMs: 0, toMs: Date.now() })).lastFull;
    await database.query('insert into coverage (service) values ($1)', [service]);
    for (const kind of ['backfill', 'reconcile']) await finished(kind, { not_listed: 'it is not whole' });
    expect(await store.facts(service, 1)).toMatchObject({ isBackfillRun: false, reconciledAgoSeconds: null });
    expect(await lastFull()).toBeNull();
    for (const kind of ['backfill', 'reconcile']) await finished(kind, { lanes: 1 });
    expect(await store.facts(service, 1)).toMatchObject({
      isBackfillRun: true,
      reconciledAgoSeconds: expect.any(Number) as number,
    });
    expect(await lastFull()).not.toBeNull();
  });

  test('granted percentages and acceptances survive a restart', async () => {
    const store = createInterlockStore(database);
    const service = newService();
    const grant = { flag: 'read-cutover', action: 'get_context', percentage: 25 } as const;
    await store.grant(service, [{ ...grant, percentage: 10 }]);
    await store.grant(service, [grant, { flag: 'read-cutover', action: '', percentage: 25 }]);
    const grants = await store.grants(service);
    expect(grants).toHaveLength(2);
    expect(grants).toContainEqual(grant);
    await store.accept({ service, subject: 'action:search', ...ANN });
    expect(await store.accepted(service)).toEqual(new Set(['action:search']));
    const [entry] = await createAuditStore(database).recent({ limit: 1 });
    expect(entry).toMatchObject({ command: 'guard accept', service, details: { subject: 'action:search' } });
  });
});
