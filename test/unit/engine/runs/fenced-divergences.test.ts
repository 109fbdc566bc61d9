import { expect, test } from 'vitest';
import type { DivergenceStore, LaneFinding } from '../../../../src/engine/runs/divergence-ports.ts';
import { fencedDivergences } from '../../../../src/engine/runs/fenced-divergences.ts';
import { laneNamed, ownerNamed, SERVICE, stateOf } from '../engine-parts.ts';

const OWNER = ownerNamed('ann');
const found = (finding: number): LaneFinding => ({ service: SERVICE, owner: OWNER, finding });
const changed = (finding: number): readonly LaneFinding[] => [found(finding)];

/** A store that answers as PostgreSQL does, over one lane that is known in memory. */
function fenced(isAlone: boolean) {
  const lane = laneNamed('ann');
  lane.adopt(stateOf(lane, { seededCoverage: 1 }));
  const told: string[] = [];
  const store: DivergenceStore = {
    add: async () => changed(7),
    equal: async () => changed(-7),
    resolve: async () => changed(-7),
    accept: async () => ({ result: 'accepted', run: 1, findings: 1, lane: found(-7) }),
    open: async () => [],
    ofRun: async () => [],
    undone: async () => undefined,
    standing: async () => new Map(),
  };
  const tellHome = async ({ key }: { readonly key: string }): Promise<void> => void told.push(key);
  return {
    lane,
    told,
    store: fencedDivergences(store, { lanes: { of: () => lane }, isAlone: () => isAlone, tellHome }),
  };
}

test.each([
  ['found equal', (store: DivergenceStore) => store.equal(SERVICE, [OWNER])],
  ['repaired', (store: DivergenceStore) => store.resolve(SERVICE, OWNER, 'repaired')],
  ['accepted', (store: DivergenceStore) => store.accept(SERVICE, OWNER, { person: 'ann', reason: 'known' })],
])('a replica registered alone fences a lane at once, until it is %s', async (_name, end) => {
  const { lane, told, store } = fenced(true);
  await store.add(1, {} as never);
  expect(lane.fence(1)).toBe('differs');
  await end(store);
  expect(lane.fence(1)).toBeUndefined();
  expect(told).toEqual([]);
});

test('with other replicas the home of the lane is notified', async () => {
  const { lane, told, store } = fenced(false);
  await store.add(1, {} as never);
  expect(told).toEqual([lane.key]);
});
