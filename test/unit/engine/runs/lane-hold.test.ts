import { expect, test } from 'vitest';
import { systemClock } from '../../../../src/shared/clock.ts';
import type { LaneKey } from '../../../../src/domain/ids.ts';
import { LaneComparer } from '../../../../src/engine/runs/lane-comparer.ts';
import { comparerParts, ownerNamed, SERVICE, servicesWith, viewOf } from '../engine-parts.ts';

const OWNER = ownerNamed('ann');
/** Every look without a hold sees another write. */
const LOOKS_BEFORE_HOLD = 3;

/** A lane that agents write to but while it is held, and a legacy store that, while it is held, answers only when it is released. */
function busyLane({ writesAfterRelease }: { writesAfterRelease: boolean }) {
  const seen: string[] = [];
  let [sequence, isHeld, looks] = [1, false, 0];
  const released = Promise.withResolvers<undefined>();
  const view = (key: LaneKey) => viewOf({ key }, { sequence: isHeld ? sequence : ++sequence });
  const readLegacy = async () => {
    looks += 1;
    if (looks > LOOKS_BEFORE_HOLD) await released.promise;
    seen.push('read');
    return { exists: true, items: [] };
  };
  const parts = comparerParts({
    clock: {
      ...systemClock,
      sleep: (ms: number, signal?: AbortSignal) => systemClock.sleep(ms / 50, signal),
    },
    services: servicesWith({ readLegacy }),
    journal: { fence: async (key) => view(key), lastApplied: async () => ({ nowMs: 0 }) },
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
  });
  return { seen, comparer: new LaneComparer(parts) };
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
    secondary: 'orchestrator',
    verdict: 'not_comparable',
    reason: 'racy',
  });
});
