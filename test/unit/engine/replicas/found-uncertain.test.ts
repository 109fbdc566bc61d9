import { expect, test } from 'vitest';
import type { LaneState } from '../../../../src/domain/lane.ts';
import { TakeOver, type TakeOverParts } from '../../../../src/engine/replicas/take-over.ts';
import { laneNamed, recorder, SERVICE, stateOf } from '../engine-parts.ts';

function createTold() {
  const lane = laneNamed('ann');
  const facts = { settlements: 0 };
  const takeOver = new TakeOver({
    services: new Map([[SERVICE, {}]]),
    settler: {
      resume() {
        facts.settlements += 1;
        lane.beginSettling();
      },
    },
    emit: recorder().emit,
  } as unknown as TakeOverParts);
  const told = (state: Partial<LaneState>): number => {
    takeOver.foreign(lane, stateOf(lane, { condition: 'dirty', ...state }));
    return facts.settlements;
  };
  return { lane, told };
}

test('what another replica found while its home settled is settled for itself; what it wrote, or is told again, is not', () => {
  const { lane, told } = createTold();
  expect(told({ sequence: 1, foundUncertain: 1 })).toBe(1);
  expect(told({ sequence: 1, foundUncertain: 1 })).toBe(1);
  expect(told({ sequence: 2, foundUncertain: 1 })).toBe(1);
  expect(told({ sequence: 2, foundUncertain: 4 })).toBe(2);
  for (let settled = 0; settled < 2; settled += 1) lane.endSettling();
  expect(told({ sequence: 2, foundUncertain: 4 })).toBe(3);
});

test('what another replica’s unjournaled write changed late is no loss: the lane counts as never seeded', () => {
  const { lane, told } = createTold();
  lane.seededUnder(3);
  told({ reason: 'unknown_outcome', seededCoverage: 3 });
  expect(lane.seededCoverage).toBe(3);
  told({ reason: 'late_unjournaled', seededCoverage: 3 });
  expect(lane.seededCoverage).toBe(0);
});
