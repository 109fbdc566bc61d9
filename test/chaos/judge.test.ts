import { expect, test } from 'vitest';
import type { StoreContents } from '../accept/stores.ts';
import { judge } from './judge.ts';
import { LaneRecord, type Certainty } from './lane-book.ts';

const NOTHING: StoreContents = {
  sessions: new Map(),
  entries: new Map(),
  decisions: new Map(),
  memories: new Map(),
};

/** A lane of jarvis-memory whose writes were told one after the other: a text, or `clear`, and what became of it. */
function laneOf(writes: readonly (readonly [what: string, certainty: Certainty])[]): LaneRecord {
  const lane = new LaneRecord('jarvis-memory', 'ann');
  writes.forEach(([what, certainty], index) => {
    const kind = what === 'clear' ? 'clear' : 'add';
    const endedAtMs = certainty === 'unknown' ? Infinity : index + 0.5;
    lane.writes.push({ kind, text: what, sentAtMs: index, endedAtMs, certainty });
  });
  lane.close(1_000);
  return lane;
}

function storeOf(texts: readonly string[]): StoreContents {
  return { ...NOTHING, memories: new Map([['ann', texts.map((text) => JSON.stringify(text))]]) };
}

interface Found {
  readonly legacy: readonly string[];
  readonly orchestrator?: readonly string[];
  readonly isStopped?: boolean;
  readonly isFlipped?: boolean;
  readonly isHalted?: boolean;
  readonly isEnded?: boolean;
}

function countsOf(lane: LaneRecord, { legacy, orchestrator = legacy, ...is }: Found) {
  const where = (isIn = false, key = lane.key) => new Set(isIn ? [key] : []);
  const { counts } = judge([lane], {
    legacy: storeOf(legacy),
    orchestrator: storeOf(orchestrator),
    stopped: where(is.isStopped),
    flipped: where(is.isFlipped),
    halted: where(is.isHalted),
    ended: where(is.isEnded, lane.service),
  });
  return Object.fromEntries(Object.entries(counts).filter(([, count]) => count > 0));
}

const A: readonly [string, Certainty] = ['a', 'acknowledged'];
const B: readonly [string, Certainty] = ['b', 'acknowledged'];
const CLEAR: readonly [string, Certainty] = ['clear', 'acknowledged'];
const PERHAPS: readonly [string, Certainty] = ['p', 'unknown'];

test.each<[name: string, writes: readonly (readonly [string, Certainty])[], found: Found]>([
  ['everything acknowledged is on both', [A, B], { legacy: ['a', 'b'] }],
  ['an unknown write took effect', [A, PERHAPS, B], { legacy: ['a', 'p', 'b'] }],
  ['an unknown write took effect late', [A, PERHAPS, B], { legacy: ['a', 'b', 'p'] }],
  ['an unknown write took none', [A, PERHAPS, B], { legacy: ['a', 'b'] }],
  ['a clear took away what came before', [A, CLEAR, B], { legacy: ['b'] }],
  ['an unknown clear took effect late', [A, ['clear', 'unknown'], B], { legacy: [] }],
  ['a refused write is nowhere', [A, ['r', 'refused']], { legacy: ['a'] }],
])('nothing is wrong where %s', (_name, writes, found) => {
  expect(countsOf(laneOf(writes), found)).toEqual({});
});

test.each<[name: string, writes: readonly (readonly [string, Certainty])[], found: Found, counts: object]>([
  ['missing on legacy', [A, B], { legacy: ['a'] }, { lost: 1 }],
  ['missing on the orchestrator', [A, B], { legacy: ['a', 'b'], orchestrator: ['a'] }, { lost: 1 }],
  ['missing on both', [A, B], { legacy: ['b'], orchestrator: ['b'] }, { lost: 1 }],
  ['twice on legacy', [A], { legacy: ['a', 'a'], orchestrator: ['a'] }, { duplicated: 1, misordered: 1 }],
  ['twice on the orchestrator', [A], { legacy: ['a'], orchestrator: ['a', 'a'] }, { duplicated: 1 }],
  ['there although it was refused', [A, ['r', 'refused']], { legacy: ['a', 'r'] }, { duplicated: 1 }],
  ['in another order on both', [A, B], { legacy: ['b', 'a'] }, { misordered: 1 }],
  [
    'in another order on the orchestrator',
    [A, B],
    { legacy: ['a', 'b'], orchestrator: ['b', 'a'] },
    { misordered: 1 },
  ],
  ['back on legacy', [A, CLEAR], { legacy: ['a'] }, { resurrected: 1 }],
  ['back on the orchestrator', [A, CLEAR], { legacy: [], orchestrator: ['a'] }, { resurrected: 1 }],
  ['on the orchestrator alone', [PERHAPS], { legacy: [], orchestrator: ['p'] }, { resurrected: 1 }],
  ['on a lane that was stopped for nothing', [A], { legacy: ['a'], isStopped: true }, { lost: 1 }],
])('an item is noticed that is %s', (_name, writes, found, counts) => {
  expect(countsOf(laneOf(writes), found)).toEqual(counts);
});

test('an item that a service lost with its file is counted apart, and may stay', () => {
  const lane = laneOf([A, B]);
  lane.losses.push({ fromMs: 0.9, untilMs: 5 });
  expect(countsOf(lane, { legacy: ['a'], orchestrator: ['a', 'b'] })).toEqual({ lost_by_legacy: 1 });
  expect(countsOf(lane, { legacy: ['a'], orchestrator: ['a', 'b'], isStopped: true })).toEqual({
    lost_by_legacy: 1,
  });
  // Gone from both without a word.
  expect(countsOf(lane, { legacy: ['a'], orchestrator: ['a'] })).toEqual({ lost_by_legacy: 1, lost: 1 });
  // Only what was written meanwhile.
  expect(countsOf(lane, { legacy: ['b'], orchestrator: ['b'] })).toEqual({ lost: 1 });
});

test('a deleted item of a stopped lane stays on the orchestrator until a decision', () => {
  const lane = laneOf([A, B, CLEAR]);
  lane.losses.push({ fromMs: 0.9, untilMs: 1.9 });
  const found = { legacy: [], orchestrator: ['a', 'b'] };
  expect(countsOf(lane, { ...found, isStopped: true })).toEqual({});
  expect(countsOf(lane, found)).toEqual({ resurrected: 1 });
  // A clear of before the loss was delivered, or is lost with it.
  Object.assign(lane.losses[0] ?? {}, { fromMs: 2.9, untilMs: 3.9 });
  expect(countsOf(lane, { ...found, isStopped: true })).toEqual({ resurrected: 2 });
});

test('a read that showed too little counts as lost', () => {
  const lane = laneOf([A]);
  lane.staleReads.push('jarvis-memory/ann: a read showed 0 items');
  expect(countsOf(lane, { legacy: ['a'] })).toEqual({ lost: 1 });
});

const FLIPPED = { isFlipped: true };

test.each<[name: string, writes: readonly (readonly [string, Certainty])[], found: Found, counts: object]>([
  [
    'it is missing on the orchestrator',
    [A, B],
    { legacy: ['a', 'b'], orchestrator: ['a'] },
    { lost: 1, resurrected: 1 },
  ],
  ['its reverse delivery is missing', [A, B], { legacy: ['a'], orchestrator: ['a', 'b'] }, { lost: 1 }],
  ['its reverse delivery came twice', [A], { legacy: ['a', 'a'], orchestrator: ['a'] }, { duplicated: 1 }],
  ['legacy has another order', [A, B], { legacy: ['b', 'a'], orchestrator: ['a', 'b'] }, { misordered: 1 }],
  ['its delete never came to legacy', [A, CLEAR], { legacy: ['a'], orchestrator: [] }, { resurrected: 1 }],
  [
    'its lane waits for a person',
    [A, B],
    { legacy: ['a'], orchestrator: ['a', 'b'], isHalted: true },
    { lost: 1 },
  ],
])('a fault of a flipped lane is noticed where %s', (_name, writes, found, counts) => {
  expect(countsOf(laneOf(writes), { ...found, ...FLIPPED })).toEqual(counts);
});

test('legacy of a service that has ended may lack writes, and the orchestrator may not', () => {
  const found = { ...FLIPPED, isEnded: true };
  expect(countsOf(laneOf([A, B]), { legacy: ['a'], orchestrator: ['a', 'b'], ...found })).toEqual({});
  expect(countsOf(laneOf([A, B]), { legacy: ['a', 'b'], orchestrator: ['a'], ...found })).toEqual({
    lost: 1,
  });
});

test('what legacy lost of a flipped lane with its file is on the orchestrator', () => {
  const lane = laneOf([A, B]);
  lane.losses.push({ fromMs: 0.9, untilMs: 5 });
  expect(countsOf(lane, { legacy: ['a'], orchestrator: ['a', 'b'], ...FLIPPED })).toEqual({});
  expect(countsOf(lane, { legacy: [], orchestrator: ['a', 'b'], ...FLIPPED })).toEqual({ lost: 1 });
});
