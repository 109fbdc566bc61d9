import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { serviceName, type Owner } from '../../../src/domain/ids.ts';
import { createAuditStore } from '../../../src/storage/audit.ts';
import type { Database } from '../../../src/storage/database.ts';
import { createLatchStore } from '../../../src/storage/latches.ts';
import { createReportFactStore } from '../../../src/storage/reports/report-facts.ts';
import { createDivergenceStore, createLostItemStore } from '../../../src/storage/runs/divergences.ts';
import { startPostgres, type TestPostgres } from '../../support/postgres.ts';
import { DATABASES } from '../../support/tier.ts';
import { beginJournal, createJournalDatabase, present } from './journal-under-test.ts';

const SERVICE = serviceName('session-memory');
const SIDE = { items: 1, digest: '0'.repeat(32) };
const DAY_MS = 86_400_000;
const [again, better] = ['again', 'better'] as readonly string[] as readonly [Owner, Owner];

let postgres: TestPostgres;
beforeAll(async () => {
  postgres = await startPostgres();
});
afterAll(() => postgres?.stop());

describe.each(DATABASES)('findings on %s', (kind) => {
  let database: Database;
  beforeAll(async () => {
    database = await createJournalDatabase(kind, postgres);
  });
  afterAll(() => database?.close());

  test('a lane that differs in every run counts once, and never as equal', async () => {
    const store = createDivergenceStore(database);
    const findings = [{ side: 'orchestrator', kind: 'altered' }] as const;
    const found = {
      service: SERVICE,
      findings,
      before: SIDE,
      after: SIDE,
      state: 'open',
      generation: 0,
      epoch: 0,
    } as const;
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

  /** A lane that is seeded and clean, as a finished copy leaves it. */
  async function seededLane(owner: string) {
    const { journal, service, laneOf } = beginJournal(database);
    const lane = laneOf(owner);
    const { generation } = present(await journal.beginCopy(lane));
    await journal.finishCopy(lane, { generation, sequence: 0, coverage: 1, exceptions: [] });
    const store = createDivergenceStore(database);
    const facts = { service, owner: owner as Owner, before: SIDE, after: SIDE, generation, epoch: 0 };
    const differs = {
      ...facts,
      findings: [{ side: 'orchestrator', kind: 'altered' }],
      state: 'open',
    } as const;
    const finding = async (): Promise<number> => (await journal.fence(lane))?.state.finding ?? 0;
    const stands = async () => (await store.standing()).get(service) ?? { lanes: 0, items: 0 };
    const stateIn = async (run: number) =>
      (await store.ofRun(run, 100)).find((one) => one.service === service)?.state;
    const copy = async (isRepair: boolean) => {
      const state = present(await journal.beginCopy(lane));
      const finished = { generation: state.generation, sequence: 0, coverage: 1, exceptions: [], isRepair };
      return present(await journal.finishCopy(lane, finished)).finding;
    };
    const flip = () =>
      database.query("update lanes set primary_backend = 'orchestrator', epoch = epoch + 1 where key = $1", [
        lane,
      ]);
    const counts = () => journal.counts(service);
    const names = { store, service, owner: owner as Owner };
    return { ...names, facts, differs, finding, stands, stateIn, copy, flip, counts };
  }

  test('a finding fences its lane until the lane is equal again', async () => {
    const { store, service, owner, differs, finding, stands } = await seededLane('equal');
    const [told] = await store.add(7, differs);
    expect(told).toMatchObject({ service, owner });
    expect(await finding()).toBe(told?.finding);
    expect(await finding()).toBeGreaterThan(0);
    expect(await stands()).toMatchObject({ lanes: 1, fencedLanes: 1, items: 1, run: 7 });

    expect(await store.equal(service, [owner])).toEqual([{ service, owner, finding: -(told?.finding ?? 0) }]);
    expect(await finding()).toBe(-(told?.finding ?? 0));
    expect(await stands()).toMatchObject({ lanes: 0, items: 0 });
  });

  test('a copy settles a finding; a repair settles it after the comparison', async () => {
    const { store, service, owner, differs, finding, stands, stateIn, copy } = await seededLane('copied');
    await store.add(1, differs);
    expect(await copy(true)).toBeGreaterThan(0);
    await store.resolve(service, owner, 'repaired');
    expect(await finding()).toBeLessThan(0);

    const { generation } = differs;
    await store.add(2, { ...differs, generation: generation + 1 });
    expect(await finding()).toBeGreaterThan(0);
    expect(await copy(false)).toBeLessThan(0);
    expect(await stands()).toMatchObject({ lanes: 0 });
    expect(await stateIn(2)).toBe('copied');
  });

  test('a comparison from before a later copy is ignored', async () => {
    const { store, differs, finding, stands, copy } = await seededLane('stale');
    await copy(false);
    await store.add(1, differs);
    expect(await finding()).toBeLessThanOrEqual(0);
    expect(await stands()).toMatchObject({ lanes: 0 });
  });

  test('a difference of a flipped lane counts against legacy, and lowers no reads', async () => {
    const { store, service, owner, differs, finding, stands, stateIn, flip, counts } =
      await seededLane('flipped');
    await flip();
    await store.add(1, { ...differs, epoch: 1 });
    expect(await stateIn(1)).toBe('legacy_differs');
    expect(await finding()).toBe(0);
    expect(await stands()).toMatchObject({ lanes: 0, items: 0 });
    expect(await counts()).toMatchObject({ lanes: 1, flipped: 1, seeded: 1, differs: 0, legacyDiffers: 1 });
    expect((await createLatchStore(database).state()).troubled.get(service)).toMatchObject({
      legacyDiffers: 1,
      stores: { lanes: 0 },
    });
    expect(await store.open(1, service)).toEqual([]);
    const by = { person: 'ann', reason: 'a foreign writer' };
    expect(await store.accept(service, owner, by)).toMatchObject({ result: 'accepted' });
    expect(await counts()).toMatchObject({ legacyDiffers: 0 });
    await store.add(2, { ...differs, epoch: 1 });
    expect(await stateIn(2)).toBe('accepted');
    await store.add(3, { ...differs, epoch: 1, findings: [{ side: 'legacy', kind: 'added' }] });
    expect(await counts()).toMatchObject({ legacyDiffers: 1 });
    await store.equal(service, [owner]);
    expect(await counts()).toMatchObject({ legacyDiffers: 0 });
  });

  test('a comparison from before a flip is ignored', async () => {
    const { store, differs, finding, stateIn, flip, counts } = await seededLane('flipped-since');
    await flip();
    await store.add(1, differs);
    expect([await stateIn(1), await finding()]).toEqual(['gone', 0]);
    expect(await counts()).toMatchObject({ differs: 0, legacyDiffers: 0 });
  });

  test('lost items and never copied lanes are counted, and fence no lane', async () => {
    const { store, facts, finding, stands } = await seededLane('lost');
    const findings = [{ side: 'legacy', kind: 'lost' }] as const;
    await store.add(1, { ...facts, findings, state: 'lost' });
    expect(await finding()).toBe(0);
    expect(await stands()).toMatchObject({ lanes: 1, fencedLanes: 0, items: 0 });
    await store.add(1, { ...facts, findings: [{ side: 'unknown', kind: 'not_seeded' }], state: 'open' });
    expect(await finding()).toBe(0);
    expect(await stands()).toMatchObject({ lanes: 1, fencedLanes: 0 });
  });

  test('an accepted difference stays accepted while it is the same', async () => {
    const { store, service, owner, differs, finding, stands, stateIn } = await seededLane('accepted');
    const by = { person: 'ann', reason: 'known' };
    expect(await store.accept(service, owner, by)).toEqual({ result: 'none' });
    await store.add(1, differs);
    expect(await store.accept(service, owner, by)).toMatchObject({ result: 'accepted', run: 1, findings: 1 });
    expect(await finding()).toBeLessThan(0);
    expect(await stands()).toMatchObject({ lanes: 0 });
    const [audited] = await createAuditStore(database).recent({ limit: 1, service });
    expect(audited).toMatchObject({ ...by, command: 'repair accept', details: { owner, run: 1 } });

    await store.add(2, differs);
    expect(await stateIn(2)).toBe('accepted');
    expect(await finding()).toBeLessThan(0);
    await store.add(3, { ...differs, findings: [{ side: 'orchestrator', kind: 'removed' }] });
    expect(await finding()).toBeGreaterThan(0);
    expect(await stands()).toMatchObject({ lanes: 1, run: 3 });
  });

  test('a lane with lost items can be accepted after their decisions', async () => {
    const { store, service, owner, facts, finding } = await seededLane('both');
    const findings = [
      { side: 'legacy', kind: 'lost' },
      { side: 'orchestrator', kind: 'altered' },
    ] as const;
    await store.add(1, { ...facts, findings, state: 'lost' });
    expect(await finding()).toBeGreaterThan(0);
    const lost = createLostItemStore(database);
    await lost.found(service, owner, [{ memoryId: 'm', digest: 'd', position: 1 }]);
    const by = { person: 'ann', reason: 'known' };
    expect(await store.accept(service, owner, by)).toEqual({ result: 'lost_first' });
    await lost.accept({ service, owner, memoryId: 'm' }, by);
    expect(await store.accept(service, owner, by)).toMatchObject({ result: 'accepted' });
    expect(await finding()).toBeLessThan(0);
  });

  test('an item that legacy loses again after it was restored waits for a decision again', async () => {
    const { service, owner } = await seededLane('again');
    const lost = createLostItemStore(database);
    const item = { memoryId: 'm', digest: 'd', position: 1 };
    const name = { service, owner, memoryId: 'm' };
    const by = { person: 'ann', reason: 'back' };
    await lost.found(service, owner, [item]);
    expect(await lost.beginRestoring(name, by)).toBe(true);
    await lost.endRestoring(name, true);
    expect(await lost.waiting(service, owner)).toEqual([]);
    await lost.found(service, owner, [item]);
    expect(await lost.waiting(service, owner)).toMatchObject([item]);
    expect(await lost.decided(service, owner)).toEqual([]);
    await lost.accept(name, by);
    await lost.found(service, owner, [item]);
    expect(await lost.waiting(service, owner)).toEqual([]);
  });

  test('findings are compared with the size of the last full reconciliation', async () => {
    const { store, service, differs } = await seededLane('size');
    await store.add(1, differs);
    expect((await store.standing()).get(service)).toMatchObject({ items: 1, full: null });
    await database.query('insert into coverage (service) values ($1)', [service]);
    const finished = async (request: object, lanes: number, survey: object = {}) => {
      const [run] = await database.query<{ id: number }>(
        `insert into runs (kind, request, state, finished_at, survey)
         values ('reconcile', $1::jsonb, 'finished', clock_timestamp(), $2::jsonb) returning id`,
        [JSON.stringify(request), JSON.stringify({ [service]: survey })],
      );
      await database.query(
        'insert into run_counters (run_id, service, lanes, counts) values ($1, $2, $3, $4::jsonb)',
        [run?.id, service, lanes, JSON.stringify({ items: lanes * 10, lanes_not_comparable: 2 })],
      );
      return run?.id;
    };
    await finished({}, 50);
    const full = await finished({ scope: 'full' }, 100);
    await finished({ scope: 'changed' }, 7);
    await finished({ owner: 'size' }, 1);
    await finished({}, 0, { not_listed: 'the store was away' });
    expect((await store.standing()).get(service)?.full).toEqual({
      run: full,
      lanes: 100,
      items: 1_000,
      notComparable: 2,
    });
  });
});
