import { expect, test } from 'vitest';
import { StorageError } from '../../../../src/domain/errors.ts';
import { createFlipLane, type FlipLaneParts, HOLD_MS } from '../../../../src/engine/flips/flip-lane.ts';
import type { FlipDecision } from '../../../../src/engine/ports/flip-ports.ts';
import { laneNamed, recorder, stateOf, viewOf } from '../engine-parts.ts';

const SHARE = { number: 4, percentage: 100, version: '1-own' };
const HELD = { epoch: 0, generation: 2, sequence: 3 };
const GROUND = { share: SHARE, facts: {}, isVerified: () => true };
const AWAY = new StorageError('the journal is away', { effect: 'unknown' });

async function failed(): Promise<never> {
  throw AWAY;
}

async function unchanged(): Promise<undefined> {
  return undefined;
}

/** A lane with sequence 3, whose journal carries out every statement. Time passes only while something waits. */
function flipping(
  facts: Partial<FlipLaneParts['store']> = {},
  journal: Partial<FlipLaneParts['journal']> = {},
  { placeOf, isVerified }: { placeOf?: FlipLaneParts['placeOf']; isVerified?: () => boolean } = {},
) {
  const lane = laneNamed('ann');
  const seen = { calls: [] as string[], decision: undefined as FlipDecision | undefined, behindFor: 0 };
  let nowMs = 0;
  const clock = {
    now: () => nowMs,
    wallMs: () => nowMs,
    sleep: async (ms: number) => {
      nowMs += ms;
    },
  };
  const told = (name: string): void => void seen.calls.push(name);
  const { emit, names } = recorder();
  const flip = createFlipLane({
    store: {
      async announce(_lane, ms) {
        told(`announce ${ms}`);
        return { state: stateOf(lane, { sequence: 3 }), claim: 7 };
      },
      async withdraw() {
        told('withdraw');
      },
      async flip(_lane, decision) {
        told('flip');
        seen.decision = decision;
        return stateOf(lane, { sequence: 3, epoch: 1, primary: 'orchestrator', isHome: false });
      },
      ...facts,
    },
    journal: {
      async fence() {
        told('fence');
        seen.behindFor -= 1;
        return { ...viewOf(lane, { sequence: 3 }), isBehind: seen.behindFor >= 0 };
      },
      ...journal,
    },
    hurry: () => told('hurry'),
    placeOf:
      placeOf ??
      (async () => {
        told('look');
        return HELD;
      }),
    isInUse: () => false,
    mayAct: () => true,
    clock,
    emit,
  });
  return {
    lane,
    seen,
    names,
    flip: () => flip(lane, { ...GROUND, ...(isVerified && { isVerified }) }),
    clock,
  };
}

test('a lane is announced, drained, flipped and released', async () => {
  const { lane, seen, names, flip } = flipping();
  seen.behindFor = 2;
  expect(await flip()).toBeUndefined();
  expect(seen.calls).toEqual([`announce ${HOLD_MS}`, 'hurry', 'fence', 'fence', 'fence', 'look', 'flip']);
  expect(names()).toEqual([
    'flip:announced',
    'flip:draining',
    'flip:drained',
    'flip:committed',
    'lane:flipped',
  ]);
  expect(seen.decision).toMatchObject({
    to: 'orchestrator',
    epoch: 0,
    sequence: 3,
    claim: 7,
    permission: { share: 4, version: '1-own' },
    held: HELD,
  });
  expect(lane).toMatchObject({ primary: 'orchestrator', epoch: 1 });
  expect(lane.turn.isTaken).toBe(false);
});

// The lesson: everything is bounded. Vitess and gh-ost abort a cut-over by themselves, because a hold without a limit is an outage.
test('writes wait no longer than the limit, whatever takes too long', async () => {
  const slow = flipping();
  slow.seen.behindFor = Infinity;
  expect(await slow.flip()).toBe('not_drained');
  expect(slow.clock.now()).toBeLessThanOrEqual(HOLD_MS + 5);
  expect(slow.seen.calls.at(-1)).toBe('withdraw');
  const foreign = flipping({ announce: async () => undefined });
  expect(await foreign.flip()).toBe('held_elsewhere');
  expect(foreign.clock.now()).toBeLessThanOrEqual(HOLD_MS + 5);
});

// The lesson: an aborted switch restores exactly the state before (vitess#13999 left denied tables behind).
test.each([
  ['the announcement', { announce: failed }, {}],
  ['the drain', {}, { fence: failed }],
  ['the flip', { flip: failed }, {}],
  ['the withdrawal', { flip: unchanged, withdraw: failed }, {}],
] as const)(
  'a journal that fails in %s leaves the lane and its writes on legacy',
  async (...[, store, journal]) => {
    const { lane, flip } = flipping(store, journal);
    expect(await flip()).toBe('journal_failed');
    expect(lane.primary).toBe('legacy');
    expect(lane.isLoaded).toBe(false);
    expect(lane.turn.isTaken).toBe(false);
  },
);

test('a lane whose facts have changed stays on legacy', async () => {
  const { lane, seen, flip } = flipping({ flip: async () => undefined });
  expect(await flip()).toBe('changed');
  expect(seen.calls.at(-1)).toBe('withdraw');
  expect(lane).toMatchObject({ primary: 'legacy', epoch: 0 });
});

test('a lane with a write under way is not announced before the write ends', async () => {
  const { lane, seen, flip } = flipping();
  const release = await lane.turn.take(Infinity);
  const flipped = flip();
  await new Promise((resolve) => setImmediate(resolve));
  expect(seen.calls).toEqual([]);
  release();
  expect(await flipped).toBeUndefined();
});

// The lesson: the lease is checked before every step. A holder that lost it may do nothing but stop.
test('a replica that was given up during the drain does not flip', async () => {
  const facts = { mayAct: true };
  const { lane } = flipping();
  const calls: string[] = [];
  const flip = createFlipLane({
    store: {
      announce: async () => ({ state: stateOf(lane), claim: 1 }),
      withdraw: async () => void calls.push('withdraw'),
      flip: async (): Promise<undefined> => void calls.push('flip'),
    },
    journal: {
      fence: async () => {
        facts.mayAct = false;
        return viewOf(lane);
      },
    },
    hurry: () => undefined,
    placeOf: async () => undefined,
    isInUse: () => false,
    mayAct: () => facts.mayAct,
    clock: { now: () => 0, wallMs: () => 0, sleep: async () => undefined },
    emit: recorder().emit,
  });
  expect(await flip(lane, GROUND)).toBe('not_drained');
  expect(calls).toEqual(['withdraw']);
});

test.each([
  ['whose database was restored since the lane was compared', { isVerified: () => false }, 'changed'],
  ['that is away', { placeOf: failed }, 'orchestrator_away'],
] as const)('a lane does not move to an orchestrator %s', async (_what, look, failure) => {
  const { flip, seen } = flipping({}, {}, look);
  expect(await flip()).toBe(failure);
  expect(seen.calls).not.toContain('flip');
  expect(seen.calls.at(-1)).toBe('withdraw');
});
