import { expect, test } from 'vitest';
import { type FenceReason, Fences, type FenceUse } from '../../../../src/engine/lane/fence.ts';
import type { LaneView } from '../../../../src/engine/ports/ports.ts';
import { coverageOf, fakeClock, laneNamed, readableJournal, stateOf } from '../engine-parts.ts';

interface Facts {
  view?: Partial<LaneView>;
  isAlone?: boolean;
  isSpilling?: boolean;
  finding?: number;
  use?: FenceUse;
}

/** Of a lane that the secondary holds, as far as the journal knows. */
function fencesThat(facts: Facts) {
  const lane = laneNamed('ann');
  const state = stateOf(lane, { seededCoverage: 1, finding: facts.finding ?? 0 });
  lane.adopt(state);
  const view: LaneView = { state, isBehind: false, coverage: 1, isReplicaSilent: false, ...facts.view };
  const fences = new Fences({
    journal: { fence: async () => view },
    coverage: coverageOf(1),
    clock: fakeClock(),
    isAlone: () => facts.isAlone ?? false,
    isSpilling: () => facts.isSpilling ?? false,
  });
  return fences.look(lane, facts.use);
}

test.each<[Facts, FenceReason | undefined]>([
  [{}, undefined],
  [{ view: { isReplicaSilent: true } }, 'replica_silent'],
  [{ view: { isReplicaSilent: true, isBehind: true } }, 'replica_silent'],
  [{ view: { isBehind: true } }, 'behind'],
  [{ view: { coverage: 2 } }, 'not_seeded'],
  [{ isSpilling: true }, 'spilling'],
  [{ finding: 3 }, 'differs'],
  [{ finding: 3, isAlone: true }, 'differs'],
  [{ finding: -3 }, undefined],
  // It is still compared.
  [{ finding: 3, use: 'compare' }, undefined],
  [{ finding: 3, use: 'compare', isAlone: true }, undefined],
  [{ finding: 3, use: 'compare', view: { isBehind: true } }, 'behind'],
  // Registered alone, nobody else may have written what the journal does not know.
  [{ isAlone: true, view: { isReplicaSilent: true } }, undefined],
])('a lane with the row %o is fenced by %s', async (facts, reason) => {
  expect(await fencesThat(facts)).toBe(reason);
});

test('a replica that spills does not answer reads from memory either', () => {
  const lane = laneNamed('ann');
  lane.adopt(stateOf(lane, { seededCoverage: 1 }));
  const facts = { isSpilling: false };
  const fences = new Fences({
    journal: readableJournal({}),
    coverage: coverageOf(1),
    clock: fakeClock(),
    isAlone: () => true,
    isSpilling: () => facts.isSpilling,
  });
  expect(fences.lookInMemory(lane)).toBeUndefined();
  facts.isSpilling = true;
  expect(fences.lookInMemory(lane)).toBe('spilling');
});

test('items that the orchestrator refused keep the reads of their lane on legacy', async () => {
  const state = stateOf(laneNamed('ann'), { seededCoverage: 1, exceptions: 1 });
  expect(await fencesThat({ view: { state } })).toBe('excepted');
});

test('a read that waited for its writes passes although the lane got new ones', async () => {
  const lane = laneNamed('ann');
  lane.adopt(stateOf(lane, { seededCoverage: 1 }));
  const fences = new Fences({
    journal: readableJournal({}),
    coverage: coverageOf(1),
    clock: fakeClock(),
    isAlone: () => true,
    isSpilling: () => false,
  });
  lane.appliedUpTo(3);
  const reason = fences.catchUp(lane, 1_000);
  lane.appliedUpTo(4);
  lane.deliveredUpTo(3);
  expect(await reason).toBeUndefined();
  expect(await fences.look(lane)).toBe('behind');
});
