import { expect, test } from 'vitest';
import { systemClock } from '../../../../src/shared/clock.ts';
import { LaneComparer } from '../../../../src/engine/runs/lane-comparer.ts';
import { comparerParts, ownerNamed, SERVICE, servicesWith, viewOf } from '../engine-parts.ts';

const OWNER = ownerNamed('ann');

interface Knowledge {
  /** Whether this replica, or another one, may have written what the journal does not know: all the time, or only while it is read. */
  readonly isSpilling?: 'always' | 'while read';
  readonly isReplicaSilent?: boolean;
}

/** Compares a lane that legacy shows one item of, and the orchestrator none, and nothing of which moves in the journal. */
async function compared({ isSpilling, isReplicaSilent = false }: Knowledge) {
  let isSpilled = isSpilling === 'always';
  const item = { at: '2026-01-01T00:00:00.000Z', timestamp: '', fields: { memory: '"x"' } };
  const parts = comparerParts({
    clock: {
      ...systemClock,
      sleep: async () => {
        isSpilled = isSpilling === 'always';
      },
    },
    isSpilling: () => isSpilled,
    services: servicesWith({
      readLegacy: async () => {
        isSpilled ||= isSpilling === 'while read';
        return { exists: true, items: [item] };
      },
    }),
    journal: {
      fence: async (key) => ({ ...viewOf({ key }), isReplicaSilent }),
      lastApplied: async () => ({ nowMs: 0 }),
    },
  });
  return new LaneComparer(parts).compare(SERVICE, OWNER);
}

test('a lane is judged by the facts of the journal', async () => {
  expect(await compared({})).toMatchObject({ verdict: 'different' });
});

test('nothing is judged while writes may be spilled, even if that begins midway', async () => {
  for (const isSpilling of ['always', 'while read'] as const)
    expect(await compared({ isSpilling })).toMatchObject({ verdict: 'not_comparable', reason: 'spilling' });
});

test('nothing is judged while another replica is silent, because it may spill', async () => {
  expect(await compared({ isReplicaSilent: true })).toMatchObject({
    verdict: 'not_comparable',
    reason: 'replica_silent',
  });
});
