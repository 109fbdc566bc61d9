import { afterEach, beforeEach, describe, expect, test, vi } from 'vitest';
import { laneKeyOf, type LaneKey } from '../../../../src/domain/ids.ts';
import { createLanes } from '../../../../src/engine/lane/lanes.ts';
import type { LaneState } from '../../../../src/domain/lane.ts';
import { fakeClock, laneNamed, ownerNamed, readableJournal, SERVICE, stateOf } from '../engine-parts.ts';

beforeEach(() => {
  vi.useFakeTimers();
});
afterEach(() => {
  vi.useRealTimers();
});

describe('the fence of a lane', () => {
  const COVERAGE = 3;
  const clean = { seededCoverage: COVERAGE, sequence: 5, deliveredSequence: 5 };
  const cases = [
    { name: 'never seeded', state: { seededCoverage: 0 }, reason: 'not_seeded' },
    { name: 'seeded under an older coverage', state: { seededCoverage: 2 }, reason: 'not_seeded' },
    { name: 'dirty', state: { ...clean, condition: 'dirty' }, reason: 'dirty' },
    { name: 'being copied', state: { ...clean, condition: 'copying' }, reason: 'copying' },
    { name: 'stopped for a person', state: { ...clean, condition: 'stopped' }, reason: 'stopped' },
    { name: 'found different by a reconciliation', state: { ...clean, finding: 4 }, reason: 'differs' },
    { name: 'different until it was repaired', state: { ...clean, finding: -4 }, reason: undefined },
    { name: 'everything delivered', state: clean, reason: undefined },
  ] as const;
  test.each(cases)('$name: $reason', ({ state, reason }) => {
    const lane = laneNamed('ann');
    lane.adopt(stateOf(lane, state));
    expect(lane.fence(COVERAGE)).toBe(reason);
  });

  test('keeps reads on the primary while an applied write is not on the secondary', () => {
    const lane = laneNamed('ann');
    lane.adopt(stateOf(lane, clean));
    lane.appliedUpTo(6);
    expect(lane.fence(COVERAGE)).toBe('behind');
    lane.deliveredUpTo(6);
    expect(lane.fence(COVERAGE)).toBeUndefined();
  });

  test('keeps reads on the primary without coverage', () => {
    const lane = laneNamed('ann');
    lane.adopt(stateOf(lane, { seededCoverage: 0 }));
    expect(lane.fence(0)).toBe('not_seeded');
  });
});

test('a read that waits for a lane waits only for earlier writes', async () => {
  const lane = laneNamed('ann');
  lane.appliedUpTo(3);
  const caughtUp = lane.caughtUp(1_000);
  lane.appliedUpTo(5);
  lane.deliveredUpTo(3);
  expect(await caughtUp).toBe(true);
  expect(lane.isBehind).toBe(true);
  const late = lane.caughtUp(1_000);
  lane.deliveredUpTo(4);
  await vi.advanceTimersByTimeAsync(1_000);
  expect(await late).toBe(false);
});

describe('the journal’s row of a lane', () => {
  test('never replaces what this replica already knows', () => {
    const lane = laneNamed('ann');
    lane.adopt(stateOf(lane, { sequence: 9, generation: 2, seededCoverage: 1, deliveredSequence: 8 }));
    lane.deliveredUpTo(9);
    lane.adopt(stateOf(lane, { sequence: 7, generation: 1, deliveredSequence: 6 }));
    expect(lane).toMatchObject({ sequence: 9, generation: 2, seededCoverage: 1, delivered: 9 });
  });

  test('does not make a lane clean whose unknown outcome is being settled', () => {
    const lane = laneNamed('ann');
    lane.adopt(stateOf(lane, { isHome: false }));
    lane.markDirty();
    lane.beginSettling();
    lane.adopt(stateOf(lane, { isHome: false, condition: 'clean' }));
    expect(lane.condition).toBe('dirty');
    lane.endSettling();
    lane.adopt(stateOf(lane, { isHome: false, condition: 'clean' }));
    expect(lane.condition).toBe('clean');
  });

  test('changes nothing if it was read before a finding changed', () => {
    const lane = laneNamed('ann');
    lane.adopt(stateOf(lane, { seededCoverage: 1 }));
    lane.found(4);
    lane.adopt(stateOf(lane, { seededCoverage: 1 }));
    expect(lane.fence(1)).toBe('differs');
    lane.found(-4);
    lane.adopt(stateOf(lane, { seededCoverage: 1, finding: 4 }));
    expect(lane.fence(1)).toBeUndefined();
    lane.adopt(stateOf(lane, { seededCoverage: 1, finding: 5 }));
    expect(lane.fence(1)).toBe('differs');
  });

  test('does not end a copy that has begun since', () => {
    const lane = laneNamed('ann');
    lane.adopt(stateOf(lane));
    lane.beginCopy();
    lane.adopt(stateOf(lane, { condition: 'clean' }));
    expect(lane.condition).toBe('copying');
  });

  test('is queried once, and a lane without a row is new', async () => {
    const asked: string[] = [];
    const lanes = createLanes(
      readableJournal({ lanes: [{ owner: 'ann', state: { sequence: 4, condition: 'dirty' } }], asked }),
      fakeClock(),
      () => false,
    );
    const ann = await lanes.load(SERVICE, ownerNamed('ann'));
    expect(ann).toMatchObject({ sequence: 4, condition: 'dirty', isLoaded: true });
    expect(await lanes.load(SERVICE, ownerNamed('ann'))).toBe(ann);
    expect(await lanes.load(SERVICE, ownerNamed('bob'))).toMatchObject({ sequence: 0, condition: 'clean' });
    expect(asked).toEqual(['jarvis-memory/ann', 'jarvis-memory/bob']);
  });

  test('is queried for many lanes at once, page by page, each once', async () => {
    const questions: (readonly LaneKey[])[] = [];
    const journal = readableJournal({ lanes: [{ owner: 'owner-1', state: { sequence: 4 } }] });
    const counting = {
      ...journal,
      lanes: (keys: readonly LaneKey[]) => (questions.push(keys), journal.lanes(keys)),
    };
    const lanes = createLanes(counting, fakeClock(), () => false);
    await lanes.load(SERVICE, ownerNamed('owner-0'));
    const keys = Array.from({ length: 1_500 }, (_, index) =>
      laneKeyOf(SERVICE, ownerNamed(`owner-${index}`)),
    );
    const pages: number[][] = [];
    for await (const page of lanes.loadAll(keys)) pages.push(page.map(({ sequence }) => sequence));
    expect(pages.map(({ length }) => length)).toEqual([1_000, 500]);
    expect(pages[0]?.slice(0, 3)).toEqual([0, 4, 0]);
    expect(questions.map(({ length }) => length)).toEqual([1, 999, 500]);
  });
});

test('a gap in the sequences shows that another replica wrote to the lane', () => {
  const lane = laneNamed('ann');
  lane.sequenced(1);
  lane.sequenced(2);
  expect(lane.hasUnseen).toBe(false);
  lane.sequenced(4);
  expect(lane.hasUnseen).toBe(true);
});

describe('a change by another replica', () => {
  test('starts no copy if the home has copied the lane since the row was read', () => {
    const lane = laneNamed('ann');
    lane.adopt(stateOf(lane, { condition: 'clean' }));
    lane.adoptForeign(stateOf(lane, { condition: 'copying', sequence: 7 }));
    expect([lane.condition, lane.sequence]).toEqual(['clean', 7]);
  });

  test('does not end a copy that the home has begun since the row was read', () => {
    const lane = laneNamed('ann');
    lane.adopt(stateOf(lane, { condition: 'copying' }));
    lane.adoptForeign(stateOf(lane, { condition: 'clean' }));
    expect(lane.condition).toBe('copying');
  });

  test('makes a lane dirty, whatever its home knows', () => {
    const lane = laneNamed('ann');
    lane.adopt(stateOf(lane, { condition: 'clean' }));
    lane.adoptForeign(stateOf(lane, { condition: 'dirty' }));
    expect(lane.condition).toBe('dirty');
  });

  test('is adopted by the replica that becomes the home with it', () => {
    const lane = laneNamed('ann');
    lane.adopt(stateOf(lane, { condition: 'clean', isHome: false }));
    lane.adoptForeign(stateOf(lane, { condition: 'copying' }));
    expect(lane.condition).toBe('copying');
  });
});

describe('a read that waits for the secondary', () => {
  test('continues as soon as the last applied write is there, and not before', async () => {
    const lane = laneNamed('ann');
    lane.appliedUpTo(2);
    const caughtUp = lane.caughtUp(1_000);
    let isThere = false;
    void caughtUp.then(() => (isThere = true));
    lane.deliveredUpTo(1);
    await Promise.resolve();
    expect(isThere).toBe(false);
    lane.deliveredUpTo(2);
    expect(await caughtUp).toBe(true);
  });

  test('stops waiting in time', async () => {
    const clock = fakeClock();
    const lane = laneNamed('ann');
    lane.appliedUpTo(1);
    const waiting = lane.caughtUp(20);
    await clock.pass(20);
    expect(await waiting).toBe(false);
    lane.deliveredUpTo(1);
    expect(await lane.caughtUp(20)).toBe(true);
  });
});

test('only lanes without work in progress are dropped from memory', async () => {
  const held = ownerNamed('user-4');
  const lanes = createLanes(readableJournal({}), fakeClock(), ({ owner }) => owner === held);
  const named = (index: number) => lanes.of(SERVICE, ownerNamed(`user-${index}`));
  const busy = [named(0), named(1), named(2), named(3), named(4)] as const;
  for (const lane of busy) lane.adopt(stateOf(lane));
  await busy[0].turn.take(1_000);
  busy[1].appliedUpTo(1);
  busy[2].markDirty();
  busy[3].beginWrite();
  for (let index = 5; index <= 25_010; index += 1) named(index);
  expect(lanes.size).toBe(25_000);
  expect(busy.map((lane, index) => named(index) === lane)).toEqual([true, true, true, true, true]);
});

test('forgotten lanes stay the same objects and are loaded again', async () => {
  const asked: (readonly LaneKey[])[] = [];
  const journal = readableJournal({
    lanes: [{ owner: 'ann', state: { condition: 'dirty', isHome: false } }],
  });
  const counting = {
    ...journal,
    lanes: (keys: readonly LaneKey[]) => (asked.push(keys), journal.lanes(keys)),
  };
  const lanes = createLanes(counting, fakeClock(), () => false);
  const lane = lanes.of(SERVICE, ownerNamed('ann'));
  lane.adopt(stateOf(lane, { condition: 'copying' }));
  lanes.forget();
  expect(lanes.of(SERVICE, ownerNamed('ann'))).toBe(lane);
  expect(await lanes.load(SERVICE, ownerNamed('ann'))).toMatchObject({ condition: 'dirty', isHome: false });
  expect(asked).toHaveLength(1);
});

test('an answer from before a lane was forgotten is ignored', async () => {
  const answers: ((condition: 'clean' | 'stopped') => void)[] = [];
  const key = laneKeyOf(SERVICE, ownerNamed('ann'));
  const journal = {
    lanes: () =>
      new Promise<ReadonlyMap<LaneKey, LaneState>>((resolve) => {
        answers.push((condition) => resolve(new Map([[key, stateOf({ key }, { condition })]])));
      }),
  };
  const lanes = createLanes(journal, fakeClock(), () => false);
  const loading = lanes.load(SERVICE, ownerNamed('ann'));
  lanes.forget();
  answers[0]?.('clean');
  await vi.advanceTimersByTimeAsync(0);
  expect(answers).toHaveLength(2);
  answers[1]?.('stopped');
  expect((await loading).condition).toBe('stopped');
});
