import { afterEach, beforeEach, expect, test, vi } from 'vitest';
import { replicaId } from '../../../../src/domain/ids.ts';
import { createHoldLane } from '../../../../src/engine/lane/hold-lane.ts';
import { Lane } from '../../../../src/engine/lane/lane.ts';
import { ReplicaIdentity } from '../../../../src/engine/ports/replica-ports.ts';
import { fakeClock, ownerNamed, SERVICE, stateOf } from '../engine-parts.ts';

beforeEach(() => {
  vi.useFakeTimers();
});
afterEach(() => {
  vi.useRealTimers();
});

test('a lane held beyond its expiry may have been written to', async () => {
  const clock = fakeClock();
  const lane = new Lane(SERVICE, ownerNamed('ann'), clock);
  const asked: number[] = [];
  const hold = createHoldLane({
    journal: {
      hold: async (_lane: unknown, seconds: number) => {
        asked.push(seconds);
        return stateOf(lane);
      },
      releaseHold: async () => undefined,
    },
    clock,
    isAlone: () => false,
    identity: new ReplicaIdentity(() => replicaId('here')),
    mayAct: () => true,
    busy: () => undefined,
  });
  const held = await hold(lane, clock.now() + 1_000);
  const [seconds = 0] = asked;
  await clock.pass(seconds * 1_000 - 1);
  expect(held.isSure()).toBe(true);
  await clock.pass(1);
  expect(held.isSure()).toBe(false);
  held.release();
});

test('a replica that was given up holds no lane', async () => {
  const clock = fakeClock();
  const lane = new Lane(SERVICE, ownerNamed('ann'), clock);
  const facts = { mayAct: true };
  const identity = new ReplicaIdentity(() => replicaId(crypto.randomUUID()));
  const hold = createHoldLane({
    journal: {
      hold: async () => stateOf(lane),
      releaseHold: async () => undefined,
    },
    clock,
    isAlone: () => false,
    identity,
    mayAct: () => facts.mayAct,
    busy: () => undefined,
  });
  const first = await hold(lane, clock.now() + 1_000);
  facts.mayAct = false;
  expect(first.isSure()).toBe(false);
  facts.mayAct = true;
  expect(first.isSure()).toBe(true);
  // Under its new name it may act, but the hold was that of the old one.
  identity.renew();
  expect(first.isSure()).toBe(false);
  first.release();
});
