import { expect, test } from 'vitest';
import { serviceName } from '../../../../src/domain/ids.ts';
import { isTrip } from '../../../../src/engine/ports/finding.ts';
import { ServiceGuard } from '../../../../src/engine/guard/guard.ts';
import { noCounts } from '../../../../src/engine/guard/guard-counts.ts';
import { GUARD_LIMITS, NO_TROUBLE, type TriggerLevel } from '../../../../src/engine/guard/triggers.ts';

const NOW = 1_000_000_000;

function guardWith(mismatches: number, comparable: number): ServiceGuard {
  const guard = new ServiceGuard(serviceName('session-memory'), GUARD_LIMITS);
  guard.add('get_context', NOW, { ...noCounts(), comparable, mismatches });
  return guard;
}

const levelOf = (guard: ServiceGuard, trigger: TriggerLevel['trigger']): TriggerLevel | undefined =>
  guard.levels(NOW).find((level) => level.trigger === trigger);

test('every trigger has one level, which is 0 while nothing happened', () => {
  const levels = new ServiceGuard(serviceName('session-memory'), GUARD_LIMITS).levels(NOW);
  expect(levels.map(({ trigger, reached }) => [trigger, reached])).toEqual([
    ['inconsistency', 0],
    ['errors', 0],
    ['latency', 0],
    ['deleted_item_seen', 0],
    ['dead_letters', 0],
    ['lost', 0],
    ['legacy_differs', 0],
    ['stores', 0],
    ['not_comparable', 0],
    ['not_compared', 0],
    ['external', 0],
  ]);
});

test('a rate approaches 1 with its hits, and is 1 exactly when the guard trips', () => {
  let before = 0;
  for (const mismatches of [1, 2, 3, 4, 5, 8, 20]) {
    const guard = guardWith(mismatches, 1_000);
    const reached = levelOf(guard, 'inconsistency')?.reached ?? NaN;
    expect(reached).toBeGreaterThanOrEqual(before);
    expect([mismatches, reached >= 1]).toEqual([mismatches, guard.findings(NOW).some(isTrip)]);
    before = reached;
  }
  expect(before).toBe(1);
});

test('a level names the action that is closest, with its numbers', () => {
  const guard = guardWith(4, 100);
  expect(levelOf(guard, 'inconsistency')).toMatchObject({ numbers: { hits: 4, of: 100, limit: 0.001 } });
  expect(levelOf(guard, 'inconsistency')?.reached).toBeCloseTo(0.8);
});

test('counts are compared with their limit', () => {
  const guard = guardWith(0, 10);
  guard.trouble({ ...NO_TROUBLE, deadLetterAgesMs: [GUARD_LIMITS.deadLetterMs, 1], lost: 2 });
  guard.signal('agents repeat themselves');
  guard.seenAgain();
  expect(levelOf(guard, 'dead_letters')?.reached).toBeCloseTo(1 / 3);
  for (const trigger of ['lost', 'external', 'deleted_item_seen'] as const)
    expect(levelOf(guard, trigger)?.reached).toBe(1);
});
