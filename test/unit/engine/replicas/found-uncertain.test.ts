import { expect, test } from 'vitest';
import type { LaneState } from '../../../../src/domain/lane.ts';
import { TakeOver } from '../../../../src/engine/replicas/take-over.ts';
import { laneNamed, stateOf, takeOverParts } from '../engine-parts.ts';

function createTold() {
  const lane = laneNamed('ann');
  const facts = { outcomeRecorder: 0 };
  const settler = {
    resume(): void {
      facts.outcomeRecorder += 1;
      lane.beginSettling();
    },
    closeFound: () => undefined,
    copyAnew: () => undefined,
  };
  const takeOver = new TakeOver(takeOverParts({ settler }));
  const told = (state: Partial<LaneState>): number => {
    takeOver.foreign(lane, stateOf(lane, { condition: 'dirty', ...state }));
    return facts.outcomeRecorder;
  };
  return { lane, told };
}

test('uncertainty found by another replica is settled separately', () => {
  const { lane, told } = createTold();
  expect(told({ sequence: 1, foundUncertain: 1 })).toBe(1);
  expect(told({ sequence: 1, foundUncertain: 1 })).toBe(1);
  expect(told({ sequence: 2, foundUncertain: 1 })).toBe(1);
  expect(told({ sequence: 2, foundUncertain: 4 })).toBe(2);
  for (let settled = 0; settled < 2; settled += 1) lane.endSettling();
  expect(told({ sequence: 2, foundUncertain: 4 })).toBe(3);
});

test('a late unjournaled write of another replica makes the lane unseeded', () => {
  const { lane, told } = createTold();
  lane.seededUnder(3);
  told({ reason: 'unknown_outcome', seededCoverage: 3 });
  expect(lane.seededCoverage).toBe(3);
  told({ reason: 'late_unjournaled', seededCoverage: 3 });
  expect(lane.seededCoverage).toBe(0);
});
