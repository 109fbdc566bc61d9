import { afterEach, beforeEach, expect, test, vi } from 'vitest';
import { laneKeyOf, type LaneKey } from '../../../../src/domain/ids.ts';
import type { Lane } from '../../../../src/engine/lane/lane.ts';
import { createLanes } from '../../../../src/engine/lane/lanes.ts';
import { ForeignLanes } from '../../../../src/engine/replicas/foreign-lanes.ts';
import { fakeClock, ownerNamed, readableJournal, recorder, SERVICE } from '../engine-parts.ts';

beforeEach(() => {
  vi.useFakeTimers();
});
afterEach(() => {
  vi.useRealTimers();
});

const ANN = ownerNamed('ann');
const LOOKS_MS = 2_000;

/** A replica that is alone, with a lane that it takes for clean. */
async function createLooking() {
  const clock = fakeClock();
  const facts: { unwell: LaneKey[]; isHeld: boolean } = {
    unwell: [laneKeyOf(SERVICE, ANN)],
    isHeld: false,
  };
  const reads = readableJournal({});
  const journal = { ...reads, takeForeign: async () => new Map(), unwell: async () => facts.unwell };
  const lanes = createLanes(journal, clock, () => false);
  const lane = await lanes.load(SERVICE, ANN);
  const attended: Lane[] = [];
  const foreign = new ForeignLanes({
    unconfirmed: { look: async () => undefined },
    journal,
    lanes,
    clock,
    emit: recorder().emit,
    isAlone: () => true,
    copies: { holds: () => facts.isHeld },
    takeOver: {
      foreign: () => undefined,
      attend: (one) => void attended.push(one),
      recoverAgain: async () => undefined,
    },
  });
  foreign.start();
  return { lane, facts, attended, looks: (times: number) => clock.pass(times * LOOKS_MS) };
}

test('an unwell lane without work is attended to at the second check', async () => {
  const { lane, attended, looks } = await createLooking();
  await looks(1);
  expect(attended).toEqual([]);
  await looks(1);
  expect(attended).toEqual([lane]);
});

test('so is a lane that the journal calls copying and nothing copies', async () => {
  const { lane, attended, looks } = await createLooking();
  lane.beginCopy();
  await looks(2);
  expect(attended).toEqual([lane]);
});

test('a row read just before its copy ended proves nothing', async () => {
  const { facts, attended, looks } = await createLooking();
  await looks(1);
  facts.unwell = [];
  await looks(1);
  facts.unwell = [laneKeyOf(SERVICE, ANN)];
  await looks(1);
  expect(attended).toEqual([]);
});

test.each<[name: string, facts: { condition?: 'dirty'; settling?: number; isHeld?: boolean }]>([
  ['known to be dirty', { condition: 'dirty' }],
  ['being settled', { settling: 1 }],
  ['to be copied', { isHeld: true }],
])('a lane that is %s is already attended to', async (_name, { isHeld = false, ...state }) => {
  const { lane, facts, attended, looks } = await createLooking();
  if (state.condition === 'dirty') lane.markDirty();
  if (state.settling === 1) lane.beginSettling();
  facts.isHeld = isHeld;
  await looks(3);
  expect(attended).toEqual([]);
});
