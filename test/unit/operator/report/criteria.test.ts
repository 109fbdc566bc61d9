import { describe, expect, test } from 'vitest';
import { judgeFlags, NOTHING_GRANTED } from '../../../../src/engine/guard/judge-flags.ts';
import type { InterlockFacts } from '../../../../src/engine/guard/interlock-facts.ts';
import { type Owner, parseOwner } from '../../../../src/domain/ids.ts';
import {
  type EndCriteriaFacts,
  failedIn,
  planOf,
  type PlanFacts,
} from '../../../../src/operator/report/criteria.ts';
import { serviceReport } from '../../../../src/operator/report/service-report.ts';
import { actionWith, fineFacts } from '../../engine/guard/facts.ts';
import { countsWith, fineService, flagsAt, judgedBy, OPEN, QUIET_DAY, reported, SERVICE } from './facts.ts';

const NONE = { hits: 0, tries: 0 };

function facts(more: Partial<PlanFacts> = {}): PlanFacts {
  return {
    phase: 'shadow_read',
    judged: judgedBy(),
    answers: { legacy: true, orchestrator: true },
    readsMoved: 0,
    writesMoved: 0,
    end: OPEN,
    day: { mismatches: NONE, notComparable: NONE, proxyErrors: NONE, orchestratorErrors: NONE },
    deadLetterLanes: 0,
    lostItems: 0,
    differingLanes: 0,
    ab: [],
    readLatencyToleranceMs: 5,
    ...more,
  };
}

const ALL_READS = judgedBy({ asked: { ...fineFacts().asked, 'read-cutover': 100 } });

const failing = (more: Partial<PlanFacts> = {}): string[] =>
  failedIn(planOf(facts(more))).map(({ name }) => name);

describe('the criteria of a stage', () => {
  test('all pass in every stage if nothing is wrong', () => {
    for (const phase of ['off', 'dual_write', 'shadow_read', 'read_cutover', 'write_cutover'] as const)
      expect(failing({ phase, readsMoved: 100, writesMoved: 100, judged: ALL_READS })).toEqual([]);
  });

  test('a lane that differs fails every stage with journaled writes', () => {
    for (const phase of ['dual_write', 'shadow_read', 'read_cutover'] as const)
      expect(failing({ phase, readsMoved: 100, differingLanes: 1, judged: ALL_READS })).toEqual([
        'lanes_differ',
      ]);
  });

  const paired = (value: number, upper: number | null) => ({
    action: 'get_context',
    paired: {
      pairs: 500,
      latency_ratio: null,
      failure_difference: null,
      p95: {
        orchestrator_ms: 4 + value,
        legacy_ms: 4,
        ratio: (4 + value) / 4,
        difference_ms: upper === null ? null : ([value, -1, upper] as const),
      },
    },
  });
  test.each([
    [1, 5, 5, 'pass'],
    [1, 5.1, 5, 'fail'],
    [-2, -0.5, 0, 'pass'],
    [0, 0.1, 0, 'fail'],
    [90, null, 5, 'not_judged'],
  ] as const)(
    'p95 %d ms above legacy, at most %d ms, limit %d ms: %s',
    (value, upper, readLatencyToleranceMs, verdict) => {
      for (const phase of ['shadow_read', 'read_cutover'] as const) {
        const ab = [paired(value, upper)];
        const plan = planOf(facts({ phase, readsMoved: 100, ab, readLatencyToleranceMs }));
        const criteria = plan.find(({ present }) => present)?.criteria ?? [];
        const criterion = criteria.find(({ name }) => name === 'reads_slower_than_legacy');
        expect(criterion).toMatchObject({
          action: 'get_context',
          have: upper,
          limit: readLatencyToleranceMs,
          verdict,
        });
        if (upper !== null)
          expect(criterion?.note).toContain(`difference ${value} ms, ratio ${(4 + value) / 4}`);
      }
    },
  );

  test('criteria for writes are judged before a flag requests them', () => {
    const { facts: known } = ALL_READS;
    const soaking = judgedBy({ ...known, writes: { ...known.writes, fullForSeconds: 3_600 } });
    const shown = planOf(facts({ phase: 'read_cutover', readsMoved: 100, judged: soaking }));
    expect(failedIn(shown)).toMatchObject([{ name: 'soaking', for: 'go_on', have: 3_600, limit: 86_400 }]);
  });

  const BREAKAGES: readonly Partial<InterlockFacts>[] = [
    { coverage: { number: 7, replicas: 2, acting: 1 } },
    { lanes: { total: 10, unseeded: 5, isBackfillListed: true, unwell: 0, flipped: 0 } },
    { lanes: { total: 10, unseeded: 0, isBackfillListed: false, unwell: 0, flipped: 0 } },
    { lanes: { total: 10, unseeded: 4, isBackfillListed: true, unwell: 4, flipped: 0 } },
    { oldestDeliverySeconds: 5 },
    { unclassified: { requests: 1, isAccepted: false } },
    { reconciledAgoSeconds: 86_400 },
    { reconciledAgoSeconds: null },
    { addedP95Ms: 50 },
    { isRampHeld: true },
    { latch: 'inconsistency' },
    { isKilled: true },
    { actions: { get_context: actionWith(2_999) } },
    { actions: { get_context: actionWith(3_000, { errors: 2_701 }) } },
    { actions: { get_context: actionWith(3_000, { mismatches: 1 }) } },
  ];

  test.each(BREAKAGES)('fail for exactly what an interlock reports: %o', (breakage) => {
    const broken = fineFacts(breakage);
    const { flags, actions } = judgeFlags(broken, NOTHING_GRANTED);
    const said = [...flags['read-cutover'].reasons, ...(actions['get_context']?.reasons ?? [])];
    const words = said.map(({ word }) => (word === 'never_reconciled' ? 'reconciliation_too_old' : word));
    expect(words.length).toBeGreaterThan(0);
    expect(new Set(failing({ judged: judgedBy(breakage) }))).toEqual(new Set(words));
  });

  test('an action that a person accepted, or that has moved, needs no evidence', () => {
    const accepted = { get_context: actionWith(1, { isAccepted: true }) };
    expect(failing({ judged: judgedBy({ actions: accepted }) })).toEqual([]);
    const few = fineFacts({ actions: { get_context: actionWith(1) } });
    const moved = { ...NOTHING_GRANTED, actions: { get_context: 5 } };
    expect(failing({ judged: { facts: few, verdict: judgeFlags(few, moved) } })).toEqual([]);
  });

  test('a rate of the day fails once it is proven, not by chance', () => {
    const of = (hits: number, tries: number) =>
      failing({ day: { ...facts().day, mismatches: { hits, tries } } });
    expect(of(1, 100)).toEqual([]);
    expect(of(4, 10)).toEqual([]);
    expect(of(20, 1_000)).toEqual(['mismatches_of_the_day']);
    expect(of(20, 100_000)).toEqual([]);
  });

  test('dead letters and lost items count while writes are journaled', () => {
    const trouble = { deadLetterLanes: 3, lostItems: 1 };
    expect(failing({ ...trouble, phase: 'off' })).toEqual([]);
    expect(failing({ ...trouble, phase: 'dual_write' })).toEqual(['dead_letter_lanes', 'lost_items']);
  });

  test('a backend that does not answer comes before the first step', () => {
    expect(failing({ phase: 'off', answers: { legacy: true, orchestrator: false } })).toEqual([
      'orchestrator_does_not_answer',
    ]);
  });
});

describe('the criteria of a read-only legacy', () => {
  const NOW = OPEN.nowMs;
  const DAYS = 86_400_000;
  const ANN = { person: 'ann', reason: 'a test' };
  const census = {
    atMs: NOW - 1_000,
    lanes: 10,
    equal: 10,
    unproven: 0,
    unprovenExamples: [],
    forgotten: { lanes: 0, items: 0 },
  };
  const writes: NonNullable<EndCriteriaFacts['writes']> = {
    ...ANN,
    service: SERVICE,
    state: 'read_only',
    sinceMs: NOW - 16 * DAYS,
    settledAtMs: NOW - 16 * DAYS,
    clockBeganAtMs: NOW - 15 * DAYS,
    clockRestarts: 0,
    census,
  };
  const backup: NonNullable<EndCriteriaFacts['backup']> = {
    folder: '/backups/one',
    madeAtMs: NOW - 15 * DAYS,
    restoredAtMs: NOW - 15 * DAYS,
    manifestSha256: '0'.repeat(64),
    lanes: 10,
    items: 50,
    scratchInstance: 'equal',
  };
  const READY: EndCriteriaFacts = { ...OPEN, writes, backup };
  const foreign = (foundAtMs: number): EndCriteriaFacts['foreign'] => [
    {
      owner: parseOwner('s-1') as Owner,
      kind: 'writer',
      digest: 'd',
      changes: { added: 1 },
      writers: [],
      foundAtMs,
      seenAtMs: NOW,
    },
  ];
  const accepted = (subject: string, atMs: number): EndCriteriaFacts['accepted'] => [
    { ...ANN, subject, atMs },
  ];
  const atEnd = (end: Partial<EndCriteriaFacts>, more: Partial<PlanFacts> = {}): string[] =>
    failing({ ...more, phase: 'legacy_read_only', end: { ...READY, ...end } });

  test('all pass after two quiet weeks, and the next step is the completion', () => {
    expect(atEnd({})).toEqual([]);
    expect(serviceReport(fineService({ end: READY }), reported())).toMatchObject({
      phase: 'legacy_read_only',
      next_step: { kind: 'prepare', command: 'crossfade complete session-memory' },
    });
  });

  const NEEDED: readonly [string, Partial<EndCriteriaFacts>][] = [
    ['final_reconciliation_unequal', { writes: { ...writes, census: { ...census, unproven: 1 } } }],
    ['final_reconciliation_unequal', { openDifferences: 1 }],
    ['final_reconciliation_unequal', { openDifferences: 1, accepted: accepted('differences', NOW) }],
    [
      'final_reconciliation_unequal',
      { writes: { ...writes, census: { ...census, atMs: NOW - 15.5 * DAYS } } },
    ],
    ['writers_without_the_proxy', { foreign: foreign(NOW - DAYS) }],
    ['writers_without_the_proxy', { foreign: foreign(NOW), accepted: accepted('foreign', NOW - DAYS) }],
    ['read_only_time', { writes: { ...writes, clockBeganAtMs: NOW - 14 * DAYS + 1_000 } }],
    ['backup_not_verified', { backup: undefined }],
    ['backup_not_verified', { backup: { ...backup, madeAtMs: NOW - 17 * DAYS } }],
  ];
  test.each(NEEDED)('%s fails: %o', (name, end) => {
    expect(atEnd(end)).toEqual([name]);
  });

  test('what persons accepted by name passes', () => {
    expect(
      atEnd({
        writes: { ...writes, census: { ...census, unproven: 2 } },
        accepted: accepted('unproven', NOW),
      }),
    ).toEqual([]);
    expect(atEnd({ foreign: foreign(NOW - DAYS), accepted: accepted('foreign', NOW) })).toEqual([]);
    expect(atEnd({ foreign: foreign(NOW - 17 * DAYS) })).toEqual([]);
  });

  test('none is green while a finding is open', () => {
    expect(atEnd({}, { differingLanes: 1 })).toEqual(['lanes_differ']);
    expect(atEnd({}, { lostItems: 1 })).toEqual(['lost_items']);
  });

  test('nothing of it is judged while legacy takes writes', () => {
    const last = planOf(facts()).find(({ phase }) => phase === 'legacy_read_only');
    const verdicts = last?.criteria.filter(({ for: purpose }) => purpose === 'go_on');
    expect(verdicts).toHaveLength(4);
    for (const { verdict, have } of verdicts ?? []) expect([verdict, have]).toEqual(['not_judged', null]);
  });

  test('a complete service has no criteria left', () => {
    const done = serviceReport(
      fineService({ end: { ...READY, writes: { ...writes, state: 'complete' } } }),
      reported(),
    );
    expect(done).toMatchObject({ phase: 'complete', next_step: { kind: 'stay' } });
    expect(failedIn(done.plan)).toEqual([]);
  });
});

describe('the next step', () => {
  const next = (...args: Parameters<typeof fineService>) =>
    serviceReport(fineService(...args), reported()).next_step;
  const at = (percent: Parameters<typeof flagsAt>[0]) => ({
    ...fineService().status,
    flags: flagsAt(percent),
  });

  test.each([
    [{}, 'dual-write on'],
    [{ 'dual-write': 100 }, 'shadow-read to 100 %'],
    [{ 'dual-write': 100, 'shadow-read': 10 }, 'shadow-read to 100 %'],
    [{ 'dual-write': 100, 'shadow-read': 100 }, 'read-cutover to 1 %'],
    [{ 'dual-write': 100, 'shadow-read': 100, 'read-cutover': 5 }, 'read-cutover to 10 %'],
  ])('recommends the next step if all criteria pass: %o', (percent, text) => {
    expect(next({ status: at(percent) })).toMatchObject({
      kind: 'raise',
      text: expect.stringContaining(text),
    });
  });

  const READS = { 'dual-write': 100, 'shadow-read': 100, 'read-cutover': 100 };
  test.each([
    [READS, 'raise', 'write-cutover to 1 %'],
    [{ ...READS, 'write-cutover': 25 }, 'raise', 'write-cutover to 50 %'],
    [{ ...READS, 'write-cutover': 100 }, 'prepare', 'make legacy read-only'],
  ])('moves the writes once all reads have moved: %o', (percent, kind, text) => {
    expect(next({ status: at(percent), judged: ALL_READS })).toMatchObject({
      kind,
      text: expect.stringContaining(text),
    });
  });

  test('proves the way back before the first writes move', () => {
    const { facts: known } = ALL_READS;
    const unproven = judgedBy({ ...known, writes: { ...known.writes, isReverseProven: false } });
    expect(next({ status: at(READS), judged: unproven })).toMatchObject({
      kind: 'prepare',
      text: expect.stringContaining('writes of its own'),
    });
  });

  test('fixes before it prepares, and prepares before it waits', () => {
    const few = { actions: { get_context: actionWith(1) } };
    expect(next({ judged: judgedBy(few) }).kind).toBe('wait');
    const old = { ...few, reconciledAgoSeconds: null };
    expect(next({ judged: judgedBy(old) })).toMatchObject({
      kind: 'prepare',
      command: 'crossfade reconcile --full --service session-memory --person NAME --reason TEXT',
    });
    const differs = { ...QUIET_DAY, divergences: { ...QUIET_DAY.divergences, open: 20, run: 7 } };
    expect(next({ judged: judgedBy(old), day: differs })).toMatchObject({
      kind: 'mend',
      command: 'crossfade repair plan 7',
    });
    const lost = { ...QUIET_DAY, lost: { open: 2, found: 2, decided: 0 } };
    expect(next({ judged: judgedBy(old), day: lost })).toMatchObject({
      kind: 'mend',
      command: 'crossfade lost list',
    });
  });
});

test('changes are since the report before; unknown without one or for part of a day', () => {
  const hours = (operations: number) => [
    { action: 'get_context', hour: 3, counts: countsWith({ operations }) },
  ];
  const service = (operations: number) => fineService({ day: { ...QUIET_DAY, hours: hours(operations) } });
  const first = reported();
  expect(serviceReport(service(10), first).traffic.operations_change).toBeNull();
  const changed = (isWhole: boolean) =>
    serviceReport(service(7), reported({ before: first.totals, isWhole })).traffic.operations_change;
  expect([changed(true), changed(false)]).toEqual([-3, null]);
});
