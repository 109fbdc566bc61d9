import { afterEach, beforeEach, expect, test, vi } from 'vitest';
import { StorageError } from '../../../../src/domain/errors.ts';
import { operationId } from '../../../../src/domain/ids.ts';
import { OutcomeRecorder } from '../../../../src/engine/writes/outcome-recorder.ts';
import { fakeClock, laneNamed, NO_SIGNALS, recorder, type FakeClock, writeOf } from '../engine-parts.ts';

beforeEach(() => {
  vi.useFakeTimers();
});
afterEach(() => {
  vi.useRealTimers();
});

/** With an outcome on its way to a journal that has not answered yet. */
function createStopping() {
  const clock = fakeClock();
  let answer: () => void = () => undefined;
  const journal = {
    recordOutcome: () =>
      new Promise<void>((resolve) => {
        answer = resolve;
      }),
    abandon: async () => undefined,
  };
  const outcomeRecorder = new OutcomeRecorder({ journal, clock, emit: recorder().emit, signals: NO_SIGNALS });
  const recorded = outcomeRecorder.record({ ref: writeOf(laneNamed('ann'), 1), outcome: 'applied' });
  let isStopped = false;
  void outcomeRecorder.stop().then(() => (isStopped = true));
  return { clock, recorded, answer: () => answer(), isStopped: () => isStopped };
}

test('a process that ends writes its outcomes, because others would find them open', async () => {
  const { clock, recorded, answer, isStopped } = createStopping();
  await clock.pass(500);
  expect(isStopped()).toBe(false);
  answer();
  expect(await recorded).toBe(true);
  await clock.pass(1);
  expect(isStopped()).toBe(true);
});

test('a journal that does not answer does not keep the process from ending', async () => {
  const { clock, isStopped } = createStopping();
  for (let ms = 0; ms < 2_100; ms += 50) await clock.pass(50);
  expect(isStopped()).toBe(true);
});

/** Before a journal that is away, until it is told to come back. */
function createAway() {
  const clock = fakeClock();
  const facts = { isAway: true, recorded: 0 };
  const journal = {
    async recordOutcome() {
      await clock.sleep(5);
      if (facts.isAway) throw new StorageError('away', { effect: 'not_applied' });
      facts.recorded += 1;
    },
    abandon: async () => undefined,
  };
  // It stops at the end of its sleeps only where it is woken.
  const sleep: FakeClock['sleep'] = (ms, signal) =>
    new Promise((resolve) => {
      const timer = setTimeout(resolve, ms);
      signal?.addEventListener('abort', () => {
        clearTimeout(timer);
        resolve();
      });
    });
  const outcomeRecorder = new OutcomeRecorder({
    journal,
    clock: { ...clock, sleep },
    emit: recorder().emit,
    signals: NO_SIGNALS,
  });
  const record = (writes: number): Promise<boolean[]> =>
    Promise.all(
      Array.from({ length: writes }, (_, index) =>
        outcomeRecorder.record({ ref: writeOf(laneNamed('ann'), index + 1), outcome: 'applied' }),
      ),
    );
  return { clock, facts, outcomeRecorder, record };
}

test('outcomes that wait for a retry are written before the process ends', async () => {
  const { clock, facts, outcomeRecorder, record } = createAway();
  const recorded = record(100);
  // By now each is tried every five seconds.
  for (let second = 0; second < 21; second += 1) await clock.pass(1_000);
  facts.isAway = false;
  const stopped = outcomeRecorder.stop();
  for (let ms = 0; ms < 50; ms += 1) await clock.pass(1);
  expect(facts.recorded).toBe(100);
  expect(await recorded).not.toContain(false);
  await stopped;
});

test('a process that ends retries until its time limit', async () => {
  const { clock, facts, outcomeRecorder, record } = createAway();
  const recorded = record(1);
  await clock.pass(10);
  const stopped = outcomeRecorder.stop();
  await clock.pass(1_000);
  facts.isAway = false;
  for (let ms = 0; ms < 300; ms += 5) await clock.pass(5);
  expect(await recorded).toEqual([true]);
  await stopped;
});

test('a copy learns when the outcomes that it needs are durable', async () => {
  const { clock, facts, outcomeRecorder, record } = createAway();
  void record(2);
  let isKnown = false;
  const { key } = laneNamed('ann');
  void outcomeRecorder.recordedUpTo(key, 1).then(() => (isKnown = true));
  await clock.pass(300);
  expect(isKnown).toBe(false);
  await outcomeRecorder.recordedUpTo(key, 0);
  await outcomeRecorder.recordedUpTo(laneNamed('bob').key, 2);
  facts.isAway = false;
  await clock.pass(1_000);
  expect(isKnown).toBe(true);
});

test('a copy does not wait for an outcome longer than two seconds', async () => {
  const { clock, outcomeRecorder, record } = createAway();
  void record(1);
  const known = expect(outcomeRecorder.recordedUpTo(laneNamed('ann').key, 1)).rejects.toThrow('not durable');
  for (let second = 0; second < 3; second += 1) await clock.pass(1_000);
  await known;
});

test('outcomes above 20,000 are left to the next start to limit memory', async () => {
  const { outcomeRecorder, record } = createAway();
  void record(20_000);
  expect(await record(2)).toEqual([false, false]);
  void outcomeRecorder.stop();
}, 5_000);

/** Two outcomes of a flipped lane; the reply of the first write is not with its agent yet. */
function createInOrder() {
  const clock = fakeClock();
  const written: number[] = [];
  const facts = { isAway: false };
  const journal = {
    async recordOutcome({ ref }: { readonly ref: { readonly sequence: number } }) {
      if (facts.isAway) throw new StorageError('away', { effect: 'not_applied' });
      written.push(ref.sequence);
    },
    abandon: async () => void written.push(0),
  };
  const outcomeRecorder = new OutcomeRecorder({ journal, clock, emit: recorder().emit, signals: NO_SIGNALS });
  const lane = laneNamed('ann');
  let handOver: () => void = () => undefined;
  const after = new Promise<void>((resolve) => (handOver = resolve));
  void outcomeRecorder.record({ ref: writeOf(lane, 1), outcome: 'applied' }, { after, isInOrder: true });
  return { clock, written, facts, outcomeRecorder, lane, handOver: () => handOver() };
}

test('outcomes of a flipped lane become durable in sequence', async () => {
  const { clock, written, facts, outcomeRecorder, lane, handOver } = createInOrder();
  const ref = writeOf(lane, 2);
  void outcomeRecorder.record({ ref, outcome: 'not_applied' }, { isInOrder: true });
  outcomeRecorder.abandon(lane.key, operationId('an intent that may be durable'));
  await clock.pass(50);
  expect(written).toEqual([]);
  facts.isAway = true;
  handOver();
  await clock.pass(50);
  expect(written).toEqual([]);
  facts.isAway = false;
  await clock.pass(500);
  expect(written).toEqual([1, 2, 0]);
});

test('the next write of a flipped lane waits for the outcomes before it', async () => {
  const { clock, outcomeRecorder, lane, handOver } = createInOrder();
  expect(await outcomeRecorder.recorded(laneNamed('bob').key, clock.now())).toBe(true);
  const tooEarly = outcomeRecorder.recorded(lane.key, clock.now() + 20);
  const inTime = outcomeRecorder.recorded(lane.key, clock.now() + 100);
  await clock.pass(50);
  expect(await tooEarly).toBe(false);
  handOver();
  await clock.pass(10);
  expect(await inTime).toBe(true);
});
