import { afterEach, beforeEach, expect, test, vi } from 'vitest';
import { CopyQueue } from '../../../../src/engine/copies/copy-queue.ts';
import { serviceName, type ServiceName } from '../../../../src/domain/ids.ts';
import { Lane } from '../../../../src/engine/lane/lane.ts';
import { fakeClock, laneNamed, ownerNamed, recorder, SERVICE } from '../engine-parts.ts';

beforeEach(() => {
  vi.useFakeTimers();
});
afterEach(() => {
  vi.useRealTimers();
});

/** Long enough for what waits to be looked at again. */
const LOOK_MS = 60;

function createQueue(facts: { concurrency?: number; mayCopy?: (service: ServiceName) => boolean } = {}) {
  const clock = fakeClock();
  const { emit, events } = recorder();
  const begun: string[] = [];
  const underWay: { readonly owner: string; readonly end: (error?: Error) => void }[] = [];
  const queue = new CopyQueue({
    clock,
    emit,
    concurrency: facts.concurrency ?? 1,
    mayCopy: facts.mayCopy ?? (() => true),
    copy: ({ owner }) => {
      begun.push(owner);
      return new Promise((resolve, reject) => {
        underWay.push({ owner, end: (error) => (error === undefined ? resolve() : reject(error)) });
      });
    },
  });
  /** Ends the oldest copy under way. */
  const end = async (error?: Error): Promise<void> => {
    underWay.shift()?.end(error);
    await clock.pass(0);
  };
  return { clock, queue, begun, events, end };
}

test('urgent lanes are copied first: dirty ones, then those with writes', async () => {
  const { queue, begun, end } = createQueue();
  const [first, backfill, unseeded, dirty] = ['first', 'backfill', 'unseeded', 'dirty'].map(laneNamed);
  if (!first || !backfill || !unseeded || !dirty) throw new Error('A lane is missing');
  queue.add(first, 'dirty');
  queue.add(laneNamed('second'), 'dirty');
  queue.add(backfill, 'backfill');
  queue.add(unseeded, 'unseeded');
  queue.add(dirty, 'dirty');
  for (let copies = 0; copies < 5; copies += 1) await end();
  expect(begun).toEqual(['first', 'second', 'dirty', 'unseeded', 'backfill']);
  expect(queue.size).toBe(0);
});

test('a lane that is requested twice is copied once, with the higher urgency', async () => {
  const { queue, begun, end } = createQueue();
  for (const name of ['busy', 'busier']) queue.add(laneNamed(name), 'dirty');
  const [ann, bob] = [laneNamed('ann'), laneNamed('bob')];
  queue.add(bob, 'unseeded');
  queue.add(ann, 'backfill');
  queue.add(ann, 'dirty');
  queue.add(ann, 'backfill');
  expect(queue.size).toBe(4);
  for (let copies = 0; copies < 4; copies += 1) await end();
  expect(begun).toEqual(['busy', 'busier', 'ann', 'bob']);
});

test('a lane that becomes dirty during its copy is copied again afterwards', async () => {
  const { queue, begun, end } = createQueue({ concurrency: 2 });
  const ann = laneNamed('ann');
  queue.add(ann, 'backfill');
  queue.add(ann, 'dirty');
  expect(begun).toEqual(['ann']);
  await end();
  expect(begun).toEqual(['ann', 'ann']);
  await end();
  expect(queue.size).toBe(0);
});

test('the number of copies at the same time is limited', () => {
  const { queue, begun } = createQueue({ concurrency: 3 });
  for (const name of ['a', 'b', 'c', 'd', 'e']) queue.add(laneNamed(name), 'backfill');
  expect(begun).toEqual(['a', 'b', 'c']);
  expect(queue.size).toBe(5);
});

test('lanes that agents write to have extra places, and wait for no backfill', () => {
  const { queue, begun } = createQueue({ concurrency: 2 });
  for (const name of ['a', 'b', 'c']) queue.add(laneNamed(name), 'backfill');
  for (const name of ['d', 'e', 'f']) queue.add(laneNamed(name), 'unseeded');
  expect(begun).toEqual(['a', 'b', 'd', 'e']);
});

test('further writes to a waiting lane do not move it to the end of the queue', async () => {
  const { queue, begun, end } = createQueue();
  const [ann, bob] = [laneNamed('ann'), laneNamed('bob')];
  for (const name of ['busy', 'busier']) queue.add(laneNamed(name), 'dirty');
  for (const lane of [ann, bob, ann]) queue.add(lane, 'unseeded');
  await end();
  await end();
  expect(begun).toEqual(['busy', 'busier', 'ann', 'bob']);
});

test('a lane of unknown outcome waits for its time, and delays no other lane', async () => {
  const { queue, begun, clock, end } = createQueue();
  queue.add(laneNamed('ann'), 'dirty', 500);
  queue.add(laneNamed('bob'), 'backfill');
  await end();
  await clock.pass(499 - LOOK_MS);
  expect(begun).toEqual(['bob']);
  await clock.pass(LOOK_MS * 2);
  expect(begun).toEqual(['bob', 'ann']);
});

test('a later request does not shorten the wait of an unknown outcome', async () => {
  const { queue, begun, clock } = createQueue();
  const ann = laneNamed('ann');
  queue.add(ann, 'dirty', 500);
  queue.add(ann, 'unseeded');
  await clock.pass(400);
  expect(begun).toEqual([]);
  await clock.pass(200);
  expect(begun).toEqual(['ann']);
});

test('nothing is copied until the lane’s service is ready for it', async () => {
  const ready = new Set([serviceName('another')]);
  const { queue, begun, clock, end } = createQueue({ mayCopy: (service) => ready.has(service) });
  queue.add(laneNamed('ann'), 'dirty');
  queue.add(new Lane(serviceName('another'), ownerNamed('bob'), clock), 'backfill');
  expect(begun).toEqual(['bob']);
  await end();
  expect(begun).toEqual(['bob']);
  ready.add(SERVICE);
  await clock.pass(LOOK_MS);
  expect(begun).toEqual(['bob', 'ann']);
});

test('a hundred thousand lanes do not slow each other down', async () => {
  let looks = 0;
  const { queue, begun, end } = createQueue({ mayCopy: () => (looks += 1) > 0 });
  for (let at = 0; at < 100_000; at += 1) queue.add(laneNamed(`lane ${at}`), 'backfill');
  looks = 0;
  for (let copies = 0; copies < 100; copies += 1) await end();
  expect(begun).toHaveLength(101);
  expect(looks).toBeLessThan(400);
});

test('a failed copy is retried after growing pauses, and is reported', async () => {
  const { queue, begun, clock, events, end } = createQueue();
  queue.add(laneNamed('ann'), 'dirty');
  const waits = [250, 500, 1_000, 2_000, 4_000, 8_000, 10_000, 10_000];
  for (const [index, waitMs] of waits.entries()) {
    await end(new Error('the store is away'));
    await clock.pass(waitMs - LOOK_MS);
    expect(begun.length).toBe(index + 1);
    await clock.pass(LOOK_MS * 2);
    expect(begun.length).toBe(index + 2);
  }
  expect(events.map(({ event }) => event)).toMatchObject(
    waits.map((retryInMs, index) => ({ attempt: index + 1, retryInMs, reason: 'the store is away' })),
  );
  await end();
  expect(queue.size).toBe(0);
});

test('stopping waits for copies in progress and starts no more', async () => {
  const { queue, begun, clock, end } = createQueue();
  queue.add(laneNamed('ann'), 'backfill');
  queue.add(laneNamed('bob'), 'backfill');
  let isStopped = false;
  const stopping = queue.stop().then(() => (isStopped = true));
  await clock.pass(1_000);
  expect(isStopped).toBe(false);
  await end();
  await clock.pass(LOOK_MS);
  await stopping;
  expect(begun).toEqual(['ann']);
});

test('a cancelled copy never starts, and its waiting callers get the reason', async () => {
  const { queue, begun, end } = createQueue();
  const [busy, ann] = [laneNamed('busy'), laneNamed('ann')];
  queue.add(busy, 'dirty');
  const waiting = queue.untilCopied(ann, 'backfill');
  queue.drop(ann);
  expect(await waiting).toBe('cancelled because a person wants to keep the lane as it is');
  await end();
  expect(begun).toEqual(['busy']);
  expect(queue.size).toBe(0);
});
