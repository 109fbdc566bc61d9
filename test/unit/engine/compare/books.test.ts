import { describe, expect, test } from 'vitest';
import type { Comparison } from '../../../../src/domain/comparison.ts';
import { type LaneKey, operationId, serviceName } from '../../../../src/domain/ids.ts';
import { ClockOffset, naiveSecondsOf } from '../../../../src/engine/compare/clock-offset.ts';
import { compareReplies } from '../../../../src/engine/compare/compare-replies.ts';
import { ComparedCoverage } from '../../../../src/engine/compare/compared-coverage.ts';
import { DistinctEstimate } from '../../../../src/engine/compare/digest.ts';
import { RuleBook } from '../../../../src/engine/compare/rule-book.ts';
import { SignatureBook } from '../../../../src/engine/compare/signature-book.ts';
import { jarvisMemory } from '../../../../src/services/jarvis-memory.ts';
import { compare, rule } from './compared.ts';

const SERVICE = serviceName('jarvis-memory');
const laneOf = (owner: string): LaneKey => `jarvis-memory/${owner}` as LaneKey;

describe('the clock of legacy', () => {
  const offsetOf = (gaps: readonly number[]) => {
    const clock = new ClockOffset();
    clock.add(gaps);
    return clock.report();
  };
  const around = (seconds: number): number[] =>
    Array.from({ length: 64 }, (_, at) => seconds + (at % 7) / 100);

  test('is measured where both backends set a time for the same write', () => {
    expect(offsetOf(around(30)).seconds).toBeCloseTo(30.03, 2);
  });

  test('is not measured from items that a copy wrote with legacy’s own time', () => {
    expect(offsetOf([...Array<number>(500).fill(0), ...around(30)])).toMatchObject({ measuredFrom: 64 });
  });

  test('is not trusted when it is one hour, because that is a time zone', () => {
    expect(offsetOf(around(3_600))).toMatchObject({ seconds: 0, refused: 'too_large' });
  });

  test('is not trusted when the gaps vary too much', () => {
    expect(offsetOf(Array.from({ length: 64 }, (_, at) => at))).toMatchObject({
      seconds: 0,
      refused: 'scattered',
    });
  });

  test('is subtracted before times are compared', () => {
    const rules = [rule('t', { kind: 'tolerance_seconds', seconds: 5 })];
    const at = (clockOffsetSeconds: number) =>
      compareReplies({ legacy: '{"t":1032}', orchestrator: '{"t":1000}', rules, clockOffsetSeconds })
        .comparison;
    expect([at(0).verdict, at(30).verdict, at(-30).verdict]).toEqual(['mismatch', 'match', 'mismatch']);
  });
});

describe('a lane that the service has forgotten', () => {
  const rules = [rule('context[].timestamp', { kind: 'tolerance_seconds', seconds: 5 })];
  const nowSeconds = Date.parse('2026-11-21T12:00:00Z') / 1_000;
  const judge = (legacy: string, orchestrator: string) =>
    compareReplies({
      legacy,
      orchestrator,
      rules,
      expiry: { idleSeconds: 3_600, nowSeconds, naiveNowSeconds: nowSeconds },
    }).comparison;
  const context = (...times: string[]): string =>
    JSON.stringify({ status: 'success', context: times.map((timestamp) => ({ content: 'x', timestamp })) });

  test('is forgotten after its time, skew around it, and a difference before', () => {
    expect(judge(context(), context('2026-11-21T10:00:00', '2026-11-21T10:30:00'))).toMatchObject({
      verdict: 'not_comparable',
      reason: 'forgotten',
      differences: [],
      explained: [{ by: 'forgotten' }, { by: 'forgotten' }],
    });
    expect(judge(context(), context('2026-11-21T11:00:20'))).toMatchObject({ reason: 'expired_skew' });
    expect(judge(context('2026-11-21T11:00:20'), context())).toMatchObject({ reason: 'expired_skew' });
    expect(judge(context(), context('2026-11-21T10:00:00', '2026-11-21T11:59:00')).verdict).toBe('mismatch');
    expect(judge('{"status":"error"}', context('2026-11-21T10:00:00'))).toMatchObject({
      reason: 'forgotten',
    });
  });

  test('does not excuse a part of it, nor items that the orchestrator lacks', () => {
    const old = '2026-11-21T10:00:00';
    expect(judge(context(old), context(old, '2026-11-21T10:10:00')).verdict).toBe('mismatch');
    expect(judge(context(old), context()).verdict).toBe('mismatch');
  });

  test('has its age by its service’s own clock', () => {
    const atMs = Date.parse('2026-11-21T12:00:00Z');
    expect(naiveSecondsOf(atMs, 'Asia/Kolkata') - atMs / 1_000).toBe(19_800);
    expect(naiveSecondsOf(atMs, 'UTC') - atMs / 1_000).toBe(0);
    expect(naiveSecondsOf(Date.parse('2026-07-01T12:00:00Z'), 'America/New_York')).toBe(
      Date.parse('2026-07-01T08:00:00Z') / 1_000,
    );
  });
});

describe('the rule book', () => {
  const added = (id: number, expires?: string) => ({
    id,
    service: SERVICE,
    action: 'get_memories',
    rule: rule('memories[].memory.note', { kind: 'ignore' }, expires),
    addedAtMs: 0,
  });
  const changed = (changes: number) => [{ service: SERVICE, action: 'get_memories', changes }];
  const book = (): RuleBook => new RuleBook(new Map([[SERVICE, jarvisMemory]]));

  test('joins both kinds of rules, and is the same array until they change', () => {
    const rules = book();
    const before = rules.rulesOf(SERVICE, 'get_memories');
    rules.adopt([added(1)], changed(1));
    const after = rules.rulesOf(SERVICE, 'get_memories');
    expect([before.length, after.length]).toEqual([1, 2]);
    rules.adopt([added(1)], changed(1));
    expect(rules.rulesOf(SERVICE, 'get_memories')).toBe(after);
    rules.adopt([], changed(2));
    expect(rules.rulesOf(SERVICE, 'get_memories')).toHaveLength(1);
  });

  test('counts what a rule accepted, and returns each hit once', () => {
    const rules = book();
    const inForce = rules.rulesOf(SERVICE, 'get_memories');
    rules.count({ service: SERVICE, action: 'get_memories' }, [...inForce, ...inForce], 7);
    expect(rules.takeHits()).toMatchObject([{ rule: 'tolerance_seconds memories[].timestamp', hits: 2 }]);
    expect(rules.takeHits()).toEqual([]);
    expect(rules.report(SERVICE, '2026-11-21')).toMatchObject([
      { hits: 2, lastHitAtMs: 7, isExpired: false },
    ]);
  });

  test('reports an expired rule once, and never repeats a version of the rules', () => {
    const rules = book();
    rules.adopt([added(1, '2026-11-21')], changed(1));
    const before = rules.versionOf(SERVICE, 'get_memories', '2026-11-20');
    expect(rules.newlyExpired('2026-11-20')).toEqual([]);
    expect(rules.newlyExpired('2026-11-21')).toHaveLength(1);
    expect(rules.newlyExpired('2026-11-22')).toEqual([]);
    const versions = [book().versionOf(SERVICE, 'get_memories', ''), before];
    versions.push(rules.versionOf(SERVICE, 'get_memories', '2026-11-21'));
    rules.adopt([], changed(2));
    versions.push(rules.versionOf(SERVICE, 'get_memories', '2026-11-21'));
    rules.adopt([], changed(2));
    versions.push(rules.versionOf(SERVICE, 'get_memories', '2026-11-22'));
    expect(new Set(versions).size).toBe(4);
    expect(versions[4]).toBe(versions[3]);
  });
});

describe('signatures', () => {
  const operation = (owner: string, id: number) => ({
    operationId: operationId(`operation-${id}`),
    service: SERVICE,
    action: 'get_memories',
    lane: laneOf(owner),
  });

  test('group differences of one cause, with lanes, a hint and five examples', () => {
    const book = new SignatureBook();
    for (let at = 0; at < 40; at += 1) {
      const legacy = JSON.stringify({ memories: [{ memory: { [`my words ${at}`]: 'x'.repeat(at + 1) } }] });
      const orchestrator = JSON.stringify({ memories: [{ memory: {} }] });
      book.add(operation(`user-${at % 8}`, at), compare(legacy, orchestrator), at);
    }
    const [signature, ...others] = book.take();
    expect(others).toEqual([]);
    expect(signature).toMatchObject({
      path: 'memories[].memory.*',
      class: 'missing_in_orchestrator',
      shape: 'string → absent',
      count: 40,
      firstAtMs: 0,
      lastAtMs: 39,
      hints: { missing_backfill: 40 },
    });
    expect(signature?.examples).toHaveLength(5);
    expect(new DistinctEstimate(signature?.laneRegisters).count).toBe(8);
    expect(JSON.stringify(signature)).not.toContain('words');
    expect(book.take()).toEqual([]);
  });

  test('are bounded: too many new ones are dropped and counted', () => {
    const book = new SignatureBook();
    for (let at = 0; at < 600; at += 1)
      book.add(operation('u', at), compare(`{"k${at}":1}`, `{"k${at}":2}`), 0);
    expect(book.take()).toHaveLength(500);
    expect(book.dropped).toBe(100);
  });
});

test('an estimate of distinct lanes is within 20 % in constant space, and merges', () => {
  for (const count of [1, 10, 100, 1_000, 20_000]) {
    const estimate = new DistinctEstimate();
    for (let at = 0; at < count; at += 1) for (const twice of [at, at]) estimate.add(`lane-${twice}`);
    expect(Math.abs(estimate.count - count)).toBeLessThanOrEqual(Math.max(1, count * 0.2));
  }
});

describe('coverage of comparison', () => {
  const rules = [rule('memories[].internal', { kind: 'ignore' })];
  const matched: Comparison = { verdict: 'match', differences: [], suppressed: 0 };
  const racy: Comparison = { verdict: 'not_comparable', reason: 'racy', differences: [], suppressed: 0 };

  test('lists the paths that are never compared', () => {
    const coverage = new ComparedCoverage();
    const legacyText = '{"status":"ok","memories":[{"text":"x","internal":{"a":1}}],"late":1}';
    coverage.add(laneOf('u'), racy, { legacyText: legacyText.replace('late', 'racy'), rules });
    coverage.add(laneOf('u'), matched, { legacyText, rules });
    expect(coverage.report()).toMatchObject({
      comparable: 1,
      paths: 5,
      neverCompared: ['memories[].internal.a', 'racy'],
    });
  });

  test('lists the errors that were never compared, whatever item they mention', () => {
    const coverage = new ComparedCoverage();
    const error = (message: string) => ({ legacyText: JSON.stringify({ status: 'error', message }), rules });
    coverage.add(laneOf('u'), { ...matched, isErrorPair: true }, error("no session 'a1'"));
    coverage.add(laneOf('u'), racy, error("no session 'b22'"));
    coverage.add(laneOf('u'), racy, error('locked'));
    const { errorCases, errorCasesNeverCompared, errorPairs } = coverage.report();
    expect([errorCases, errorCasesNeverCompared.length, errorPairs]).toEqual([2, 1, 1]);
  });

  test('shows the share of the largest lane', () => {
    const coverage = new ComparedCoverage();
    for (let at = 0; at < 1_000; at += 1) {
      const lane = laneOf(at % 10 < 7 ? 'default' : `user-${at}`);
      coverage.add(lane, matched, { legacyText: '{}', rules });
    }
    const { giant, lanes } = coverage.report();
    expect(giant?.lane).toBe(laneOf('default'));
    expect(giant?.share).toBeCloseTo(0.7, 1);
    expect(lanes).toBeGreaterThan(240);
  });
});
