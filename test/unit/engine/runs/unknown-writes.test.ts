import { expect, test } from 'vitest';
import { systemClock } from '../../../../src/shared/clock.ts';
import type { LaneKey } from '../../../../src/domain/ids.ts';
import { LaneComparer, type ComparerParts } from '../../../../src/engine/runs/lane-comparer.ts';
import { jarvisMemory } from '../../../../src/services/jarvis-memory.ts';
import { laneNamed, ownerNamed, SERVICE, stateOf } from '../engine-parts.ts';

const OWNER = ownerNamed('ann');

interface Knowledge {
  /** Whether this replica, or another one, may have written what the journal does not know: all the time, or only while it is read. */
  readonly isSpilling?: 'always' | 'while read';
  readonly isReplicaSilent?: boolean;
}

/** Compares a lane that legacy shows one item of, and the orchestrator none, and nothing of which moves in the journal. */
async function compared({ isSpilling, isReplicaSilent = false }: Knowledge) {
  let isSpilled = isSpilling === 'always';
  const lanes = {
    ...jarvisMemory.lanes,
    readLegacy: async () => {
      isSpilled ||= isSpilling === 'while read';
      return { exists: true, items: [{ at: '2026-01-01T00:00:00.000Z', fields: { memory: '"x"' } }] };
    },
  };
  const parts = {
    clock: {
      ...systemClock,
      sleep: async () => {
        isSpilled = isSpilling === 'always';
      },
    },
    timeoutMs: 1_000,
    isSpilling: () => isSpilled,
    services: new Map([[SERVICE, { name: SERVICE, definition: { ...jarvisMemory, lanes } }]]),
    coverage: new Map([[SERVICE, { number: 1, latest: 1 }]]),
    journal: {
      fence: async (key: LaneKey) => ({
        state: stateOf({ key }, { seededCoverage: 1 }),
        isBehind: false,
        coverage: 1,
        isReplicaSilent,
      }),
      lastApplied: async () => undefined,
    },
    lanes: { load: async () => laneNamed('ann') },
    hold: async () => ({ isSure: () => true, release: () => undefined }),
    baselines: { of: async () => undefined },
    orchestrator: {
      read: async () => ({ data: { session: null, items: [], consistent: true }, text: '{}' }),
    },
  };
  return new LaneComparer(parts as unknown as ComparerParts).compare(SERVICE, OWNER);
}

test('a lane is judged by the facts of the journal', async () => {
  expect(await compared({})).toMatchObject({ verdict: 'different' });
});

test('nothing is judged while writes may be spilled, even if that begins midway', async () => {
  for (const isSpilling of ['always', 'while read'] as const)
    expect(await compared({ isSpilling })).toEqual({ verdict: 'not_comparable', reason: 'spilling' });
});

test('nothing is judged while another replica is silent, because it may spill', async () => {
  expect(await compared({ isReplicaSilent: true })).toMatchObject({
    verdict: 'not_comparable',
    reason: 'replica_silent',
  });
});
