import { expect, test } from 'vitest';
import type { ItemFinding } from '../../../../src/engine/runs/attribute.ts';
import type { ComparedLane } from '../../../../src/engine/runs/lane-comparer.ts';
import { judgementOf } from '../../../../src/engine/shadow/lane-samples.ts';

const NOTHING = { items: 0, digest: '' };

function found(findings: readonly ItemFinding[], exists = true): ComparedLane {
  return {
    secondary: 'orchestrator',
    epoch: 0,
    verdict: findings.length === 0 ? 'equal' : 'different',
    sequence: exists ? 7 : 0,
    generation: 1,
    source: { exists, items: [] },
    listed: [],
    findings,
    removable: [],
    lost: [],
    forgotten: 0,
    before: NOTHING,
    after: NOTHING,
  };
}

test.each([
  ['racy', 'racy'],
  ['behind', 'racy'],
  ['not_seeded', 'not_seeded'],
  ['dirty', 'dirty'],
  ['stopped', 'dirty'],
  ['excepted', 'dirty'],
  ['unreadable: the JSON is incomplete or invalid', 'unreadable'],
] as const)('a lane that is %s is not comparable', (reason, expected) => {
  expect(judgementOf({ secondary: 'orchestrator', verdict: 'not_comparable', reason })).toMatchObject({
    verdict: 'not_comparable',
    reason: expected,
  });
});

test('equal lists match, and an owner on neither side proves nothing', () => {
  expect(judgementOf(found([])).verdict).toBe('match');
  expect(judgementOf(found([], false)).reason).toBe('unknown_lane');
  expect(judgementOf(found([{ side: 'unknown', kind: 'not_seeded' }])).reason).toBe('not_seeded');
});

test('a lost item is no error of the orchestrator, and hides no other error', () => {
  const lost: ItemFinding = { side: 'legacy', kind: 'lost', before: 'd1', memoryId: 'm1' };
  expect(judgementOf(found([lost]))).toMatchObject({ verdict: 'not_comparable', reason: 'lost' });
  const judged = judgementOf(found([lost, { side: 'unknown', kind: 'removed', after: '0123456789' }]));
  expect(judged.verdict).toBe('mismatch');
  expect(judged.differences).toEqual([
    {
      path: 'whole_lane[]',
      class: 'missing_in_orchestrator',
      legacy: 'item#01234567',
      orchestrator: 'absent',
      hint: 'missing_backfill',
    },
  ]);
});

test('an item that legacy lost in a flipped lane is a difference', () => {
  const lost: ItemFinding = { side: 'legacy', kind: 'lost', before: '0123456789' };
  expect(judgementOf({ ...found([lost]), secondary: 'legacy' })).toMatchObject({
    verdict: 'mismatch',
    differences: [{ class: 'extra_in_orchestrator', legacy: 'absent', orchestrator: 'item#01234567' }],
  });
});

test.each<[string, ItemFinding, string | undefined]>([
  ['what it lacks', { side: 'orchestrator', kind: 'removed' }, 'missing_backfill'],
  ['what was written past the proxy', { side: 'legacy', kind: 'added' }, 'missing_backfill'],
  ['another order', { side: 'orchestrator', kind: 'reordered' }, 'order'],
  ['what was altered, as its values say', { side: 'orchestrator', kind: 'altered', hint: 'clock' }, 'clock'],
  ['what was altered for no reason that shows', { side: 'orchestrator', kind: 'altered' }, undefined],
  ['what came back', { side: 'orchestrator', kind: 'resurrected' }, undefined],
])('a difference of whole lanes has a likely cause: %s', (_what, finding, hint) => {
  expect(judgementOf(found([finding])).differences.map((one) => one.hint)).toEqual([hint]);
});

test.each([
  [{ side: 'orchestrator', kind: 'altered' }, 'value'],
  [{ side: 'orchestrator', kind: 'added' }, 'extra_in_orchestrator'],
  [{ side: 'orchestrator', kind: 'resurrected' }, 'extra_in_orchestrator'],
  [{ side: 'orchestrator', kind: 'removed' }, 'missing_in_orchestrator'],
  [{ side: 'legacy', kind: 'added' }, 'missing_in_orchestrator'],
  [{ side: 'legacy', kind: 'reordered' }, 'order'],
] as const)('%o is a difference of class %s', (finding, expected) => {
  expect(judgementOf(found([finding])).differences.map((one) => one.class)).toEqual([expected]);
});
