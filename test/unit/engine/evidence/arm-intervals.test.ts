import { expect, test } from 'vitest';
import type { LaneKey } from '../../../../src/domain/ids.ts';
import {
  GroupedTally,
  groupOf,
  GROUPS,
  type Interval,
  meanRatio,
  pairedDifference,
  rateDifference,
  rateInterval,
  ratioOfMeans,
} from '../../../../src/engine/evidence/arm-intervals.ts';

/** Mulberry32: the same numbers every time. */
function createRandom(seed: number): () => number {
  let state = seed;
  return () => {
    state = (state + 0x6d2b79f5) | 0;
    let mixed = Math.imul(state ^ (state >>> 15), 1 | state);
    mixed = (mixed + Math.imul(mixed ^ (mixed >>> 7), 61 | mixed)) ^ mixed;
    return ((mixed ^ (mixed >>> 14)) >>> 0) / 2 ** 32;
  };
}

function createNormal(random: () => number): () => number {
  return () => Math.sqrt(-2 * Math.log(1 - random())) * Math.cos(2 * Math.PI * random());
}

const laneOf = (index: number): LaneKey => `service/owner-${index}` as LaneKey;
const RUNS = 600;
/** Of 600 intervals of 95 %, by three standard deviations. */
const LEAST_COVERED = 0.92;

/** How often the truth is within an interval. */
function covered(truth: number, intervalOf: (run: number) => Interval | null): number {
  let hits = 0;
  for (let run = 0; run < RUNS; run += 1) {
    const interval = intervalOf(run);
    if (interval !== null && interval.lower <= truth && truth <= interval.upper) hits += 1;
  }
  return hits / RUNS;
}

test('lanes are spread over all groups, each always in the same', () => {
  const counts = Array.from({ length: GROUPS }, () => 0);
  for (let index = 0; index < 64_000; index += 1) {
    const group = groupOf(laneOf(index));
    counts[group] = (counts[group] ?? 0) + 1;
  }
  expect(Math.min(...counts)).toBeGreaterThan(800);
  expect(Math.max(...counts)).toBeLessThan(1_200);
  expect(groupOf(laneOf(7))).toBe(groupOf(laneOf(7)));
});

test.each([12, 60, 400])(
  'of %i correlated lanes, the latency ratio is covered as often as promised',
  (lanes) => {
    const truth = Math.log(1.2);
    const share = covered(1.2, (run) => {
      const random = createRandom(run * 7 + lanes);
      const normal = createNormal(random);
      const [slow, fast] = [new GroupedTally(), new GroupedTally()];
      for (let lane = 0; lane < lanes; lane += 1) {
        const [mean, arm] = lane % 2 === 0 ? [truth, slow] : [0, fast];
        // A lane is slow or fast as a whole: what its reads have in common.
        const habit = mean + 0.5 * normal();
        for (let read = 0; read < 30; read += 1)
          arm.add(groupOf(laneOf(lane + run * lanes)), habit + 0.3 * normal());
      }
      return ratioOfMeans(slow.estimate(), fast.estimate());
    });
    expect(share).toBeGreaterThan(LEAST_COVERED);
  },
);

test('an interval that treats every read as its own lane would be too narrow', () => {
  const normal = createNormal(createRandom(5));
  const tally = new GroupedTally();
  for (let lane = 0; lane < 100; lane += 1) {
    const habit = normal();
    for (let read = 0; read < 100; read += 1) tally.add(groupOf(laneOf(lane)), habit);
  }
  const { error } = tally.estimate();
  expect(error).toBeGreaterThan(5 * (1 / Math.sqrt(10_000)));
});

test.each([0.01, 0.05])('a difference of failure rates around %d is covered, also if clustered', (base) => {
  for (const heap of [1, 10]) {
    const share = covered(base, (run) => {
      const random = createRandom(run * 13 + heap);
      const [one, other] = [new GroupedTally(), new GroupedTally()];
      for (let lane = 0; lane < 300; lane += 1) {
        const [arm, rate] = lane % 2 === 0 ? [one, 2 * base] : [other, base];
        for (let beat = 0; beat < 30 / heap; beat += 1) {
          const isFailed = random() < rate;
          for (let read = 0; read < heap; read += 1) arm.add(groupOf(laneOf(lane)), isFailed ? 1 : 0);
        }
      }
      return rateDifference(one.estimate(), other.estimate());
    });
    expect(share, `heaps of ${heap}`).toBeGreaterThan(LEAST_COVERED);
  }
});

test('without failures the interval still gives the possible rate', () => {
  const none = new GroupedTally();
  for (let lane = 0; lane < 1_000; lane += 1) none.add(groupOf(laneOf(lane)), 0);
  const interval = rateInterval(none.estimate());
  expect(interval).toMatchObject({ value: 0, lower: 0 });
  expect(interval?.upper).toBeCloseTo(0.00368, 4);
  expect(rateDifference(none.estimate(), none.estimate())).toMatchObject({ value: 0 });
  const pairs = pairedDifference(none.estimate(), none.estimate());
  expect(pairs?.upper).toBeGreaterThan(0.001);
  expect(pairs?.lower).toBeLessThan(-0.001);
});

test('a difference in pairs is found with few, with the orchestrator’s sign', () => {
  const [latency, worse, better] = [new GroupedTally(), new GroupedTally(), new GroupedTally()];
  const normal = createNormal(createRandom(11));
  for (let pair = 0; pair < 200; pair += 1) {
    const group = groupOf(laneOf(pair));
    latency.add(group, Math.log(2) + 0.1 * normal());
    worse.add(group, pair % 10 === 0 ? 1 : 0);
    better.add(group, 0);
  }
  const ratio = meanRatio(latency.estimate());
  expect(ratio?.value).toBeCloseTo(2, 1);
  expect(ratio?.lower).toBeGreaterThan(1.9);
  const failures = pairedDifference(worse.estimate(), better.estimate());
  expect(failures?.value).toBeCloseTo(0.1, 5);
  expect(failures?.lower).toBeGreaterThan(0.03);
});

test('fewer than five groups of lanes give no result', () => {
  const few = new GroupedTally();
  for (let group = 0; group < 4; group += 1) for (let read = 0; read < 1_000; read += 1) few.add(group, 1);
  expect(meanRatio(few.estimate())).toBeNull();
  expect(ratioOfMeans(few.estimate(), few.estimate())).toBeNull();
  expect(rateDifference(few.estimate(), few.estimate())).toBeNull();
  expect(pairedDifference(few.estimate(), few.estimate())).toBeNull();
  expect(rateInterval(new GroupedTally().estimate())).toBeNull();
});
