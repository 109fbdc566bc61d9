import { describe, expect, test } from 'vitest';
import { serviceName } from '../../../../src/domain/ids.ts';
import { coolDownMs, type Finding, isTrip, type Trigger } from '../../../../src/engine/ports/finding.ts';
import { ServiceGuard } from '../../../../src/engine/guard/guard.ts';
import {
  addedQuantile,
  type GuardCounts,
  noCounts,
  recordAboveLegacy,
  recordAdded,
} from '../../../../src/engine/guard/guard-counts.ts';
import { GUARD_LIMITS, NO_TROUBLE } from '../../../../src/engine/guard/triggers.ts';

const MINUTE_MS = 60_000;
/** At a whole minute: what is added before it is in the minutes that have ended. */
const NOW_MS = 1_000 * MINUTE_MS;

function counts(facts: Partial<GuardCounts>): GuardCounts {
  return { ...noCounts(), ...facts };
}

const newGuard = (): ServiceGuard => new ServiceGuard(serviceName('jarvis-memory'), GUARD_LIMITS);

function found(guard: ServiceGuard, trigger: Trigger, nowMs = NOW_MS): Finding[] {
  return guard.findings(nowMs).filter((finding) => finding.trigger === trigger);
}

const trips = (findings: readonly Finding[]): boolean => findings.some(isTrip);

describe('inconsistency', () => {
  test('five mismatches in 1,030 comparisons trip, in 1,040 they block increases', () => {
    const enough = newGuard();
    enough.add('get', NOW_MS - 1_000, counts({ comparable: 1_030, mismatches: 5 }));
    expect(trips(found(enough, 'inconsistency'))).toBe(true);
    const rare = newGuard();
    rare.add('get', NOW_MS - 1_000, counts({ comparable: 1_040, mismatches: 5 }));
    expect(trips(found(rare, 'inconsistency'))).toBe(false);
    expect(found(rare, 'inconsistency')[0]?.steps).toEqual(['hold_ramp']);
  });

  test('four mismatches never trip, even of four', () => {
    const guard = newGuard();
    guard.add('get', NOW_MS - 1_000, counts({ comparable: 4, mismatches: 4 }));
    expect(guard.findings(NOW_MS)).toEqual([]);
    guard.add('get', NOW_MS - 1_000, counts({ comparable: 1, mismatches: 1 }));
    expect(trips(found(guard, 'inconsistency'))).toBe(true);
  });

  test('is found in a rare action that the service’s sum would hide', () => {
    const guard = newGuard();
    guard.add('common', NOW_MS - 1_000, counts({ comparable: 100_000 }));
    guard.add('rare', NOW_MS - 1_000, counts({ comparable: 10, mismatches: 5 }));
    const tripping = found(guard, 'inconsistency').filter(isTrip);
    expect(new Set(tripping.map(({ action }) => action))).toEqual(new Set(['rare']));
    expect(tripping[0]?.numbers).toMatchObject({ hits: 5, of: 10, limit: 0.001 });
  });

  test('is found in the whole service if no action has enough comparisons', () => {
    const guard = newGuard();
    for (const action of ['a', 'b', 'c', 'd', 'e'])
      guard.add(action, NOW_MS - 1_000, counts({ comparable: 20, mismatches: 1 }));
    const tripping = found(guard, 'inconsistency').filter(isTrip);
    expect(tripping.length).toBeGreaterThan(0);
    for (const finding of tripping) expect(finding.action).toBeUndefined();
  });

  test.each([
    ['1m', 59_000, 61_000],
    ['15m', 890_000, 901_000],
    ['6h', 21_540_000, 21_601_000],
  ])('the window of %s ends', (name, insideMs, outsideMs) => {
    const guard = newGuard();
    guard.add('get', NOW_MS, counts({ comparable: 5, mismatches: 5 }));
    const windows = (nowMs: number) => found(guard, 'inconsistency', nowMs).map(({ detail }) => detail);
    expect(windows(NOW_MS + insideMs)).toContain(name);
    expect(windows(NOW_MS + outsideMs)).not.toContain(name);
  });

  test.each([
    ['an hour', 60 * MINUTE_MS],
    ['a day', 1_440 * MINUTE_MS],
  ])('is found in every window after the clock was %s ahead for a while', (_name, aheadMs) => {
    const guard = newGuard();
    guard.add('get', NOW_MS + aheadMs, counts({ comparable: 50 }));
    expect(guard.findings(NOW_MS + aheadMs)).toEqual([]);
    expect(guard.findings(NOW_MS + 1_000)).toEqual([]);
    guard.add('get', NOW_MS + 1_000, counts({ comparable: 50, mismatches: 5 }));
    const findings = found(guard, 'inconsistency', NOW_MS + 2_000);
    expect(new Set(findings.map(({ detail }) => detail))).toEqual(new Set(['1m', '15m', '6h']));
    expect(findings[0]?.numbers).toMatchObject({ hits: 5, of: 100 });
  });

  test('is reset after a person has judged it', () => {
    const guard = newGuard();
    guard.add('get', NOW_MS, counts({ comparable: 5, mismatches: 5 }));
    guard.reset();
    expect(guard.findings(NOW_MS)).toEqual([]);
  });
});

describe('errors', () => {
  test.each([
    [
      'orchestrator',
      { orchestratorReads: 100, orchestratorFailures: 5 },
      { orchestratorReads: 105, orchestratorFailures: 5 },
    ],
    ['proxy', { operations: 100, proxyFailures: 5 }, { operations: 105, proxyFailures: 5 }],
  ])('of the %s: five of 100 trip, five of 105 do not', (who, enough, tooFew) => {
    const guard = newGuard();
    guard.add('get', NOW_MS, counts(enough));
    expect(found(guard, 'errors').filter(isTrip)[0]?.detail).toContain(who);
    const calm = newGuard();
    calm.add('get', NOW_MS, counts(tooFew));
    expect(trips(found(calm, 'errors'))).toBe(false);
    expect(found(calm, 'errors')[0]?.steps).toEqual(['drop_shadow_load', 'hold_ramp']);
  });

  test('of the last minute drop shadow load, older ones only block increases', () => {
    const guard = newGuard();
    guard.add('get', NOW_MS, counts({ orchestratorReads: 105, orchestratorFailures: 5 }));
    const stepsAt = (afterMs: number) =>
      new Set(found(guard, 'errors', NOW_MS + afterMs).flatMap(({ steps }) => steps));
    expect(stepsAt(59_000)).toEqual(new Set(['drop_shadow_load', 'hold_ramp']));
    expect(stepsAt(61_000)).toEqual(new Set(['hold_ramp']));
  });

  test('of 1 % and less are not a finding', () => {
    const guard = newGuard();
    guard.add('get', NOW_MS, counts({ operations: 1_000, proxyFailures: 10 }));
    expect(guard.findings(NOW_MS)).toEqual([]);
  });
});

/** A minute before {@link NOW_MS} with so many operations, of which so many are slow. */
function addMinute(
  guard: ServiceGuard,
  ago: number,
  { slow, all, slowMs = 101 }: Record<string, number> & { slow: number; all: number },
): void {
  const minute = noCounts();
  for (let index = 0; index < all; index += 1) recordAdded(minute, index < slow ? slowMs : 1);
  guard.add('get', NOW_MS - ago * MINUTE_MS, minute);
}

describe('latency', () => {
  test.each([
    [1, ['drop_shadow_load']],
    [2, ['drop_shadow_load', 'hold_ramp']],
    [3, ['reads_to_legacy']],
    [5, ['reads_to_legacy']],
  ])('%i slow minutes of five: %j', (minutes, steps) => {
    const guard = newGuard();
    for (let ago = 1; ago <= minutes; ago += 1) addMinute(guard, ago, { slow: 3, all: 40 });
    expect(found(guard, 'latency')[0]?.steps).toEqual(steps);
  });

  test.each([
    ['39 operations', { slow: 39, all: 39 }],
    ['exactly 5 % slow', { slow: 2, all: 40 }],
    ['exactly 100 ms', { slow: 40, all: 40, slowMs: 100 }],
  ])('a minute of %s is not slow', (_name, minute) => {
    const guard = newGuard();
    for (let ago = 1; ago <= 5; ago += 1) addMinute(guard, ago, minute);
    expect(found(guard, 'latency')).toEqual([]);
  });

  test.each([
    [3, 101, ['reads_to_legacy']],
    [2, 101, ['drop_shadow_load', 'hold_ramp']],
    [5, 100, undefined],
  ])('%i minutes of cut-over reads %i ms above legacy: %j', (minutes, ms, steps) => {
    const guard = newGuard();
    for (let ago = 1; ago <= minutes; ago += 1) {
      const minute = noCounts();
      for (let index = 0; index < 40; index += 1) {
        recordAdded(minute, 1);
        recordAboveLegacy(minute, index < 3 ? ms : 0);
      }
      guard.add('get', NOW_MS - ago * MINUTE_MS, minute);
    }
    const [slow] = found(guard, 'latency');
    expect(slow?.steps).toEqual(steps);
    expect(slow?.detail).toBe(steps && 'orchestrator slower than legacy');
  });

  test('the present minute, and the sixth before it, do not count', () => {
    const guard = newGuard();
    for (const ago of [0, 6, 7, 8]) addMinute(guard, ago, { slow: 40, all: 40 });
    expect(found(guard, 'latency')).toEqual([]);
  });

  test('p95 is interpolated within its bucket', () => {
    const minute = noCounts();
    expect(addedQuantile(minute, 0.95)).toBeNull();
    for (let index = 0; index < 100; index += 1) recordAdded(minute, index < 95 ? 3 : 400);
    expect(addedQuantile(minute, 0.95)).toBe(5);
    expect(addedQuantile(minute, 0.96)).toBeCloseTo(300);
    recordAdded(minute, 5_000);
    expect(addedQuantile(minute, 1)).toBe(Infinity);
  });

  test('p95 exceeds a limit of 50 ms only if 5 % of operations were slower', () => {
    const minute = noCounts();
    for (let index = 0; index < 1_000; index += 1) recordAdded(minute, index < 960 ? 28 : 80);
    expect(addedQuantile(minute, 0.95)).toBeLessThan(50);
    for (let index = 0; index < 20; index += 1) recordAdded(minute, 80);
    expect(addedQuantile(minute, 0.95)).toBeGreaterThan(50);
  });
});

describe('findings of reconciliations', () => {
  const full = { run: 1, lanes: 10_000, items: 100_000, notComparable: 0 };
  const stores = (items: number, fencedLanes: number, of: Partial<typeof full> | null = {}) => ({
    ...NO_TROUBLE,
    stores: { lanes: fencedLanes, fencedLanes, items, run: 1, full: of && { ...full, ...of } },
  });
  const early = ['alert', 'hold_ramp'];

  test.each([
    ['a single item alerts and holds the ramp', stores(1, 1), early],
    ['a thousandth of the items does not trip', stores(100, 1), early],
    ['more than a thousandth of the items trips', stores(101, 1), ['reads_to_legacy']],
    ['four of ten items prove nothing', stores(4, 2, { items: 10, lanes: 10 }), early],
    ['five of a hundred items trip', stores(5, 1, { items: 100 }), ['reads_to_legacy']],
    ['two of ten lanes prove nothing', stores(2, 2, { lanes: 10 }), early],
    ['three of ten lanes trip', stores(3, 3, { lanes: 10 }), ['reads_to_legacy']],
    ['ten of ten thousand lanes do not trip', stores(11, 10), early],
    ['eleven of ten thousand lanes trip', stores(11, 11), ['reads_to_legacy']],
    ['without a full reconciliation there is no share', stores(500, 50, null), early],
  ])('%s', (_name, troubled, steps) => {
    const guard = newGuard();
    guard.trouble(troubled);
    expect(found(guard, 'stores')[0]?.steps).toEqual(steps);
    const [level] = guard.levels(NOW_MS).filter(({ trigger }) => trigger === 'stores');
    expect((level?.reached ?? 0) >= 1).toBe(steps.includes('reads_to_legacy'));
  });

  test('stay until repaired or accepted, even after a release of the latch', () => {
    const guard = newGuard();
    guard.trouble(stores(101, 11));
    guard.reset();
    expect(trips(guard.findings(NOW_MS))).toBe(true);
    guard.trouble(stores(0, 0));
    expect(guard.findings(NOW_MS)).toEqual([]);
  });
});

describe('lanes with problems', () => {
  const ages = (...deadLetterAgesMs: number[]) => ({ ...NO_TROUBLE, deadLetterAgesMs });

  test.each([
    ['one dead letter, however old, alerts', ages(86_400_000), ['alert']],
    ['three lanes hold the ramp', ages(1, 1, 299_999), ['alert', 'hold_ramp']],
    ['two old ones and a young one do not trip', ages(300_000, 300_000, 299_999), ['alert', 'hold_ramp']],
    ['three for five minutes trip', ages(300_000, 300_000, 300_000), ['reads_to_legacy']],
  ])('%s', (_name, troubled, steps) => {
    const guard = newGuard();
    guard.trouble(troubled);
    expect(found(guard, 'dead_letters')[0]?.steps).toEqual(steps);
  });

  test('a lost item alerts and blocks increases, but moves no reads', () => {
    const guard = newGuard();
    guard.trouble({ ...NO_TROUBLE, lost: 20 });
    expect(found(guard, 'lost')[0]?.steps).toEqual(['alert', 'hold_ramp']);
    expect(trips(guard.findings(NOW_MS))).toBe(false);
  });

  test('stay until the journal changes, even after a release of the latch', () => {
    const guard = newGuard();
    guard.trouble({ ...NO_TROUBLE, lost: 1 });
    guard.reset();
    expect(found(guard, 'lost')).toHaveLength(1);
    guard.trouble({ ...NO_TROUBLE, lost: 0 });
    expect(guard.findings(NOW_MS)).toEqual([]);
  });
});

describe('triggers with an immediate trip', () => {
  test('a deleted item that is shown again', () => {
    const guard = newGuard();
    guard.seenAgain();
    expect(found(guard, 'deleted_item_seen').some(isTrip)).toBe(true);
  });

  test('an external signal, with its words', () => {
    const guard = newGuard();
    guard.signal('agents repeat questions');
    expect(found(guard, 'external')[0]).toMatchObject({
      steps: ['reads_to_legacy'],
      detail: 'agents repeat questions',
    });
  });
});

test('the cool-down doubles with every trip, up to a day', () => {
  expect([0, 1, 2, 3].map((earlier) => coolDownMs(earlier, 900_000) / 60_000)).toEqual([15, 30, 60, 120]);
  expect(coolDownMs(50, 900_000)).toBe(86_400_000);
});

describe('reads that cannot be compared', () => {
  test('are reported above 5 % beyond chance, and move no reads', () => {
    const guard = newGuard();
    guard.add('get', NOW_MS - 1_000, counts({ comparable: 900, notComparable: 100 }));
    const [finding] = found(guard, 'not_comparable');
    expect(finding).toMatchObject({ steps: ['alert'], detail: '15m', numbers: { hits: 100, of: 1_000 } });
    expect(trips(guard.findings(NOW_MS))).toBe(false);
    expect(guard.levels(NOW_MS).find(({ trigger }) => trigger === 'not_comparable')?.reached).toBe(1);
  });

  test('are ignored when rare, with few reads, or when it is over', () => {
    const rare = newGuard();
    rare.add('get', NOW_MS - 1_000, counts({ comparable: 950, notComparable: 50 }));
    expect(found(rare, 'not_comparable')).toEqual([]);
    const few = newGuard();
    few.add('get', NOW_MS - 1_000, counts({ notComparable: 39 }));
    expect(found(few, 'not_comparable')).toEqual([]);
    expect(few.levels(NOW_MS).find(({ trigger }) => trigger === 'not_comparable')?.reached).toBeLessThan(1);
    few.add('get', NOW_MS - 1_000, counts({ notComparable: 1 }));
    expect(found(few, 'not_comparable')).toHaveLength(1);
    expect(found(few, 'not_comparable', NOW_MS + 16 * MINUTE_MS)).toEqual([]);
    few.reset();
    expect(found(few, 'not_comparable')).toEqual([]);
  });
});

describe('legacy that differs in flipped lanes', () => {
  test('alerts and holds further flips, and never moves reads', () => {
    const guard = newGuard();
    guard.add('get', NOW_MS - 1_000, counts({ legacyMismatches: 10_000, flippedReads: 10_000 }));
    guard.trouble({ ...NO_TROUBLE, legacyDiffers: 5_000 });
    expect(guard.findings(NOW_MS)).toMatchObject([
      {
        trigger: 'legacy_differs',
        steps: ['alert', 'hold_flips'],
        numbers: { lanes: 5_000, comparisons: 10_000 },
      },
    ]);
  });

  test('is found for six hours after a comparison, and until a stored difference ends', () => {
    const guard = newGuard();
    guard.add('get', NOW_MS, counts({ legacyMismatches: 1 }));
    expect(found(guard, 'legacy_differs', NOW_MS + 359 * MINUTE_MS)).toHaveLength(1);
    expect(found(guard, 'legacy_differs', NOW_MS + 361 * MINUTE_MS)).toEqual([]);
    guard.trouble({ ...NO_TROUBLE, legacyDiffers: 1 });
    expect(found(guard, 'legacy_differs', NOW_MS + 999 * MINUTE_MS)).toHaveLength(1);
  });
});
