import { beforeEach, expect, test } from 'vitest';
import { operationId, serviceName, type LaneKey } from '../../../src/domain/ids.ts';
import type { MigrationEvents } from '../../../src/migration/events.ts';
import { abStatuses } from '../../../src/operator/ab-status.ts';
import { Arms } from '../../../src/operator/arms.ts';
import { fakeClock } from '../migration/engine-parts.ts';

const SERVICE = serviceName('session-memory');
const OF = { operationId: operationId('o-1'), service: SERVICE, action: 'get_context' };
const MINUTE_MS = 60_000;
const LANES = 40;

let nowMs: number;
let arms: Arms;

beforeEach(() => {
  nowMs = 0;
  arms = new Arms({ ...fakeClock(), now: () => nowMs });
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

test('a read counts for the backend its lane was given, also where legacy had to answer', () => {
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

test('what only one backend could answer is in no arm', () => {
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

test('pairs tell who failed alone; where one did not answer, there is no ratio', () => {
  for (let lane = 0; lane < LANES; lane += 1) {
    paired(lane, {});
    paired(lane, { orchestrator: { isFailure: true } });
    paired(lane, { legacy: { ms: 1, isFailure: true }, orchestrator: { ms: 3, isFailure: true } });
  }
  expect(status()?.paired).toMatchObject({ pairs: 3 * LANES, latency_ratio: [3, 3, 3] });
  expect(status()?.paired.failure_difference?.[0]).toBeCloseTo(1 / 3, 3);
});

test('after an hour a read is forgotten', () => {
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
