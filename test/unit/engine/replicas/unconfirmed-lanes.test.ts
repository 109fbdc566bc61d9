import { afterEach, beforeEach, expect, test, vi } from 'vitest';
import { laneKeyOf } from '../../../../src/domain/ids.ts';
import type { LaneState } from '../../../../src/domain/lane.ts';
import type { Lane } from '../../../../src/engine/lane/lane.ts';
import { createLanes } from '../../../../src/engine/lane/lanes.ts';
import { UnconfirmedLanes } from '../../../../src/engine/replicas/unconfirmed-lanes.ts';
import { fakeClock, ownerNamed, SERVICE, stateOf, writeOf } from '../engine-parts.ts';

beforeEach(() => {
  vi.useFakeTimers();
});
afterEach(() => {
  vi.useRealTimers();
});

const ANN = laneKeyOf(SERVICE, ownerNamed('ann'));
const SECOND_MS = 1_000;

/** A replica that takes itself for the home of a lane, before a journal of which each row can be changed. */
async function createReplica(row: Partial<LaneState> = {}) {
  const clock = fakeClock();
  const journal = {
    state: stateOf({ key: ANN }, { sequence: 5, deliveredSequence: 5, seededCoverage: 1, ...row }),
    waiting: [] as number[],
    asked: 0,
    onAsked: () => {},
  };
  const done: string[] = [];
  const facts = { answeredMs: 0, isHeld: false, isHolding: false };
  const reads = {
    async lanes() {
      journal.asked += 1;
      journal.onAsked();
      return new Map([[ANN, journal.state]]);
    },
    pending: async () => journal.waiting.map((sequence) => writeOf({ key: ANN }, sequence)),
  };
  const lanes = createLanes(reads, clock, () => facts.isHeld);
  const lane = await lanes.load(SERVICE, ownerNamed('ann'));
  journal.asked = 0;
  const unconfirmed = new UnconfirmedLanes({
    journal: reads,
    lanes,
    deliverer: {
      isHolding: () => facts.isHolding,
      recordAgain: ({ delivered }) => void done.push(`recorded ${delivered}`),
      wake: () => undefined,
    },
    clock,
    membership: facts,
    copies: { holds: () => facts.isHeld },
    takeOver: { unseeded: () => void done.push('unseeded'), goOn: () => void done.push('goes on') },
  });
  return {
    lane,
    journal,
    facts,
    done,
    note: (): void => unconfirmed.note(ANN),
    look: (): Promise<void> => unconfirmed.look(),
    /** A heartbeat that is sent later is answered. */
    beats: async (): Promise<void> => {
      await clock.pass(SECOND_MS);
      facts.answeredMs = clock.now();
    },
  };
}

test('a delivery record that a database crash takes back is written again', async () => {
  const { lane, done, note, beats, look } = await createReplica({ deliveredSequence: 4 });
  lane.deliveredUpTo(5);
  note();
  await beats();
  await look();
  expect(done).toEqual(['recorded 5']);
});

test.each<[name: string, row: Partial<LaneState>, done: readonly string[]]>([
  ['of this home is made good', {}, ['unseeded']],
  ['that the record of its deliveries has let go of, too', { isHome: false }, ['unseeded']],
  ['that is not its own and stopped waits for a person', { isHome: false, condition: 'stopped' }, []],
])('a seeded lane that a database crash takes back %s', async (_name, row, expected) => {
  const { lane, done, note, beats, look } = await createReplica({ seededCoverage: 0, ...row });
  lane.seededUnder(1);
  note();
  await beats();
  await look();
  expect(done).toEqual(expected);
});

test('the journal is queried once, after a heartbeat that made the record durable', async () => {
  const { journal, note, beats, look } = await createReplica();
  note();
  await look();
  expect(journal.asked).toBe(0);
  await beats();
  await look();
  await look();
  expect(journal.asked).toBe(1);
});

test('work that was done meanwhile is checked again', async () => {
  const { journal, note, beats, look } = await createReplica();
  note();
  await beats();
  journal.onAsked = note;
  await look();
  journal.onAsked = () => {};
  await beats();
  await look();
  expect(journal.asked).toBe(2);
});

test('writes that wait in the journal for a lane without work are delivered', async () => {
  const { lane, journal, done, note, beats, look } = await createReplica({ sequence: 6 });
  lane.sequenced(lane.ownSequence + 2);
  journal.waiting = [6];
  note();
  await beats();
  await look();
  expect(done).toEqual(['goes on']);
});

test.each<[name: string, facts: { isHolding?: true; isHeld?: true }, row: Partial<LaneState>]>([
  ['waits to be delivered', { isHolding: true }, {}],
  ['is to be copied', { isHeld: true }, {}],
  ["is another replica's", {}, { isHome: false }],
  ['the journal calls dirty', {}, { condition: 'dirty' }],
])('a lane that %s is left alone', async (_name, facts, row) => {
  const { lane, journal, done, note, beats, look, ...replica } = await createReplica({ sequence: 6, ...row });
  Object.assign(replica.facts, facts);
  lane.sequenced(lane.ownSequence + 2);
  journal.waiting = [6];
  note();
  await beats();
  await look();
  expect(done).toEqual([]);
});

test('a newest write without effect does not count as waiting', async () => {
  const { lane, done, note, beats, look } = await createReplica({ sequence: 6 });
  lane.sequenced(lane.ownSequence + 2);
  note();
  await beats();
  await look();
  expect(done).toEqual([]);
});

test('an answer from before the lane was forgotten is ignored', async () => {
  const { lane, journal, done, note, beats, look } = await createReplica({ deliveredSequence: 4 });
  lane.deliveredUpTo(5);
  note();
  await beats();
  journal.onAsked = () => lane.forget();
  await look();
  expect(done).toEqual([]);
});

test.each<[Lane['condition']]>([['copying'], ['dirty']])(
  'a lane that is %s in memory only becomes clean after two checks',
  async (condition) => {
    const { lane, look } = await createReplica();
    if (condition === 'dirty') lane.markDirty();
    else lane.beginCopy();
    await look();
    expect(lane.condition).toBe(condition);
    await look();
    expect(lane.condition).toBe('clean');
  },
);

test('a lane that is being settled or copied is not queried', async () => {
  const { lane, journal, facts, look } = await createReplica();
  lane.markDirty();
  lane.beginSettling();
  await look();
  lane.endSettling();
  facts.isHeld = true;
  await look();
  expect(journal.asked).toBe(0);
});
