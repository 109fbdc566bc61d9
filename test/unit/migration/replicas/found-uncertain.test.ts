import { expect, test } from 'vitest';
import { TakeOver, type TakeOverParts } from '../../../../src/migration/replicas/take-over.ts';
import { laneNamed, recorder, SERVICE, stateOf } from '../engine-parts.ts';

test('what another replica found while its home settled is settled for itself; what it wrote, or is told again, is not', () => {
  const lane = laneNamed('ann');
  let settlements = 0;
  const takeOver = new TakeOver({
    services: new Map([[SERVICE, {}]]),
    settler: {
      resume() {
        settlements += 1;
        lane.settling += 1;
      },
    },
    emit: recorder().emit,
  } as unknown as TakeOverParts);
  const told = (sequence: number, foundUncertain: number): number => {
    takeOver.foreign(lane, stateOf(lane, { condition: 'dirty', sequence, foundUncertain }));
    return settlements;
  };
  expect(told(1, 1)).toBe(1);
  expect(told(1, 1)).toBe(1);
  expect(told(2, 1)).toBe(1);
  expect(told(2, 4)).toBe(2);
  lane.settling = 0;
  expect(told(2, 4)).toBe(3);
});
