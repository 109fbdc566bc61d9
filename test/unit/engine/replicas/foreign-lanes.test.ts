import { afterEach, beforeEach, expect, test, vi } from 'vitest';
import { StorageError } from '../../../../src/domain/errors.ts';
import { laneKeyOf, type LaneKey } from '../../../../src/domain/ids.ts';
import type { LaneState } from '../../../../src/domain/lane.ts';
import { createLanes } from '../../../../src/engine/lane/lanes.ts';
import { ForeignLanes } from '../../../../src/engine/replicas/foreign-lanes.ts';
import { fakeClock, ownerNamed, recorder, SERVICE, stateOf } from '../engine-parts.ts';

beforeEach(() => {
  vi.useFakeTimers();
});
afterEach(() => {
  vi.useRealTimers();
});

test('every foreign change is reported, even if the journal goes away meanwhile', async () => {
  const clock = fakeClock();
  const { emit } = recorder();
  const keys = ['ann', 'bob'].map((name) => laneKeyOf(SERVICE, ownerNamed(name)));
  // As the journal does it: once the next question comes, the answer before it has arrived.
  const answers = [new Map<LaneKey, LaneState>(keys.map((key) => [key, stateOf({ key })]))];
  const journal = {
    takeForeign: async () => answers.shift() ?? new Map(),
    unwell: async () => [],
    lanes: (): Promise<never> => Promise.reject(new StorageError('away', { effect: 'not_applied' })),
  };
  const told: LaneKey[] = [];
  const foreign = new ForeignLanes({
    unconfirmed: { look: async () => undefined },
    journal,
    lanes: createLanes(journal, clock, () => false),
    clock,
    emit,
    isAlone: () => false,
    copies: { holds: () => true },
    takeOver: {
      foreign: (lane) => void told.push(lane.key),
      attend: () => undefined,
      recoverAgain: async () => undefined,
    },
  });
  foreign.start();
  await clock.pass(500);
  expect(told).toEqual(keys);
  const stopped = foreign.stop();
  await clock.pass(500);
  await stopped;
});
