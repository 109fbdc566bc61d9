import { randomUUID } from 'node:crypto';
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, test } from 'vitest';
import { systemClock } from '../../../src/shared/clock.ts';
import type { ServiceFlag } from '../../../src/domain/flags.ts';
import { replicaId, serviceName, type ServiceName } from '../../../src/domain/ids.ts';
import { NO_EVIDENCE } from '../../../src/engine/evidence/confidence.ts';
import { createEvents } from '../../../src/engine/ports/events.ts';
import { Latches } from '../../../src/engine/guard/latches.ts';
import type { InterlockMode, JournalFacts } from '../../../src/engine/guard/interlock-facts.ts';
import { InterlockKeeper } from '../../../src/engine/guard/interlock-keeper.ts';
import type { Database } from '../../../src/storage/database.ts';
import { createEvidenceStore } from '../../../src/storage/evidence.ts';
import { createInterlockStore } from '../../../src/storage/interlocks.ts';
import { eventually } from '../../support/eventually.ts';
import { startPostgres, type TestPostgres } from '../../support/postgres.ts';
import { createJournalDatabase } from '../storage/journal-under-test.ts';
import { DATABASES } from '../../support/tier.ts';
import { serviceWith } from '../../unit/engine/engine-parts.ts';

const ACTION = 'get_memories';
const ANN = { person: 'ann', reason: 'it was looked at' };

let postgres: TestPostgres;

beforeAll(async () => {
  postgres = await startPostgres();
});

afterAll(async () => {
  await postgres.stop();
});

describe.each(DATABASES)('interlocks on %s', (kind) => {
  let database: Database;
  let service: ServiceName;
  let asked: Partial<Record<ServiceFlag, number>>;
  let areFlagsKnown: boolean;
  let answers: boolean;
  let coverage: number;
  let journal: Partial<JournalFacts>;
  let running: InterlockKeeper[];
  let board: Latches;
  let made = 0;

  beforeAll(async () => {
    database = await createJournalDatabase(kind, postgres);
  });

  afterAll(async () => {
    await database.close();
  });

  beforeEach(() => {
    service = serviceName(`jarvis-${++made}`);
    asked = { 'dual-write': 100, 'shadow-read': 100, 'read-cutover': 50 };
    areFlagsKnown = true;
    answers = true;
    coverage = 7;
    // What is not built yet is put in its place: everything else is the database's.
    journal = { reconciledAgoSeconds: 60 };
    running = [];
    board = new Latches(systemClock);
    board.adopt([], board.asking());
  });

  afterEach(async () => {
    for (const keeper of running) await keeper.stop();
    await database.query('delete from replicas');
  });

  async function start(mode: InterlockMode = 'enforce', clock = systemClock): Promise<InterlockKeeper> {
    const store = createInterlockStore(database);
    const runtime = serviceWith({ name: service });
    const keeper = new InterlockKeeper({
      services: new Map([[service, runtime]]),
      modes: new Map([[service, mode]]),
      digestOf: () => 'one',
      flags: {
        isEnabled: () =>
          areFlagsKnown ? { enabled: true, reason: 'on' } : { enabled: false, reason: 'unknown_flag' },
        killSwitch: () => false,
        percentage: (flag) => asked[flag] ?? 0,
        version: () => 1,
        onChange: () => undefined,
      },
      store: { ...store, facts: async (...of) => ({ ...(await store.facts(...of)), ...journal }) },
      evidence: createEvidenceStore(database),
      evidenceLimits: { comparable: 3_000, notErrors: 300, mismatchRate: 0.001 },
      board,
      probes: { ask: () => Promise.resolve({ legacy: true, orchestrator: answers }) },
      unwrittenEvidence: () => NO_EVIDENCE,
      addedP95Ms: () => 1,
      coverageOf: () => coverage,
      isBackfillListed: () => true,
      bypassFreeSeconds: 86_400,
      writeFacts: async () => ({
        soakSeconds: 60,
        isReverseProven: false,
        isFirstLaneNamed: false,
        openRollbacks: 0,
      }),
      clock,
      emit: createEvents().emit,
    });
    running.push(keeper);
    await keeper.start();
    return keeper;
  }

  const prove = (comparable: number, mismatches = 0): Promise<void> =>
    createEvidenceStore(database).add([
      { service, action: ACTION, digest: 'one', evidence: { ...NO_EVIDENCE, comparable, mismatches } },
    ]);

  test('an action without evidence stays on legacy, and moves when it is proven', async () => {
    const keeper = await start();
    expect(keeper.cutover(service, ACTION)).toEqual({ atMost: 0, loweredBy: 'interlock' });
    await prove(3_000);
    await keeper.refresh(service);
    expect(keeper.cutover(service, ACTION).atMost).toBe(50);
    expect(keeper.judged(service)?.verdict.actions[ACTION]?.reasons).toEqual([]);
  });

  test('an action that a person accepts by name moves, and the acceptance is audited', async () => {
    const keeper = await start();
    await createInterlockStore(database).accept({ service, subject: `action:${ACTION}`, ...ANN });
    await keeper.refresh(service);
    expect(keeper.cutover(service, ACTION).atMost).toBe(50);
  });

  test('moved reads stay moved over a restart, even if a new increase would be blocked', async () => {
    await prove(3_000);
    expect((await start()).cutover(service, ACTION).atMost).toBe(50);
    journal = { ...journal, oldestDeliverySeconds: 60 };
    const next = await start();
    expect(next.cutover(service, ACTION).atMost).toBe(50);
    asked = { ...asked, 'read-cutover': 80 };
    await next.refresh(service);
    expect(next.cutover(service, ACTION)).toEqual({ atMost: 50, loweredBy: 'interlock' });
    expect(next.judged(service)?.verdict.flags['read-cutover'].reasons).toMatchObject([
      { word: 'deliveries_behind', have: 60, need: 5 },
    ]);
    journal = { reconciledAgoSeconds: 60 };
    await next.refresh(service);
    expect(next.cutover(service, ACTION).atMost).toBe(80);
  });

  test('a latch holds at once in every mode, and the reads must be proven again', async () => {
    await prove(3_000);
    const [keeper, lenient] = [await start(), await start('warn')];
    expect(keeper.cutover(service, ACTION).atMost).toBe(50);
    const finding = { service, trigger: 'errors', steps: ['reads_to_legacy'], numbers: {} } as const;
    const replica = replicaId(randomUUID());
    board.adopt([{ id: 1, service, finding, replica, trippedAtMs: 0, coolDownUntilMs: 0 }], board.asking());
    for (const each of [keeper, lenient])
      expect(each.cutover(service, ACTION)).toEqual({ atMost: 0, loweredBy: 'latched' });
    await keeper.refresh(service);
    await prove(0, 30);
    board.adopt([], board.asking());
    await keeper.refresh(service);
    expect(keeper.cutover(service, ACTION)).toEqual({ atMost: 0, loweredBy: 'interlock' });
  });

  test('dual writes begin only when both backends answer', async () => {
    coverage = 0;
    answers = false;
    const keeper = await start();
    expect(keeper.mayBegin(service)).toBe(false);
    answers = true;
    await keeper.refresh(service);
    expect(keeper.mayBegin(service)).toBe(true);
  });

  test('a replica that has just reported the coverage is counted at the next look', async () => {
    const replica = randomUUID();
    await database.query("insert into replicas (id, heartbeat_at) values ($1, now() + interval '1 hour')", [
      replica,
    ]);
    const looks: (() => void)[] = [];
    // The keeper looks again when it is let go on, one second later each time.
    const sleep = (_ms: number, signal?: AbortSignal): Promise<void> =>
      new Promise((resolve) => {
        looks.push(resolve);
        signal?.addEventListener('abort', () => resolve());
      });
    const clock = { ...systemClock, now: () => 1_000 * looks.length, sleep };
    const reasons = (): string[] =>
      keeper.judged(service)?.verdict.flags['read-cutover'].reasons.map(({ word }) => word) ?? [];
    const keeper = await start('warn', clock);
    expect(reasons()).toContain('not_covered_everywhere');
    await database.query('update replicas set coverage = jsonb_build_object($2::text, 7) where id = $1', [
      replica,
      service,
    ]);
    looks.at(-1)?.();
    await eventually('it has looked again', () => looks.length === 2);
    expect(reasons()).not.toContain('not_covered_everywhere');
  });

  test('warn lowers nothing, and every reason is reported', async () => {
    coverage = 0;
    answers = false;
    journal = { reconciledAgoSeconds: null };
    const keeper = await start('warn');
    expect(keeper.mayBegin(service)).toBe(true);
    expect(keeper.cutover(service, ACTION).atMost).toBe(100);
    const words = keeper.judged(service)?.verdict.flags['read-cutover'].reasons.map(({ word }) => word);
    expect(words).toEqual(expect.arrayContaining(['not_covered', 'never_reconciled']));
  });

  test.each(['off', 'warn'] as const)(
    'a rollout under %s without evidence is lowered under enforce',
    async (mode) => {
      expect((await start(mode)).cutover(service, ACTION).atMost).toBe(100);
      const keeper = await start();
      expect(keeper.cutover(service, ACTION)).toEqual({ atMost: 0, loweredBy: 'interlock' });
      await prove(3_000);
      await keeper.refresh(service);
      expect(keeper.cutover(service, ACTION).atMost).toBe(50);
    },
  );

  test('a value that one replica lowers is lowered in all, and raised again by evidence', async () => {
    await prove(3_000);
    const [one, other] = [await start(), await start()];
    expect(other.cutover(service, ACTION).atMost).toBe(50);
    asked = { ...asked, 'read-cutover': 10 };
    await one.refresh(service);
    // The other has not seen that the flag fell and rose again; in the meantime the evidence has turned bad.
    asked = { ...asked, 'read-cutover': 50 };
    await prove(0, 30);
    await other.refresh(service);
    expect(other.cutover(service, ACTION)).toEqual({ atMost: 10, loweredBy: 'interlock' });
  });

  test('a replica that does not know the flags lowers nothing in the others', async () => {
    await prove(3_000);
    const one = await start();
    // The server of the flags is away when the other starts; to raise anything anew there would be too little evidence.
    const before = asked;
    [asked, areFlagsKnown] = [{}, false];
    const other = await start();
    expect(other.cutover(service, ACTION).atMost).toBe(0);
    [asked, areFlagsKnown] = [before, true];
    journal = { reconciledAgoSeconds: 30 * 3_600 };
    await one.refresh(service);
    expect(one.cutover(service, ACTION).atMost).toBe(50);
  });

  test('shadow load is dropped where the guard asks for it', async () => {
    const keeper = await start();
    expect(keeper.mayShadow(service)).toBe(true);
    board.take(service, new Set(['drop_shadow_load']));
    expect(keeper.mayShadow(service)).toBe(false);
    board.take(service, new Set());
    expect(keeper.mayShadow(service)).toBe(true);
  });

  test('a held increase keeps the moved reads and raises nothing', async () => {
    await prove(3_000);
    const keeper = await start();
    board.take(service, new Set(['hold_ramp']));
    asked = { ...asked, 'read-cutover': 100 };
    await keeper.refresh(service);
    expect(keeper.cutover(service, ACTION).atMost).toBe(50);
    const [reason] = keeper.judged(service)?.verdict.flags['read-cutover'].reasons ?? [];
    expect(reason?.word).toBe('ramp_held');
  });
});
