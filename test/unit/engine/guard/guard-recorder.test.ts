import { beforeEach, describe, expect, test } from 'vitest';
import { operationId, type LaneKey } from '../../../../src/domain/ids.ts';
import { NO_EVIDENCE } from '../../../../src/engine/evidence/confidence.ts';
import { GuardRecorder } from '../../../../src/engine/guard/guard-recorder.ts';
import {
  ADDED_BOUNDS_MS,
  noCounts,
  recordAdded,
  type GuardCounts,
} from '../../../../src/engine/guard/guard-counts.ts';
import type { MigrationEvents } from '../../../../src/engine/ports/events.ts';
import { fakeClock, SERVICE } from '../engine-parts.ts';

const OF = { operationId: operationId('o-1'), service: SERVICE, action: 'get_memories' };
const LANE = `${SERVICE}/ann` as LaneKey;

const NOTHING = { counted: [], evidence: [] };

let nowMs = 0;
let recorder: GuardRecorder;
let seenAgain: number[];

beforeEach(() => {
  nowMs = 1_000_000;
  seenAgain = [];
  const clock = { ...fakeClock(), now: () => nowMs };
  recorder = new GuardRecorder(clock, (_service, count) => seenAgain.push(count));
});

function drained(): Partial<GuardCounts> | undefined {
  const [recorded, ...others] = recorder.drain().counted;
  expect(others).toEqual([]);
  return recorded?.counts;
}

const replied = (facts: Partial<MigrationEvents['operation:replied']>): void =>
  recorder.listener('operation:replied', {
    ...OF,
    kind: 'read',
    status: 'answered',
    durationMs: 5,
    primaryMs: 4.5,
    ...facts,
  });

const compared = (comparison: Partial<MigrationEvents['shadow:compared']['comparison']>): void =>
  recorder.listener('shadow:compared', {
    ...OF,
    lane: LANE,
    primary: 'legacy',
    durationMs: 1,
    comparison: { verdict: 'match', differences: [], suppressed: 0, ...comparison },
  });

test('a flipped lane gives no evidence, and its reads did not move', () => {
  const comparison = { verdict: 'mismatch', differences: [], suppressed: 0 } as const;
  recorder.listener('flipped:compared', { ...OF, lane: LANE, by: 'answers', comparison });
  replied({ backend: 'orchestrator', isFlipped: true });
  const { counted, evidence } = recorder.drain();
  expect(evidence).toEqual([]);
  expect(counted[0]?.counts).toMatchObject({
    comparable: 0,
    mismatches: 0,
    legacyMismatches: 1,
    orchestratorReads: 1,
    flippedReads: 1,
  });
});

const legacyCalled = (result: 'answered' | 'timeout', purpose: 'live' | 'shadow' = 'live'): void =>
  recorder.listener('backend:called', {
    ...OF,
    backend: 'legacy',
    purpose,
    startedAtMs: nowMs,
    durationMs: 1,
    result,
  });

test('comparisons are counted by what they prove', () => {
  compared({});
  compared({ isErrorPair: true });
  compared({ verdict: 'mismatch' });
  compared({ verdict: 'not_comparable', reason: 'racy' });
  expect(drained()).toMatchObject({ comparable: 3, mismatches: 1, bothErrors: 1, notComparable: 1 });
  expect(recorder.drain()).toEqual(NOTHING);
});

test('reads of a lane that was never written to cause no alert', () => {
  for (let asked = 0; asked < 100; asked += 1)
    compared({ verdict: 'not_comparable', reason: 'unknown_lane' });
  expect(drained()).toMatchObject({ comparable: 0, notComparable: 0 });
});

test('comparisons count as evidence for the action of their answers', () => {
  compared({});
  compared({ isErrorPair: true });
  compared({ verdict: 'mismatch' });
  compared({ verdict: 'not_comparable', reason: 'racy' });
  const counts = { ...NO_EVIDENCE, comparable: 3, mismatches: 1, errors: 1 };
  expect(recorder.drain().evidence).toEqual([{ service: SERVICE, action: 'get_memories', counts }]);
});

test('a repeated match is counted but is no evidence; a mismatch always counts', () => {
  compared({});
  compared({ isRepeat: true });
  compared({ verdict: 'mismatch' });
  recorder.listener('lane:compared', {
    ...OF,
    lane: LANE,
    countsFor: ['get_memories'],
    comparison: { verdict: 'match', differences: [], suppressed: 0, isRepeat: true },
  });
  const { counted, evidence } = recorder.drain();
  expect(counted).toMatchObject([
    { counts: { comparable: 4, independent: 2, mismatches: 1, wholeLanes: 0 } },
  ]);
  expect(evidence).toMatchObject([{ counts: { comparable: 2, mismatches: 1, laneComparable: 0 } }]);
});

test('a whole lane counts once for the guard, and as evidence for every read', () => {
  recorder.listener('lane:compared', {
    ...OF,
    lane: LANE,
    countsFor: ['get_memories', 'get_profile'],
    comparison: { verdict: 'mismatch', differences: [], suppressed: 0 },
  });
  const { counted, evidence } = recorder.drain();
  expect(counted).toMatchObject([
    { action: 'get_memories', counts: { comparable: 1, mismatches: 1, wholeLanes: 1 } },
  ]);
  const counts = { ...NO_EVIDENCE, laneComparable: 1, laneMismatches: 1 };
  expect(evidence).toEqual(
    ['get_memories', 'get_profile'].map((action) => ({ service: SERVICE, action, counts })),
  );
  expect(recorder.drain()).toEqual(NOTHING);
});

test('comparisons that are not made are counted', () => {
  recorder.listener('shadow:dropped', { ...OF, reason: 'queue_full' });
  expect(drained()).toMatchObject({ dropped: 1, comparable: 0, notComparable: 0 });
});

test('an answer of the orchestrator is an attempt, and a miss counts against it', () => {
  replied({ backend: 'orchestrator' });
  recorder.listener('read:fell_back', { ...OF, reason: 'timeout' });
  expect(drained()).toMatchObject({ orchestratorReads: 2, orchestratorFailures: 1, operations: 1 });
});

test.each(['not_seeded', 'dirty', 'copying', 'stopped', 'behind', 'spilling', 'replica_silent'])(
  'a lane with a closed fence is not a failure: %s',
  (reason) => {
    recorder.listener('read:fell_back', { ...OF, reason });
    expect(recorder.drain()).toEqual(NOTHING);
  },
);

test('the added latency of a read is measured, and the commit of a write', () => {
  replied({ backend: 'legacy', durationMs: 130, primaryMs: 10 });
  replied({ backend: 'legacy', kind: 'write', durationMs: 3_000, primaryMs: 10 });
  recorder.listener('write:journaled', { ...OF, lane: LANE, sequence: 1, durationMs: 4 });
  const expected = noCounts();
  recordAdded(expected, 120);
  recordAdded(expected, 4);
  expect(drained()).toMatchObject({ operations: 2, added: expected.added });
});

test('an operation that fails while legacy answers is the proxy’s failure', () => {
  legacyCalled('answered');
  replied({ status: 'unavailable' });
  replied({ status: 'timeout' });
  replied({ backend: 'legacy', status: 'refused' });
  expect(drained()).toMatchObject({ operations: 3, proxyFailures: 2 });
});

test('an operation that fails while legacy fails is legacy’s failure for 10 s', () => {
  legacyCalled('timeout');
  nowMs += 9_999;
  replied({ status: 'timeout' });
  expect(drained()).toMatchObject({ operations: 1, proxyFailures: 0 });
  nowMs += 1;
  replied({ status: 'timeout' });
  expect(drained()).toMatchObject({ proxyFailures: 1 });
});

test('a request that is relayed without a lane counts under the name of its action', () => {
  replied({ kind: 'passthrough', backend: 'legacy' });
  replied({ backend: 'legacy' });
  expect(drained()).toMatchObject({ operations: 2, relayed: 1 });
});

test('a shadow read without an answer from legacy excuses nothing', () => {
  legacyCalled('timeout', 'shadow');
  replied({ status: 'timeout' });
  expect(drained()).toMatchObject({ proxyFailures: 1 });
});

test('deleted items that are shown again are reported at once', () => {
  recorder.listener('comparison:deleted_returned', { ...OF, lane: LANE, items: 2 });
  expect(seenAgain).toEqual([2]);
});

describe('the time of a cut-over read above legacy’s', () => {
  const above = (): number[] => {
    const { aboveLegacy } = recorder.drain().counted[0]?.counts ?? noCounts();
    return ADDED_BOUNDS_MS.flatMap((bound, index) => Array<number>(aboveLegacy[index] ?? 0).fill(bound));
  };
  const legacyTook = (ms: number, reads = 20): void => {
    for (let read = 0; read < reads; read += 1) replied({ backend: 'legacy', primaryMs: ms, durationMs: ms });
    recorder.drain();
  };
  const orchestratorTook = (ms: number): void =>
    replied({ backend: 'orchestrator', primaryMs: ms, durationMs: ms });

  test('is measured against legacy’s answers for the same action', () => {
    legacyTook(1);
    for (const ms of [0.5, 90, 120, 200]) orchestratorTook(ms);
    expect(above()).toEqual([1, 100, 150, 250]);
    legacyTook(110, 200);
    for (const ms of [120, 200, 220]) orchestratorTook(ms);
    expect(above()).toEqual([10, 100, 150]);
  });

  test('uses legacy’s answers to shadow reads once the orchestrator answers', () => {
    for (let read = 0; read < 20; read += 1)
      recorder.listener('shadow:paired', {
        ...OF,
        lane: LANE,
        primary: 'orchestrator',
        legacy: { ms: 2, isFailure: false },
        orchestrator: { ms: 120, isFailure: false },
      });
    orchestratorTook(120);
    expect(above()).toEqual([150]);
  });

  test('is unknown before legacy has answered often enough', () => {
    legacyTook(1, 19);
    orchestratorTook(200);
    expect(above()).toEqual([]);
  });

  test('is not counted for another action, nor for writes', () => {
    legacyTook(1);
    replied({ action: 'other', backend: 'orchestrator', primaryMs: 200 });
    replied({ kind: 'write', backend: 'orchestrator', primaryMs: 200 });
    expect(above()).toEqual([]);
  });
});
