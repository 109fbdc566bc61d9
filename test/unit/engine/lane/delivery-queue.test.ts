import { describe, expect, test } from 'vitest';
import { DeliveryQueue } from '../../../../src/engine/lane/delivery-queue.ts';
import type { Lane } from '../../../../src/engine/lane/lane.ts';
import type { PendingWrite } from '../../../../src/engine/ports/ports.ts';
import { laneNamed, readableJournal, stateOf, writeOf } from '../engine-parts.ts';

const ANY = (): boolean => true;

function sequencesOf(writes: readonly PendingWrite[]): number[] {
  return writes.map(({ sequence }) => sequence);
}

/** Takes everything that a lane has, as a delivery would, `limit` at a time. */
async function deliverAll(queue: DeliveryQueue, lane: Lane, limit: number): Promise<number[]> {
  const delivered: number[] = [];
  for (;;) {
    const [queued] = queue.ready(({ key }) => key === lane.key);
    if (queued === undefined) return delivered;
    const writes = await queue.writesOf(queued, limit);
    const last = writes.at(-1);
    if (last === undefined) continue;
    delivered.push(...sequencesOf(writes));
    queue.drop(lane, last.sequence);
    lane.deliveredUpTo(last.sequence);
  }
}

describe('the writes that wait for delivery', () => {
  test('come in sequence, as many as requested, and at least one', async () => {
    const queue = new DeliveryQueue(readableJournal({}));
    const lane = laneNamed('ann');
    for (const sequence of [1, 2, 3]) queue.add(lane, writeOf(lane, sequence));
    const [queued] = queue.ready(ANY);
    if (queued === undefined) throw new Error('Nothing is ready');
    expect(sequencesOf(await queue.writesOf(queued, 2))).toEqual([1, 2]);
    expect(sequencesOf(await queue.writesOf(queued, 0))).toEqual([1]);
    expect(queue.size).toBe(3);
  });

  test('are dropped after their delivery, and not before', () => {
    const queue = new DeliveryQueue(readableJournal({}));
    const lane = laneNamed('ann');
    for (const sequence of [1, 2, 4]) queue.add(lane, writeOf(lane, sequence));
    queue.drop(lane, 2);
    expect(queue.size).toBe(1);
    queue.drop(lane, 4);
    expect(queue.size).toBe(0);
    expect(queue.hasReady(ANY)).toBe(false);
  });

  test('of one lane do not wait for another lane', async () => {
    const queue = new DeliveryQueue(readableJournal({}));
    const [ann, bob] = [laneNamed('ann'), laneNamed('bob')];
    queue.add(ann, writeOf(ann, 1));
    queue.add(bob, writeOf(bob, 1));
    queue.block(ann, 1);
    expect([...queue.ready(ANY)].map(({ lane }) => lane)).toEqual([bob]);
    expect(queue.isBlocked(ann.key)).toBe(true);
    queue.unblock(ann, 0);
    expect(queue.isBlocked(ann.key)).toBe(true);
    queue.unblock(ann, 1);
    expect([...queue.ready(ANY)].map(({ lane }) => lane)).toEqual([ann, bob]);
    expect([...queue.ready((lane) => lane === bob)].map(({ lane }) => lane)).toEqual([bob]);
  });
});

describe('after a dead letter', () => {
  test('later writes wait, and earlier ones are delivered', async () => {
    const queue = new DeliveryQueue(readableJournal({}));
    const lane = laneNamed('ann');
    for (const sequence of [1, 2, 3]) queue.add(lane, writeOf(lane, sequence));
    queue.block(lane, 2);
    const [queued] = queue.ready(ANY);
    if (queued === undefined) throw new Error('Nothing is ready');
    expect(sequencesOf(await queue.writesOf(queued, 10))).toEqual([1]);
    queue.drop(lane, 1);
    expect(queue.hasReady(ANY)).toBe(false);
  });

  test('a start finds it in the journal, and does not send it again', async () => {
    const lane = laneNamed('ann');
    const letters = { 2: 'redriven', 3: 'open' } as const;
    const writes = [1, 2, 3, 4].map((sequence) => ({
      ...writeOf(lane, sequence),
      ...((sequence === 2 || sequence === 3) && { letter: letters[sequence] }),
    }));
    const queue = new DeliveryQueue(readableJournal({ writes }));
    queue.addFromJournal(lane);
    const [queued] = queue.ready(ANY);
    if (queued === undefined) throw new Error('Nothing is ready');
    expect(sequencesOf(await queue.writesOf(queued, 10))).toEqual([1, 2]);
    queue.drop(lane, 2);
    expect(queue.hasReady(ANY)).toBe(false);
    expect(queue.isBlocked(lane.key)).toBe(true);
  });

  test('a person’s decision is read from the journal again', async () => {
    const lane = laneNamed('ann');
    const queue = new DeliveryQueue(
      readableJournal({ writes: [{ ...writeOf(lane, 1), letter: 'skipped' }] }),
    );
    queue.add(lane, writeOf(lane, 1));
    queue.block(lane, 1);
    queue.reload(lane);
    const [queued] = queue.ready(ANY);
    if (queued === undefined) throw new Error('Nothing is ready');
    expect((await queue.writesOf(queued, 10)).map(({ letter }) => letter)).toEqual(['skipped']);
  });
});

describe('the writes of a lane in the journal', () => {
  const lane = laneNamed('ann');
  const writes = Array.from({ length: 450 }, (_, index) => writeOf(lane, index + 1));

  test('are read page by page after a start, completely and in sequence', async () => {
    const asked: string[] = [];
    const queue = new DeliveryQueue(readableJournal({ writes, asked }));
    const ann = laneNamed('ann');
    queue.addFromJournal(ann);
    expect(queue.size).toBe(1);
    expect(await deliverAll(queue, ann, 64)).toEqual(sequencesOf(writes));
    expect(asked).toEqual([0, 200, 400].map((after) => `jarvis-memory/ann after ${after}`));
    expect(queue.size).toBe(0);
  });

  test('go before writes that are applied meanwhile', async () => {
    const ann = laneNamed('ann');
    const stored = [1, 2].map((sequence) => writeOf(ann, sequence));
    const queue = new DeliveryQueue(readableJournal({ writes: stored }));
    queue.addFromJournal(ann);
    ann.appliedUpTo(3);
    queue.add(ann, writeOf(ann, 3));
    stored.push(writeOf(ann, 3));
    expect(await deliverAll(queue, ann, 10)).toEqual([1, 2, 3]);
  });

  test('of a flipped lane go after those that legacy missed while it was read-only', async () => {
    const ann = laneNamed('ann');
    ann.adopt(stateOf(ann, { primary: 'orchestrator', epoch: 1, deliveredSequence: 2 }));
    const stored = [3, 5, 6].map((sequence) => writeOf(ann, sequence));
    const queue = new DeliveryQueue(readableJournal({ writes: stored }));
    ann.appliedUpTo(6);
    queue.add(ann, writeOf(ann, 6));
    expect(await deliverAll(queue, ann, 10)).toEqual([3, 5, 6]);
  });

  test('are read again while the newest outcome is still on its way', async () => {
    const ann = laneNamed('ann');
    const stored = [writeOf(ann, 1)];
    const queue = new DeliveryQueue(readableJournal({ writes: stored }));
    queue.addFromJournal(ann);
    ann.appliedUpTo(2);
    const [queued] = queue.ready(ANY);
    if (queued === undefined) throw new Error('Nothing is ready');
    expect(sequencesOf(await queue.writesOf(queued, 10))).toEqual([1]);
    queue.drop(ann, 1);
    ann.deliveredUpTo(1);
    expect(await queue.writesOf(queued, 10)).toEqual([]);
    expect(queue.hasReady(ANY)).toBe(true);
    stored.push(writeOf(ann, 2));
    expect(await deliverAll(queue, ann, 10)).toEqual([2]);
  });

  test('are no longer requested after their former home has delivered them', async () => {
    const ann = laneNamed('ann');
    const lanes = [{ owner: 'ann', state: { deliveredSequence: 10 } }];
    const queue = new DeliveryQueue(readableJournal({ lanes }));
    queue.addFromJournal(ann);
    ann.appliedUpTo(10);
    ann.deliveredUpTo(2);
    const [queued] = queue.ready(ANY);
    if (queued === undefined) throw new Error('Nothing is ready');
    expect(await queue.writesOf(queued, 10)).toEqual([]);
    expect([queue.size, ann.isBehind]).toEqual([0, false]);
  });

  test('are read a few at a time if their requests are large, and completely', async () => {
    const ann = laneNamed('ann');
    const large = 'x'.repeat(3 * 1024 * 1024);
    const stored = Array.from({ length: 9 }, (_, index) => writeOf(ann, index + 1, large));
    const queue = new DeliveryQueue(readableJournal({ writes: stored }));
    queue.addFromJournal(ann);
    const [queued] = queue.ready(ANY);
    if (queued === undefined) throw new Error('Nothing is ready');
    await queue.writesOf(queued, 1);
    // Two requests, and one that stands for the rest.
    expect(queue.size).toBe(3);
    expect(await deliverAll(queue, ann, 10)).toEqual(sequencesOf(stored));
  });

  test.each([
    ['more is there', (queue: DeliveryQueue, lane: Lane) => queue.addFromJournal(lane)],
    ['it is another than before', (queue: DeliveryQueue, lane: Lane) => queue.reload(lane)],
    [
      'it was forgotten, and is to be delivered after all',
      (queue: DeliveryQueue, lane: Lane) => {
        queue.forget();
        queue.addFromJournal(lane);
      },
    ],
  ])('are read again if, while the journal answers, %s', async (_, tell) => {
    const ann = laneNamed('ann');
    const stored: PendingWrite[] = [];
    const journal = readableJournal({ writes: stored });
    const queue = new DeliveryQueue(journal);
    queue.addFromJournal(ann);
    const [queued] = queue.ready(ANY);
    if (queued === undefined) throw new Error('Nothing is ready');
    const answered = queue.writesOf(queued, 10);
    tell(queue, ann);
    expect(await answered).toEqual([]);
    stored.push(writeOf(ann, 1));
    expect(await deliverAll(queue, ann, 10)).toEqual([1]);
  });

  test('replace those that memory has no room for, in sequence', async () => {
    const [ann, bob] = [laneNamed('ann'), laneNamed('bob')];
    const large = 'x'.repeat(20 * 1024 * 1024);
    const stored = [1, 2, 3, 4].map((sequence) => writeOf(ann, sequence, large));
    const queue = new DeliveryQueue(readableJournal({ writes: stored }));
    for (const write of stored) {
      queue.add(ann, write);
      ann.appliedUpTo(write.sequence);
    }
    // Two fit, and one stands for all that the journal holds.
    expect(queue.size).toBe(3);
    queue.add(bob, writeOf(bob, 1));
    expect(queue.size).toBe(4);
    expect(await deliverAll(queue, ann, 1)).toEqual([1, 2, 3, 4]);
  });

  test('are limited in memory even if they are small', () => {
    const ann = laneNamed('ann');
    const queue = new DeliveryQueue(readableJournal({}));
    for (let sequence = 1; sequence <= 100_000; sequence += 1) queue.add(ann, writeOf(ann, sequence));
    // Each takes some 600 bytes beside its text, and 32 MiB is all that they may take.
    expect(queue.size).toBeGreaterThan(50_000);
    expect(queue.size).toBeLessThan(60_000);
  });
});
