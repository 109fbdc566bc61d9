import { randomUUID } from 'node:crypto';
import { afterAll, beforeAll, beforeEach, describe, expect, test } from 'vitest';
import { replicaId, serviceName, type Owner, type ReplicaId } from '../../../src/domain/ids.ts';
import type { ListedLane } from '../../../src/engine/runs/run-work.ts';
import { EMPTY_TALLY, type RunRequest } from '../../../src/engine/ports/run.ts';
import type { Database } from '../../../src/storage/database.ts';
import { createDivergenceStore, createLostItemStore } from '../../../src/storage/runs/divergences.ts';
import { PostgresRunStore } from '../../../src/storage/runs/runs.ts';
import { startPostgres, type TestPostgres } from '../../support/postgres.ts';
import { createJournalDatabase } from './journal-under-test.ts';
import { DATABASES } from '../../support/tier.ts';

let postgres: TestPostgres;
beforeAll(async () => {
  postgres = await startPostgres();
});
afterAll(() => postgres?.stop());

const SERVICE = serviceName('session-memory');
const REQUEST: RunRequest = { services: [SERVICE], scope: 'full' };
const OTHER = serviceName('jarvis-memory');
const listed = (...names: readonly string[]): ListedLane[] => owners(...names).map((owner) => ({ owner }));
const owners = (...names: readonly string[]): Owner[] => names as readonly string[] as Owner[];

describe.each(DATABASES)('runs on %s', (kind) => {
  let database: Database;
  let store: PostgresRunStore;
  beforeAll(async () => {
    database = await createJournalDatabase(kind, postgres);
    store = new PostgresRunStore(database);
  });
  afterAll(() => database?.close());

  /** A replica that lives, as long as nobody waits for its lease to end. */
  async function replica(): Promise<ReplicaId> {
    const id = replicaId(randomUUID());
    await database.query(
      'insert into replicas (id, heartbeat_at) values ($1, now() + make_interval(days => 1))',
      [id],
    );
    return id;
  }

  /** One run of a kind is under way at a time: what a test leaves is in the way of the next. */
  async function endAll(): Promise<void> {
    for (const { id } of await store.open())
      await store.change(id, { from: ['listing', 'running'], to: 'failed' });
  }
  beforeEach(endAll);

  async function running(...pages: readonly (readonly Owner[])[]): Promise<number> {
    const run = (await store.create('reconcile', REQUEST))?.id ?? 0;
    for (const page of pages) await store.addLanes(run, SERVICE, listed(...page));
    await store.cutPages(run, SERVICE, pages[0]?.length ?? 1);
    await store.change(run, { from: ['listing'], to: 'running' });
    return run;
  }

  test('a page belongs to a live replica, which can claim it again', async () => {
    const [first, second] = [await replica(), await replica()];
    const run = await running(owners('a', 'b'));
    expect(await store.claimPage(run, first, [])).toMatchObject({ page: 1, attempts: 1 });
    expect(await store.claimPage(run, second, [])).toBeUndefined();
    // Its database was away when it wanted to give the page back.
    expect(await store.claimPage(run, first, [])).toMatchObject({ page: 1, attempts: 2 });
    await database.query("update replicas set heartbeat_at = now() - interval '1 hour' where id = $1", [
      first,
    ]);
    expect(await store.claimPage(run, second, [])).toMatchObject({ page: 1, attempts: 3 });
  });

  test('no page of a stopped run is claimed', async () => {
    const me = await replica();
    const run = await running(owners('a'), owners('b'));
    expect(await store.claimPage(run, me, [])).toMatchObject({ page: 1 });
    await store.change(run, { from: ['running'], to: 'stopped', reason: 'it surprised' });
    expect(await store.claimPage(run, me, [1])).toBeUndefined();
    await store.change(run, { from: ['stopped'], to: 'running' });
    expect(await store.claimPage(run, me, [1])).toMatchObject({ page: 2 });
  });

  test('a replica with pages claims further ones, and none twice', async () => {
    const me = await replica();
    const run = await running(owners('a'), owners('b'), owners('c'));
    expect(await store.claimPage(run, me, [])).toMatchObject({ page: 1 });
    expect(await store.claimPage(run, me, [1])).toMatchObject({ page: 2, attempts: 1 });
    expect(await store.claimPage(run, me, [1, 2])).toMatchObject({ page: 3, attempts: 1 });
    expect(await store.claimPage(run, me, [1, 2, 3])).toBeUndefined();
    expect(await store.claimPage(run, me, [1, 3])).toMatchObject({ page: 2, attempts: 2 });
  });

  test('a run’s progress is known without reading its pages, and a page counts once', async () => {
    const [me, other] = [await replica(), await replica()];
    const run = await running(owners('a', 'b'), owners('c'));
    const tally = (digest: string, lanes: number, more: Readonly<Record<string, number>> = {}) => ({
      counts: { lanes, ...more },
      digest: digest.padStart(32, '0'),
      skipped: [{ owner: 'a', reason: 'it is too long' }],
      samples: [],
    });
    expect(await store.progress(run)).toEqual({ lanes: 3, lanesDone: 0, services: {} });
    const [first, second] = [await store.claimPage(run, me, []), await store.claimPage(run, me, [1])];
    if (first === undefined || second === undefined) throw new Error('a page was not there to be claimed');
    // One of its lanes is at home with another replica.
    await store.finishPage(first, tally('f'.repeat(32), 1), new Map([[other, owners('b')]]));
    await store.finishPage(first, tally('f'.repeat(32), 1), new Map());
    expect(await store.progress(run)).toMatchObject({ lanes: 3, lanesDone: 1 });
    await store.finishPage(second, tally('3', 1, { items: 5 }), new Map());
    await database.query('update run_pages set result = null where run_id = $1', [run]);
    expect(await store.progress(run)).toEqual({
      lanes: 3,
      lanesDone: 2,
      services: { [SERVICE]: { counts: { lanes: 2, items: 5 }, digest: '2'.padStart(32, '0') } },
    });
  });

  test('an interrupted and repeated listing counts once', async () => {
    const me = await replica();
    const anew = (await store.create('reconcile', REQUEST))?.id ?? 0;
    await store.addLanes(anew, SERVICE, listed('a'));
    await store.cutPages(anew, SERVICE, 10);
    await store.addLanes(anew, SERVICE, listed('c'));
    await store.claimListing(anew, me);
    await store.addLanes(anew, SERVICE, listed('b'));
    expect(await store.cutPages(anew, SERVICE, 10)).toBe(1);
    expect(await store.progress(anew)).toMatchObject({ lanes: 1 });
  });

  test('lanes are processed by activity, otherwise in listing order, each once', async () => {
    const me = await replica();
    const run = (await store.create('backfill', REQUEST))?.id ?? 0;
    await store.addLanes(run, SERVICE, [...listed('unknown'), { owner: 'old' as Owner, newestAtMs: 10 }]);
    await store.addLanes(run, SERVICE, [
      { owner: 'new' as Owner, newestAtMs: 20 },
      ...listed('later', 'old'),
    ]);
    await store.addLanes(run, OTHER, listed('others'));
    expect(await store.cutPages(run, SERVICE, 3)).toBe(4);
    expect(await store.cutPages(run, OTHER, 3)).toBe(1);
    await store.change(run, { from: ['listing'], to: 'running' });
    const [first, second, third] = [
      await store.claimPage(run, me, []),
      await store.claimPage(run, me, [1]),
      await store.claimPage(run, me, [1, 2]),
    ];
    expect(first).toMatchObject({ service: SERVICE, owners: ['new', 'old', 'unknown'] });
    expect(second).toMatchObject({ service: SERVICE, owners: ['later'] });
    expect(third).toMatchObject({ service: OTHER, owners: ['others'] });
    expect(await store.progress(run)).toMatchObject({ lanes: 5 });
  });

  test('a service with an incomplete listing is not processed', async () => {
    const run = (await store.create('backfill', REQUEST))?.id ?? 0;
    await store.addLanes(run, SERVICE, listed('a'));
    await store.surveyed(run, SERVICE, { not_listed: 'half a file' });
    expect(await store.cutPages(run, SERVICE, 3)).toBe(0);
  });

  test('the results of all pages are summed, with the exceptions', async () => {
    const me = await replica();
    const run = await running(owners('a', 'b'), owners('c'));
    for (let page = await store.claimPage(run, me, []); page; page = await store.claimPage(run, me, []))
      await store.finishPage(
        page,
        {
          ...EMPTY_TALLY,
          counts: { lanes_left: 1 },
          skipped: [{ owner: String(page.page), reason: 'gone' }],
        },
        new Map(),
      );
    expect((await store.tallies(run))[SERVICE]).toMatchObject({
      counts: { lanes_left: 2 },
      skipped: [{ owner: '1' }, { owner: '2' }],
    });
  });

  test('a finding of a lane is superseded once a later run finds the lane different', async () => {
    const side = { items: 1, digest: '0'.repeat(32) };
    const divergences = createDivergenceStore(database);
    const find = (run: number, owner: string) =>
      divergences.add(run, {
        service: OTHER,
        owner: owner as Owner,
        findings: [{ side: 'orchestrator', kind: 'altered' }],
        before: side,
        after: side,
        state: 'open',
        generation: 0,
        epoch: 0,
      });
    const first = await running();
    for (const owner of ['again', 'equal', 'open']) await find(first, owner);
    await divergences.equal(OTHER, owners('equal'));
    await endAll();
    const second = await running();
    await find(second, 'again');
    expect(await store.standing([first, second, second + 1])).toEqual(
      new Map([
        [first, { unresolved: 1, superseded: 1, undone: 0, lost: 0, flipped: 0 }],
        [second, { unresolved: 1, superseded: 0, undone: 0, lost: 0, flipped: 0 }],
      ]),
    );
    await divergences.equal(OTHER, owners('again', 'open'));
    expect((await store.standing([first])).get(first)).toMatchObject({ unresolved: 0, superseded: 1 });
  });

  test('the figures show active runs, the last end, and unresolved findings', async () => {
    const before = await store.figures();
    expect(before.kinds.find((one) => one.kind === 'reconcile')).toEqual({
      kind: 'reconcile',
      open: 0,
      lanes: 0,
      lanesDone: 0,
      finishedAtMs: null,
    });
    const run = await running(owners('a', 'b'), owners('c'));
    const me = await replica();
    const page = await store.claimPage(run, me, []);
    if (page !== undefined) await store.finishPage(page, EMPTY_TALLY, new Map());
    await store.create('backfill', { services: [SERVICE] });
    const side = { items: 1, digest: '0'.repeat(32) };
    await createDivergenceStore(database).add(run, {
      service: SERVICE,
      owner: 'a' as Owner,
      findings: [{ side: 'legacy', kind: 'lost' }],
      before: side,
      after: side,
      state: 'lost',
      generation: 0,
      epoch: 0,
    });
    const lost = [
      { memoryId: 'm1', digest: side.digest, position: 1 },
      { memoryId: 'm2', digest: side.digest, position: 2 },
    ];
    await createLostItemStore(database).found(SERVICE, 'a' as Owner, lost);
    const { kinds, services } = await store.figures();
    expect(kinds.find(({ kind: of }) => of === 'reconcile')).toMatchObject({
      open: 1,
      lanes: 3,
      lanesDone: 2,
    });
    expect(kinds.find(({ kind: of }) => of === 'backfill')).toMatchObject({
      open: 1,
      lanes: 0,
      lanesDone: 0,
    });
    expect(services).toEqual([{ service: SERVICE, divergentLanes: 1, lostItems: 2 }]);
    await store.change(run, { from: ['running'], to: 'finished' });
    const after = await store.figures();
    expect(after.kinds.find(({ kind: of }) => of === 'reconcile')).toMatchObject({
      open: 0,
      finishedAtMs: expect.any(Number) as number,
    });
  });

  test('a decision about a lost item does not apply to another item with its id', async () => {
    const store = createLostItemStore(database);
    const [service, owner] = [serviceName(`lost-${randomUUID()}`), 'ann' as Owner];
    const item = { memoryId: 'm1', digest: 'd1', position: 7 };
    const waiting = async () => (await store.open(1_000)).filter((one) => one.service === service);
    await store.found(service, owner, [item]);
    expect(await waiting()).toMatchObject([item]);
    const by = { person: 'ann', reason: 'it was a test' };
    expect(await store.accept({ service, owner, memoryId: 'm1' }, by)).toBe(true);
    await store.found(service, owner, [item]);
    expect(await waiting()).toEqual([]);
    expect(await store.decided(service, owner)).toEqual([item]);
    for (const later of [
      { ...item, digest: 'd2' },
      { ...item, digest: 'd2', position: 8 },
    ]) {
      await store.found(service, owner, [later]);
      expect(await waiting()).toMatchObject([later]);
      expect(await store.decided(service, owner)).toEqual([]);
      expect(await store.accept({ service, owner, memoryId: 'm1' }, by)).toBe(true);
    }
  });

  test('an item in restoration is locked, and waits again after a failure', async () => {
    const store = createLostItemStore(database);
    const [service, owner] = [serviceName(`lost-${randomUUID()}`), 'ann' as Owner];
    const name = { service, owner, memoryId: 'm1' };
    const item = { memoryId: 'm1', digest: 'd1', position: 7 };
    await store.found(service, owner, [item]);
    const by = { person: 'ann', reason: 'it was a test' };
    expect(await store.beginRestoring(name, by)).toBe(true);
    expect(await store.beginRestoring(name, by)).toBe(false);
    expect(await store.accept(name, by)).toBe(false);
    expect(await store.decided(service, owner)).toEqual([]);
    await store.endRestoring(name, false);
    expect(await store.beginRestoring(name, by)).toBe(true);
    await store.endRestoring(name, true);
    expect(await store.decided(service, owner)).toEqual([item]);
    expect(await store.accept(name, by)).toBe(false);
  });
});
