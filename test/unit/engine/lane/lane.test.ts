import { describe, expect, test } from 'vitest';
import type { LaneCondition } from '../../../../src/domain/lane.ts';
import type { Lane } from '../../../../src/engine/lane/lane.ts';
import { fenceOf, fenceOfRow, type FenceFacts, type FenceReason } from '../../../../src/engine/lane/fence.ts';
import { laneNamed, stateOf } from '../engine-parts.ts';

const CONDITIONS = ['clean', 'dirty', 'copying', 'stopped'] as const;

function laneThatIs(condition: LaneCondition): Lane {
  const lane = laneNamed('ann');
  lane.adopt(stateOf(lane, { condition, isHome: false }));
  return lane;
}

const TRANSITIONS: Readonly<Record<string, (lane: Lane) => unknown>> = {
  markDirty: (lane) => lane.markDirty(),
  beginCopy: (lane) => lane.beginCopy(),
  abandonCopy: (lane) => lane.abandonCopy(lane.beginCopy()),
  finishCopy: (lane) => lane.finishCopy(stateOf(lane), { coverage: 1, sequence: 0 }),
  stop: (lane) => lane.stop(),
};

/** What each transition makes of a lane that is clean, dirty, copying, stopped. */
const TABLE: readonly (readonly [string, ...LaneCondition[]])[] = [
  ['markDirty', 'dirty', 'dirty', 'dirty', 'stopped'],
  ['beginCopy', 'copying', 'copying', 'copying', 'copying'],
  ['abandonCopy', 'clean', 'dirty', 'copying', 'stopped'],
  ['finishCopy', 'clean', 'dirty', 'clean', 'stopped'],
  ['stop', 'stopped', 'stopped', 'stopped', 'stopped'],
];

describe('a lane', () => {
  test.each(TABLE)('%s leads to the condition that the table names', (name, ...after) => {
    const found = CONDITIONS.map((condition) => {
      const lane = laneThatIs(condition);
      TRANSITIONS[name]?.(lane);
      return lane.condition;
    });
    expect(found).toEqual(after);
  });

  test('that another replica wrote to is not made clean by an older row', () => {
    const lane = laneThatIs('clean');
    lane.beginSettling();
    lane.markDirty();
    lane.adopt(stateOf(lane, { isHome: false }));
    expect(lane.condition).toBe('dirty');
  });

  test('is not moved back by a write that is reported late', () => {
    const lane = laneThatIs('clean');
    lane.appliedUpTo(4);
    lane.appliedUpTo(2);
    lane.deliveredUpTo(3);
    lane.deliveredUpTo(1);
    expect(lane).toMatchObject({ applied: 4, delivered: 3, isBehind: true });
  });

  test('drops a reply whose end is known, and keeps the order of the others', () => {
    const lane = laneThatIs('clean');
    const [first, second, third] = ['1', '2', '3'].map((request) => ({
      operation: request as never,
      action: 'add',
      request,
      known: Promise.resolve(),
      lacksReply: false,
      sinceMs: 0,
    }));
    for (const reply of [first, second, third]) if (reply !== undefined) lane.awaitReply(reply);
    if (second !== undefined) lane.replyKnown(second);
    expect(lane.replying).toEqual([first, third]);
  });
});

const OPEN: FenceFacts = { seededCoverage: 1, condition: 'clean', exceptions: 0, finding: 0 };
const CLOSED: readonly (readonly [FenceReason, Partial<FenceFacts>])[] = [
  ['replica_silent', { isReplicaSilent: true }],
  ['dirty', { condition: 'dirty' }],
  ['copying', { condition: 'copying' }],
  ['not_seeded', { seededCoverage: 2 }],
  ['stopped', { condition: 'stopped' }],
  ['excepted', { exceptions: 1 }],
  ['differs', { finding: 1 }],
  ['behind', { isBehind: true }],
];

describe('the fence', () => {
  test('is open if nothing closes it', () => {
    expect(fenceOf(OPEN, 1)).toBeUndefined();
    expect(fenceOf(OPEN, 0)).toBe('not_seeded');
  });

  test.each(CLOSED)('is closed by %s, also with every later reason', (reason, facts) => {
    expect(fenceOf({ ...OPEN, ...facts }, 1)).toBe(reason);
    const later = CLOSED.slice(CLOSED.findIndex(([one]) => one === reason) + 1);
    for (const [, others] of later) expect(fenceOf({ ...OPEN, ...others, ...facts }, 1)).toBe(reason);
  });

  test('lets comparisons see a known difference, and of stores also a stopped lane', () => {
    expect(fenceOf({ ...OPEN, finding: 1 }, 1, 'compare')).toBeUndefined();
    expect(fenceOf({ ...OPEN, condition: 'stopped' }, 1, 'compare')).toBe('stopped');
    expect(fenceOf({ ...OPEN, finding: 1, condition: 'stopped' }, 1, 'compare_stores')).toBeUndefined();
  });

  const LEGACY_MISSES: ReadonlySet<FenceReason> = new Set(['replica_silent', 'behind']);
  test.each(CLOSED)('of a flipped lane asks only what legacy may lack: %s', (reason, facts) => {
    const found = fenceOf({ ...OPEN, ...facts, primary: 'orchestrator' }, 1);
    expect(found).toBe(LEGACY_MISSES.has(reason) ? reason : undefined);
  });

  test('of a flipped lane is closed while a write is being closed, by no coverage', () => {
    const lane = laneThatIs('clean');
    lane.adopt(stateOf(lane, { primary: 'orchestrator', epoch: 1 }));
    expect(lane.fence(7)).toBeUndefined();
    lane.beginClosing();
    expect(lane.fence(7)).toBe('behind');
    lane.endClosing();
    const state = stateOf(lane, { primary: 'orchestrator', epoch: 1 });
    const view = { state, isBehind: false, isReplicaSilent: false, coverage: 2 };
    expect(fenceOfRow(view, 7)).toBeUndefined();
    expect(fenceOfRow({ ...view, isBehind: true }, 7)).toBe('behind');
  });

  test('is closed by a row of another coverage, and without a row', () => {
    const view = {
      state: stateOf({ key: 'a' }, { seededCoverage: 1 }),
      isBehind: false,
      isReplicaSilent: false,
    };
    expect(fenceOfRow({ ...view, coverage: 1 }, 1)).toBeUndefined();
    expect(fenceOfRow({ ...view, coverage: 2 }, 1)).toBe('not_seeded');
    expect(fenceOfRow(undefined, 1)).toBe('not_seeded');
  });
});
