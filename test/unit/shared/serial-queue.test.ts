import { expect, test } from 'vitest';
import { SerialQueue } from '../../../src/shared/serial-queue.ts';

test('work runs one after the other, also after a failure', async () => {
  const queue = new SerialQueue();
  const seen: string[] = [];
  const first = Promise.withResolvers<string>();
  const failing = queue.run(async () => {
    seen.push('first');
    return first.promise;
  });
  const second = queue.run(async () => void seen.push('second'));
  await Promise.resolve();
  expect(seen).toEqual(['first']);
  first.reject(new Error('broken'));
  await expect(failing).rejects.toThrow('broken');
  await second;
  expect(seen).toEqual(['first', 'second']);
});

test('a queue is idle when all requested work has ended, well or not', async () => {
  const queue = new SerialQueue();
  const ended: number[] = [];
  const work = async (number: number): Promise<void> => {
    ended.push(number);
    throw new Error(`${number}`);
  };
  for (const number of [1, 2]) void queue.run(() => work(number)).catch(() => undefined);
  await queue.idle();
  expect(ended).toEqual([1, 2]);
});
