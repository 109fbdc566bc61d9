import { describe, expect, test } from 'vitest';
import { BacklogLimit } from '../../../../src/engine/writes/backlog-limit.ts';
import type { Lane } from '../../../../src/engine/lane/lane.ts';
import { laneNamed, servicesWith, stateOf } from '../engine-parts.ts';

/** So many writes of the lane are applied on the primary, and none is delivered. */
function waiting(name: string, writes: number): Lane {
  const lane = laneNamed(name);
  lane.adopt(stateOf(lane, { sequence: writes, seededCoverage: 1 }));
  lane.appliedUpTo(writes);
  return lane;
}

const LIMITS = { lane: 10, total: 25 };

function limitOver(lanes: readonly Lane[], retention?: { readonly entries: number }, isOpen = true) {
  let nowMs = 0;
  const limit = new BacklogLimit({
    limits: LIMITS,
    services: servicesWith(retention && { retention }),
    clock: { now: () => nowMs, wallMs: () => nowMs, sleep: async () => undefined },
    waiting: () => lanes,
    isOpen: () => isOpen,
  });
  return { limit, pass: (ms: number) => (nowMs += ms) };
}

describe('the backlog of a lane', () => {
  test.for([
    ['at its limit', 10, false],
    ['above it', 11, true],
  ] as const)('with %s and %i writes, a copy is due: %s', ([, writes, isOver]) => {
    const lane = waiting('ann', writes);
    expect(limitOver([lane]).limit.isOver(lane)).toBe(isOver);
  });

  test('counts waiting writes, and not all writes', () => {
    const lane = waiting('ann', 500);
    lane.deliveredUpTo(495);
    expect(limitOver([lane]).limit.isOver(lane)).toBe(false);
  });

  test('has no limit if the service forgets entries that a copy would miss', () => {
    const lane = waiting('ann', 11);
    expect(limitOver([lane], { entries: 5 }).limit.isOver(lane)).toBe(false);
  });

  test.for(['dirty', 'copying', 'stopped'] as const)('does not apply to a lane that is %s', (condition) => {
    const lane = waiting('ann', 11);
    lane.adopt(stateOf(lane, { condition, isHome: false }));
    expect(limitOver([lane]).limit.isOver(lane)).toBe(false);
  });
});

test('above the total limit copies each lane with a write, counted every second', () => {
  const lanes = ['ann', 'bob', 'cid'].map((name) => waiting(name, 8));
  const [ann = waiting('', 0)] = lanes;
  const { limit, pass } = limitOver(lanes);
  expect(limit.isOver(ann)).toBe(false);
  lanes.push(waiting('dee', 2));
  expect(limit.isOver(ann)).toBe(false);
  pass(1_000);
  expect(limit.isOver(ann)).toBe(true);
});

describe('while legacy is read-only', () => {
  const moved = (name: string, writes: number): Lane => {
    const lane = waiting(name, writes);
    lane.adopt(stateOf(lane, { primary: 'orchestrator', epoch: 1, sequence: writes, seededCoverage: 1 }));
    return lane;
  };

  test('no backlog of a moved lane is too long, because its writes wait on purpose', () => {
    const lane = moved('ann', 11);
    expect(limitOver([lane], undefined, true).limit.isOver(lane)).toBe(true);
    expect(limitOver([lane], undefined, false).limit.isOver(lane)).toBe(false);
  });

  test('the writes that wait on purpose do not count in the total', () => {
    const [ann, long] = [waiting('ann', 1), moved('bob', 40)];
    expect(limitOver([ann, long], undefined, true).limit.isOver(ann)).toBe(true);
    expect(limitOver([ann, long], undefined, false).limit.isOver(ann)).toBe(false);
  });
});
