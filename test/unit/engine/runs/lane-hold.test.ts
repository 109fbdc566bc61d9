import { expect, test } from 'vitest';
import { systemClock } from '../../../../src/shared/clock.ts';
import type { LaneKey } from '../../../../src/domain/ids.ts';
import type { Journal } from '../../../../src/engine/ports/ports.ts';
import { LaneComparer, type ComparerParts } from '../../../../src/engine/runs/lane-comparer.ts';
import { jarvisMemory } from '../../../../src/services/jarvis-memory.ts';
import { laneNamed, ownerNamed, SERVICE, stateOf } from '../engine-parts.ts';

const OWNER = ownerNamed('ann');
/** Every look without a hold sees another write. */
const LOOKS_BEFORE_HOLD = 3;

/** A lane that agents write to but while it is held, and a legacy store that, while it is held, answers only when it is let go. */
function busyLane({ writesAfterRelease }: { writesAfterRelease: boolean }) {
  const seen: string[] = [];
  let [sequence, isHeld, looks] = [1, false, 0];
  const released = Promise.withResolvers<undefined>();
  const view = (key: LaneKey) => ({
    state: stateOf({ key }, { seededCoverage: 1, sequence: isHeld ? sequence : ++sequence }),
    isBehind: false,
    coverage: 1,
    isReplicaSilent: false,
  });
  const readLegacy = async () => {
    looks += 1;
    if (looks > LOOKS_BEFORE_HOLD) await released.promise;
    seen.push('read');
    return { exists: true, items: [] };
  };
  const parts = {
    clock: {
      ...systemClock,
      sleep: (ms: number, signal?: AbortSignal) => systemClock.sleep(ms / 50, signal),
    },
    timeoutMs: 1_000,
    isSpilling: () => false,
    services: new Map([
      [
        SERVICE,
        { name: SERVICE, definition: { ...jarvisMemory, lanes: { ...jarvisMemory.lanes, readLegacy } } },
      ],
    ]),
    coverage: new Map([[SERVICE, { number: 1, latest: 1 }]]),
    journal: {
      fence: async (key: LaneKey) => view(key),
      lastApplied: async () => undefined,
    } as unknown as Journal,
    lanes: { load: async () => laneNamed('ann') },
    orchestrator: {
      read: async () => ({ data: { session: null, items: [], consistent: true }, text: '{}' }),
    },
    hold: async () => {
      isHeld = true;
      seen.push('held');
      const release = () => {
        if (writesAfterRelease) isHeld = false;
        seen.push('released');
        released.resolve(undefined);
      };
      return { isSure: () => true, release };
    },
  };
  return { seen, comparer: new LaneComparer(parts as unknown as ComparerParts) };
}

const PATIENCE = { catchUpMs: 250, holdMs: 250 };

test('a hold ends in time while the store is read, and the reading still counts', async () => {
  const { seen, comparer } = busyLane({ writesAfterRelease: false });
  expect(await comparer.compare(SERVICE, OWNER, PATIENCE)).toMatchObject({ verdict: 'equal' });
  expect(seen.slice(-3)).toEqual(['held', 'released', 'read']);
  expect(seen.filter((what) => what === 'released')).toHaveLength(1);
});

test('a reading of a lane that was written to after its hold proves nothing', async () => {
  const { comparer } = busyLane({ writesAfterRelease: true });
  expect(await comparer.compare(SERVICE, OWNER, PATIENCE)).toEqual({
    verdict: 'not_comparable',
    reason: 'racy',
  });
});
