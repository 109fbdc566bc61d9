import { beforeEach, expect, test } from 'vitest';
import { type LaneKey, operationId, replicaId, serviceName } from '../../../src/domain/ids.ts';
import type { MigrationEvents } from '../../../src/engine/ports/events.ts';
import { abNumbers, abStatuses } from '../../../src/operator/ab-status.ts';
import { ActionArms, Arms } from '../../../src/operator/arms.ts';

const SERVICE = serviceName('session-memory');
const OF = { operationId: operationId('o-1'), service: SERVICE, action: 'get_context' };
const MINUTE_MS = 60_000;
const LANES = 40;

let nowMs: number;
let arms: Arms;

beforeEach(() => {
  nowMs = 0;
  arms = new Arms({ wallMs: () => nowMs });
});

const laneOf = (index: number): LaneKey => `${SERVICE}/owner-${index}` as LaneKey;

function replied(lane: number, facts: Partial<MigrationEvents['operation:replied']>): void {
  const event = { ...OF, kind: 'read', status: 'answered', durationMs: 10, primaryMs: 9, ...facts } as const;
  arms.listener('operation:replied', { ...event, lane: laneOf(lane) });
}

const paired = (lane: number, facts: Partial<MigrationEvents['shadow:paired']>): void =>
  arms.listener('shadow:paired', {
    ...OF,
    lane: laneOf(lane),
    primary: 'legacy',
    legacy: { ms: 10, isFailure: false },
    orchestrator: { ms: 30, isFailure: false },
    ...facts,
  });

const status = () => abStatuses(arms, SERVICE)['get_context'];

test('a read counts for its lane’s backend, even if legacy had to answer', () => {
  for (let lane = 0; lane < LANES; lane += 1) {
    replied(lane, { assigned: 'orchestrator', backend: 'orchestrator', durationMs: 20 });
    replied(lane, { assigned: 'orchestrator', backend: 'legacy', durationMs: 20 });
    replied(lane + LANES, { assigned: 'legacy', backend: 'legacy', durationMs: 10 });
  }
  expect(status()).toMatchObject({
    window_minutes: 60,
    orchestrator: { reads: 2 * LANES, fallbacks: LANES, failure_rate: [0, 0, expect.any(Number)] },
    legacy: { reads: LANES },
    latency_ratio: [2, 2, 2],
  });
});

test('reads that only one backend can answer are not counted', () => {
  replied(1, { backend: 'legacy' });
  arms.listener('operation:replied', {
    ...OF,
    kind: 'read',
    status: 'answered',
    durationMs: 1,
    primaryMs: 1,
  });
  expect(status()).toBeUndefined();
});

test('a failure is what the agent saw', () => {
  for (let lane = 0; lane < LANES; lane += 1) {
    replied(lane, {
      assigned: 'orchestrator',
      status: lane % 4 === 0 ? 'timeout' : 'answered',
      backend: 'orchestrator',
    });
    replied(lane + LANES, { assigned: 'legacy', status: 'refused', backend: 'legacy' });
  }
  const rate = (value: number) => [value, expect.any(Number), expect.any(Number)];
  expect(status()).toMatchObject({
    orchestrator: { failure_rate: rate(0.25) },
    legacy: { failure_rate: rate(0) },
    failure_difference: rate(0.25),
  });
  const [, lower] = status()?.failure_difference ?? [];
  expect(lower).toBeGreaterThan(0);
});

test('pairs show which side failed alone; without both answers there is no ratio', () => {
  for (let lane = 0; lane < LANES; lane += 1) {
    paired(lane, {});
    paired(lane, { orchestrator: { isFailure: true } });
    paired(lane, { legacy: { ms: 1, isFailure: true }, orchestrator: { ms: 3, isFailure: true } });
  }
  expect(status()?.paired).toMatchObject({ pairs: 3 * LANES, latency_ratio: [3, 3, 3] });
  expect(status()?.paired.failure_difference?.[0]).toBeCloseTo(1 / 3, 3);
});

test('the p95 of the same reads is compared, with an interval once there are enough', () => {
  const pairOf = (legacyMs: number, orchestratorMs: number): void =>
    paired(1, {
      legacy: { ms: legacyMs, isFailure: false },
      orchestrator: { ms: orchestratorMs, isFailure: false },
    });
  for (let pair = 0; pair < 50; pair += 1) pairOf(2, 2);
  expect(status()?.paired.p95).toMatchObject({ difference_ms: null });
  for (let pair = 0; pair < 950; pair += 1) pairOf(2, pair % 10 === 0 ? 120 : 2);
  const p95 = status()?.paired.p95;
  const [value, lower, upper] = p95?.difference_ms ?? [NaN, NaN, NaN];
  expect(value).toBeGreaterThan(105);
  expect(upper).toBeGreaterThanOrEqual(value);
  expect(lower).toBeLessThanOrEqual(value);
  expect(lower).toBeGreaterThan(5);
  expect(p95?.ratio).toBeGreaterThan(50);
});

test('equally fast backends differ by less than a millisecond', () => {
  for (let pair = 0; pair < 2_000; pair += 1) {
    const ms = 2 + (pair % 7) / 10;
    paired(1, { legacy: { ms, isFailure: false }, orchestrator: { ms, isFailure: false } });
  }
  const [value = NaN, , upper = NaN] = status()?.paired.p95.difference_ms ?? [];
  expect(value).toBe(0);
  expect(upper).toBeLessThan(1);
});

test('a read is dropped after an hour', () => {
  replied(1, { assigned: 'legacy', backend: 'legacy' });
  nowMs = 30 * MINUTE_MS;
  replied(2, { assigned: 'legacy', backend: 'legacy' });
  nowMs = 59 * MINUTE_MS;
  expect(status()?.legacy.reads).toBe(2);
  nowMs = 65 * MINUTE_MS;
  expect(status()?.legacy.reads).toBe(1);
  nowMs = 95 * MINUTE_MS;
  expect(status()).toBeUndefined();
});

const OTHER = replicaId('0d9b0c9e-0000-4000-8000-000000000002');
const throughJson = <Value>(value: Value): Value => JSON.parse(JSON.stringify(value)) as Value;

test('another replica’s sums are added once, however often they are read', () => {
  const other = new Arms({ wallMs: () => nowMs });
  for (let lane = 0; lane < LANES; lane += 1) {
    replied(lane, { assigned: 'legacy', backend: 'legacy', durationMs: 10 });
    const event = { ...OF, kind: 'read', status: 'timeout', durationMs: 20, primaryMs: 19 } as const;
    other.listener('operation:replied', { ...event, assigned: 'orchestrator', lane: laneOf(lane + LANES) });
  }
  const slices = throughJson(other.takeChanged()).map((slice) => ({ ...slice, replica: OTHER }));
  expect(slices).toHaveLength(1);
  arms.adopt(slices);
  arms.adopt(slices);
  expect(status()).toMatchObject({
    orchestrator: { reads: LANES, failure_rate: [1, expect.any(Number), 1] },
    legacy: { reads: LANES, p50_ms: expect.any(Number) },
    latency_ratio: [2, 2, 2],
    failure_difference: [1, expect.any(Number), 1],
  });
  nowMs = 65 * MINUTE_MS;
  expect(status()).toBeUndefined();
});

test('only changes are stored again, and failed ones stay pending', () => {
  replied(1, { assigned: 'legacy', backend: 'legacy' });
  const first = arms.takeChanged();
  expect(first.map(({ counts }) => counts.legacy.fallbacks)).toEqual([0]);
  expect(arms.takeChanged()).toEqual([]);
  arms.putBack(first);
  replied(2, { assigned: 'legacy', backend: 'legacy' });
  const [again] = arms.takeChanged();
  expect(again?.counts.legacy.failures.counts.reduce((sum, one) => sum + one, 0)).toBe(2);
});

test('stored sums equal the original ones', () => {
  const [before, after] = [new ActionArms(), new ActionArms()];
  for (let group = 0; group < LANES; group += 1) {
    before.arms.legacy.latency.add(group, Math.log(3 + group));
    before.arms.legacy.histogram.record(3 + group);
    before.pairs.onlyLegacyFailed.add(group, group % 2);
  }
  after.add(throughJson(before.counts()));
  const [told, kept] = [abNumbers(before), abNumbers(after)];
  expect(kept).toEqual(told);
  expect(kept.legacy.p95_ms).toBeGreaterThan(30);
});
